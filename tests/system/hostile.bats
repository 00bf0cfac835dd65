# SPDX-License-Identifier: Apache-2.0
# bench/wasm_hostile.sh made small: quiet wasm pods beside some that compute, trap, fill memory, write logs and block. The bounds
# are wide, since the machine may be busy; the figures are in docs/benchmarks.md.
load helper

setup_file() {
    need_root
    need_program warrend warren warren-wasm criload
    engine_start
    export engine_dir
    mkdir "$engine_dir/context"
    clang --target=wasm32-wasi -O2 -s -Wl,-z,stack-size=16384 -Wl,--stack-first -o "$engine_dir/context/unruly.wasm" \
        "$BATS_TEST_DIRNAME/../../bench/guests/unruly.c"
    printf 'FROM scratch\nADD unruly.wasm /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t unruly:latest "$engine_dir/context" >/dev/null
    timeout 120 "$WARREN_BUILD/bin/criload" --hostile --endpoint "unix://$engine_socket" --runtime-handler wasm --pods 200 --parallel 4 \
        --image unruly:latest --namespaces 4 --log-dir "$engine_dir/logs" --measure "$engine_dir" --probe 10ms --watch 5s --tick 1s \
        --settle 1s --json >"$engine_dir/result" 2>"$engine_dir/said" 3>&- || cat "$engine_dir/said"
}

teardown_file() { engine_end; }

# is FILTER: what jq says of the result must be true; else the result is shown.
is() {
    jq -e "$1" "$engine_dir/result" >/dev/null || { cat "$engine_dir/said"; jq . "$engine_dir/result"; return 1; }
}

@test "two hundred wasm pods run, ten of them bad, and no call fails" { is '.Failed == 0'; }

@test "guests that sleep wake in time beside bad ones" {
    is '.late_ms["with the others beside"] | .N > 500 and .P50 < 500 and .P99 < 3000'
}

@test "status is told beside bad guests" {
    is '[.status_ms[] | .N > 5 and .P50 < 500] | all'
}

@test "a guest that traps ends with 134, beside all others" { is '.Traps == {"134": 2}'; }

@test "a guest that takes all the memory it can is held to its limit" {
    is '[.Filled | to_entries[] | (.key | capture("^filled (?<kib>[0-9]+) KiB$").kib | tonumber) > 8192 and .value > 0] | all'
    is '[.Filled[]] | add == 2'
}

@test "logs written at full speed are moved aside and opened anew" {
    is '.LogMiB > 1 and .LogFiles > 0 and (.LogMiB < 16 or .Rotations > 0)' # the killed worker may have had one of the two
}

@test "a guest that computes, writes or sleeps is killed at once" {
    is '[.kill_ms[] | .N == 0 or .P50 < 500] | all'
    is '.kill_ms.spin.N > 0'
}

@test "a killed worker's containers are reported with 137, and no others end" {
    is '.Worker | .Workers >= 4 and .Ended > 20 and .OtherCodes == 0 and .Namespaces == 1 and .ReportedSeconds < 20'
    is '.late_ms["others, after a worker was killed"].N > 300'
}
