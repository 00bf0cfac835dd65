# SPDX-License-Identifier: Apache-2.0
load helper

setup() {
    need_root
    need_program warrend warren warren-namespace warren-wasm
    engine_root
}

teardown() { engine_end; }

warrend_briefly() {
    timeout 10 "$WARREN_BUILD/bin/warrend" --config-file "$engine_dir/daemon.json" --data-root "$engine_dir/data" \
        --exec-root "$engine_dir/run" -H "unix://$engine_socket" --pidfile "$engine_dir/pid" "$@" 3>&-
}

@test "a key of daemon.json with a typo stops the start, with its line" {
    engine_config <<'J'
{
    "log-level": "info",
    "data-rot": "/nowhere"
}
J
    fails_with "daemon.json:3" warrend_briefly
    [[ $output == *data-rot* ]]
    [ "$status" -ne 124 ]
}

@test "a bad value of daemon.json stops the start, with what was expected" {
    engine_config <<<'{"log-level": "loud"}'
    fails_with "log-level" warrend_briefly
    [ "$status" -ne 124 ]
}

@test "a flag that is not known stops the start" {
    fails_with no-such-flag warrend_briefly --no-such-flag
    [ "$status" -ne 124 ]
}

@test "a sandboxer started by hand is used by the address in daemon.json" {
    engine_config <<J
{"cri-runtimes": {"wasm": "io.containerd.wasm.v1"},
 "cri-sandboxers": {"wasm": {"name": "wasm", "address": "$engine_dir/s.sock"}}}
J
    "$WARREN_BUILD/bin/warren-wasm" --listen "$engine_dir/s.sock" --dir "$engine_dir/w" >>"$engine_dir/warrend.log" 2>&1 3>&- &
    sandboxer=$!
    engine_start
    images_build wasi-demo
    id=$(cri run --runtime=wasm --no-pull "$(container_config c wasi-demo:latest '["/wasi-demo.wasm", "exit", "5"]')" "$(pod_config p)")
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 5 ]
    kill -0 $sandboxer
    [ "$(pgrep -fc "warren-wasm .*$engine_dir")" -ge 1 ]
}

@test "a second engine on the same root is refused" {
    engine_start
    fails_with "another warrend" warrend_briefly
    [ "$status" -ne 124 ]
}
