# SPDX-License-Identifier: Apache-2.0
# Files and logs of wasm containers, which a process beside their worker opens and writes.
load helper

setup() {
    need_root
    need_program warrend warren warren-wasm
    engine_start
    mkdir "$engine_dir/context" "$engine_dir/volume"
    clang --target=wasm32-wasi -O2 -Wl,-z,stack-size=65536 -Wl,--stack-first -o "$engine_dir/context/files.wasm" \
        "$BATS_TEST_DIRNAME/wasm_files.c"
    printf 'FROM scratch\nADD . /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t files:latest "$engine_dir/context" >/dev/null
}

teardown() { engine_end; }

# guest NAME ARGUMENTS(JSON list): runs it in a pod of its own, with a volume at /data; prints its id
guest() {
    cri run --runtime=wasm --no-pull "$(container_config "$1" files:latest "[\"/files.wasm\", $2]" \
        "{\"mounts\": [{\"container_path\": \"/data\", \"host_path\": \"$engine_dir/volume\"}]}")" "$(pod_config "$1")"
}

# whole_log NAME COUNT: the log has lines 0 to COUNT - 1, in order, each once
whole_log() {
    awk -v count="$2" '$4 == "line" && $5 + 0 == n {n++; next} {bad = 1} END {exit bad || n != count}' "$engine_dir/logs/$1.log"
}

kill_program() { # NAME: of this engine
    local pid
    for pid in $(root_processes "$engine_dir"); do
        [ "$(basename "$(readlink "/proc/$pid/exe")")" != "$1" ] || kill -KILL "$pid"
    done
}

@test "a wasm container's log is whole though the engine and its sandboxer are killed" {
    id=$(guest steady '"lines", "400", "10000"')
    wait_until 10 log_has "$id" "line 00000050"
    kill_program warren-wasm
    sleep 0.5
    engine_stop KILL
    sleep 0.5
    engine_start
    wait_until 20 container_has_exited "$id"
    [ "$(exit_code "$id")" = 0 ]
    whole_log steady 400
}

@test "a wasm container writes 100 MB of log, all of it before its end is told, and holds up nobody" {
    id=$(guest flood '"lines", "1000000", "0"')
    beside=$(guest beside '"lines", "20", "10000"')
    wait_until 5 container_has_exited "$beside"
    whole_log beside 20
    wait_until 60 container_has_exited "$id"
    whole_log flood 1000000
}

@test "a log that was renamed goes on in a new file when it is reopened, and nothing is lost" {
    id=$(guest turned '"lines", "100000", "10000"')
    for n in 1 2 3; do
        wait_until 10 grep -q line "$engine_dir/logs/turned.log"
        mv "$engine_dir/logs/turned.log" "$engine_dir/turned.$n"
        cri logs --reopen "$id"
        [ -f "$engine_dir/logs/turned.log" ]
    done
    wait_until 10 grep -q line "$engine_dir/logs/turned.log"
    cri stop "$id" >/dev/null
    cat "$engine_dir"/turned.[123] "$engine_dir/logs/turned.log" >"$engine_dir/logs/all.log"
    whole_log all "$(wc -l <"$engine_dir/logs/all.log")"
}

@test "a wasm container that reads a FIFO nobody writes holds up nobody and is killed at once" {
    mkfifo "$engine_dir/volume/fifo"
    waiting=()
    for n in 1 2 3 4 5 6; do waiting+=("$(guest "w$n" '"read", "/data/fifo"')"); done
    for id in "${waiting[@]}"; do wait_until 10 log_has "$id" reading; done
    id=$(guest free '"work", "/", "1"')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 0 ]
    before=$(date +%s%N)
    for id in "${waiting[@]:1}"; do cri stop --timeout 5 "$id" >/dev/null; done
    [ $(($(date +%s%N) - before)) -lt 2000000000 ]
    [ "$(exit_code "${waiting[1]}")" = 143 ]
    echo x >"$engine_dir/volume/fifo"
    wait_until 5 log_has "${waiting[0]}" "read 1"
}

@test "a wasm container's files are there, large ones and many, in its rootfs and in a volume" {
    root=$(guest root '"work", "/", "40"')
    volume=$(guest volume '"work", "/data", "40"')
    for id in "$root" "$volume"; do
        wait_until 60 container_has_exited "$id"
        cri logs "$id" | grep -qx "503 names" # . .. large and 500 small ones
        [ "$(exit_code "$id")" = 0 ]
    done
    [ "$(stat -c %s "$engine_dir/volume/large")" = $((40 << 20)) ]
    [ "$(find "$engine_dir/volume/sub" -type f | wc -l)" = 499 ]
}

@test "a worker has no file of the host's open, and no path of one" {
    id=$(guest here '"lines", "100000", "10000"')
    wait_until 10 log_has "$id" "line 00000005"
    for pid in $(root_processes "$engine_dir"); do
        [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1 | xargs basename)" = warren-wasm-worker ] || continue
        worker=$pid
    done
    [ -n "$worker" ]
    ! find "/proc/$worker/fd" -lname "$engine_dir/logs*" | grep .
    ! find "/proc/$worker/fd" -lname "$engine_dir/data*" | grep .
    cri stop "$id" >/dev/null
}
