# SPDX-License-Identifier: Apache-2.0
load helper

setup() {
    need_root
    need_program warrend warren warren-namespace warren-wasm
    engine_start
    images_build wasi-demo
}

teardown() { engine_end; }

# demo NAME ARGUMENTS(JSON list): runs the example in a pod of its own and prints the container's id
demo() {
    cri run --runtime=wasm --no-pull "$(container_config "$1" wasi-demo:latest "[\"/wasi-demo.wasm\", $2]" "${3:-{\}}")" "$(pod_config "$1")"
}

@test "the published flow works from run to rmp" {
    pod=$(pod_config test-sandbox1)
    id=$(cri run --runtime=wasm --no-pull "$(container_config wasm_1 wasi-demo:latest '["/wasi-demo.wasm", "daemon"]')" "$pod")
    [[ $id =~ ^[0-9a-f]{64}$ ]]
    wait_until 10 log_has "$id" "2: still here"
    run cri ps -a
    [[ $output == *wasm_1* && $output == *Running* ]]
    run cri pods
    [[ $output == *test-sandbox1* && $output == *Ready* && $output == *wasm* ]]
    run cri inspect "$id"
    [ "$(jq -r .status.state <<<"$output")" = CONTAINER_RUNNING ]
    run cri stats
    [[ $output == *"${id:0:13}"* ]]
    [ "$(timeout 10 "$WARREN_BUILD/bin/warren" cri -r "unix://$engine_socket" stats --watch | head -n 6 | grep -c "^${id:0:13}")" = 3 ]
    [ "$(timeout 10 "$WARREN_BUILD/bin/warren" cri -r "unix://$engine_socket" statsp -w | head -n 4 | grep -c "^test-sandbox1")" = 2 ]
    cri stop "$id"
    run cri ps -a
    [[ $output == *Exited* ]]
    cri rm "$id"
    pod=$(cri pods -q)
    cri stopp "$pod"
    run cri pods
    [[ $output == *NotReady* ]]
    cri rmp "$pod"
    run cri pods -q
    [ -z "$output" ]
}

@test "a wasm container that exits with 3 reports 3" {
    id=$(demo three '"exit", "3"')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 3 ]
}

@test "a wasm container's arguments and environment reach its program" {
    id=$(demo words '"echo", "two words", "ünïcode"')
    wait_until 10 log_has "$id" "two words ünïcode"
    id=$(demo env '"env"' '{"envs": [{"key": "COLOUR", "value": "green"}]}')
    wait_until 10 log_has "$id" COLOUR=green
}

@test "a wasm container's writes are its own" {
    mkdir "$engine_dir/volume"
    id=$(demo writer '"write", "/data/file", "from inside"' \
        "{\"mounts\": [{\"container_path\": \"/data\", \"host_path\": \"$engine_dir/volume\"}]}")
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 0 ]
    [ "$(cat "$engine_dir/volume/file")" = "from inside" ]
    id=$(demo other '"write", "/file", "hidden"')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 0 ]
    id=$(demo reader '"read", "/file"')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 1 ]
}

@test "a file that is no wasm is refused by name" {
    mkdir "$engine_dir/context"
    echo 'this is text' >"$engine_dir/context/text.wasm"
    printf 'FROM scratch\nADD text.wasm /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t text:latest "$engine_dir/context"
    fails_with text.wasm cri run --runtime=wasm --no-pull "$(container_config c text:latest '["/text.wasm"]')" "$(pod_config p)"
}

@test "a module with an import that is not there is refused with the import's name" {
    mkdir "$engine_dir/context"
    echo '(module (import "nowhere" "missing" (func)) (memory (export "memory") 1) (func (export "_start") call 0))' >"$engine_dir/m.wat"
    wat2wasm -o "$engine_dir/context/m.wasm" "$engine_dir/m.wat"
    printf 'FROM scratch\nADD m.wasm /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t import:latest "$engine_dir/context"
    fails_with missing cri run --runtime=wasm --no-pull "$(container_config c import:latest '["/m.wasm"]')" "$(pod_config p)"
}

@test "an annotation makes a wasm container busy, and a bad one is named" {
    id=$(demo busy '"exit", "3"' '{"annotations": {"warren.wasm/profile": "busy"}}')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 3 ]
    ls "$engine_dir"/run/*/cache | grep -q busy
    fails_with "warren.wasm/profile: expected dense or busy, found 'fast'" demo bad '"exit", "3"' \
        '{"annotations": {"warren.wasm/profile": "fast"}}'
}

@test "a wasm container answers on the address that its annotation names" {
    mkdir "$engine_dir/context"
    clang --target=wasm32-wasi -O2 -o "$engine_dir/context/echo.wasm" "$BATS_TEST_DIRNAME/../unit/wasm/echo.c"
    mkdir "$engine_dir/context/etc"
    echo hello >"$engine_dir/context/etc/motd"
    printf 'FROM scratch\nADD . /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t echo:latest "$engine_dir/context"
    listen='{"annotations": {"warren.wasm/listen": "tcp://127.0.0.1:18434"}}'
    id=$(cri run --runtime=wasm --no-pull "$(container_config e echo:latest '["/echo.wasm", "many"]' "$listen")" "$(pod_config e)")
    wait_until 10 log_has "$id" "listening on 1"
    exec 5<>/dev/tcp/127.0.0.1/18434
    echo hello >&5
    read -r -t 5 line <&5
    [ "$line" = hello ]
    fails_with "'tcp://127.0.0.1:18434': Address already in use" \
        cri run --runtime=wasm --no-pull "$(container_config f echo:latest '["/echo.wasm"]' "$listen")" "$(pod_config f)"
    cri stop "$id"
    exec 5>&-
    ! (exec 5<>/dev/tcp/127.0.0.1/18434) 2>/dev/null
}

@test "exec runs the program once more, or another module, in a wasm container" {
    id=$(demo main '"daemon"')
    wait_until 10 log_has "$id" "0: still here"
    run cri exec -s "$id" _start echo "two words"
    [ "$status" = 0 ]
    [[ $output == *"two words"* ]]
    run cri exec -s "$id" /wasi-demo.wasm exit 5
    [ "$status" = 5 ]
    fails_with "'nothing' is no module in the container's tree, and no function" cri exec -s "$id" nothing
    cri exec -s "$id" /wasi-demo.wasm write /shared "from an exec"
    run cri exec -s "$id" /wasi-demo.wasm read /shared
    [[ $output == *"from an exec"* ]]
    run cri exec -s --timeout 1 "$id" /wasi-demo.wasm daemon
    [ "$status" -ne 0 ]
    [ "$(cri inspect "$id" | jq -r .status.state)" = CONTAINER_RUNNING ]
    cri stop "$id"
}

@test "a wasm program that is not in the image is named" {
    fails_with /nothing.wasm cri run --runtime=wasm --no-pull "$(container_config c wasi-demo:latest '["/nothing.wasm"]')" "$(pod_config p)"
}

@test "a guest that loops for ever is killed, and holds up no other" {
    mkdir "$engine_dir/context"
    echo '(module (memory (export "memory") 1) (func (export "_start") (loop br 0)))' >"$engine_dir/spin.wat"
    wat2wasm -o "$engine_dir/context/spin.wasm" "$engine_dir/spin.wat"
    printf 'FROM scratch\nADD spin.wasm /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t spin:latest "$engine_dir/context"
    spin=()
    for n in 1 2 3 4; do
        spin+=("$(cri run --runtime=wasm --no-pull "$(container_config "s$n" spin:latest '["/spin.wasm"]')" "$(pod_config "s$n")")")
    done
    id=$(demo beside '"daemon"')
    wait_until 15 log_has "$id" "2: still here"
    for id in "${spin[@]}"; do
        cri stop --timeout 1 "$id"
        [ "$(exit_code "$id")" = 143 ] # a guest has no signal handlers: SIGTERM ends it
    done
}

@test "a wasm sandboxer's configuration is checked, and confinement can be required" {
    for bad in '{"isolation": "some"}' '{"worker-uids": -1}' '{"cache-size": "1G"}'; do
        echo "$bad" >"$engine_dir/wasm.json"
        fails_with "$(cut -d'"' -f2 <<<"$bad")" timeout 10 "$WARREN_BUILD/bin/warren-wasm" --listen "$engine_dir/w.sock" \
            --dir "$engine_dir/w" --config "$engine_dir/wasm.json"
    done
    echo '{"isolation": "required", "worker-uids": 1900000000, "cache-size": 1048576}' >"$engine_dir/wasm.json"
    "$WARREN_BUILD/bin/warren-wasm" --listen "$engine_dir/w.sock" --dir "$engine_dir/w" --config "$engine_dir/wasm.json" 3>&- 4>&- &
    local pid=$!
    wait_until 10 test -S "$engine_dir/w.sock"
    kill "$pid"
    wait "$pid" || true
}
