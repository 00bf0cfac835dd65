# SPDX-License-Identifier: Apache-2.0
# Warren's sandboxers under containerd 2.4, as a proxy plugin of type sandbox. containerd comes from the Go module proxy
# (packaging/peers.sh builds it into build/peers, as make test does).
load helper

setup() {
    need_root
    need_program warren warren-namespace warren-wasm
    peers=$WARREN_BUILD/peers
    [ -x "$peers/containerd" ] || skip "build/peers/containerd is not built: packaging/peers.sh builds it"
    engine_root
}

teardown() {
    if [ -n "${containerd_pid:-}" ]; then
        pods=$(peer_cri pods -q 2>/dev/null) || true
        # shellcheck disable=SC2086
        [ -z "$pods" ] || peer_cri rmp -f $pods || true
        kill "$containerd_pid" && wait "$containerd_pid" || true
    fi
    [ -z "${sandboxer_pid:-}" ] || { kill "$sandboxer_pid" && wait "$sandboxer_pid" || true; }
    [ ! -e "$engine_dir/containerd.log" ] || tail -n 15 "$engine_dir/containerd.log" "$engine_dir/warrend.log"
    engine_end
}

peer_cri() { timeout 120 "$WARREN_BUILD/bin/warren" cri --runtime-endpoint "unix://$engine_dir/c.sock" "$@" 3>&-; }

# containerd_start TECHNIQUE: a sandboxer of ours, and containerd with it as the handler "warren".
containerd_start() {
    "$WARREN_BUILD/bin/warren-$1" --listen "$engine_dir/s.sock" --dir "$engine_dir/s" >>"$engine_dir/warrend.log" 2>&1 3>&- &
    sandboxer_pid=$!
    wait_until 10 test -S "$engine_dir/s.sock"
    cat >"$engine_dir/containerd.toml" <<T
version = 3
root = "$engine_dir/data"
state = "$engine_dir/state"
[grpc]
address = "$engine_dir/c.sock"
[ttrpc]
address = "$engine_dir/t.sock"
[proxy_plugins.warren]
type = "sandbox"
address = "$engine_dir/s.sock"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "warren"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.warren]
runtime_type = "io.containerd.runc.v2"
sandboxer = "warren"
disable_pause_image_pull = true
T
    PATH=$peers:$PATH "$peers/containerd" --config "$engine_dir/containerd.toml" >"$engine_dir/containerd.log" 2>&1 3>&- &
    containerd_pid=$!
    wait_until 20 peer_cri version
}

# peer_image NAME TAR ENTRYPOINT(JSON): a docker archive of one layer, imported
peer_image() {
    local dir=$engine_dir/image
    mkdir -p "$dir"
    cp "$2" "$dir/layer.tar"
    jq -nc --argjson entry "$3" --arg sum "sha256:$(sha256sum "$2" | cut -d' ' -f1)" \
        '{architecture: "amd64", os: "linux", config: {Entrypoint: $entry}, rootfs: {type: "layers", diff_ids: [$sum]}}' >"$dir/config.json"
    jq -nc --arg name "docker.io/library/$1" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$dir/manifest.json"
    tar -C "$dir" -cf "$engine_dir/image.tar" manifest.json config.json layer.tar
    "$peers/ctr" -a "$engine_dir/c.sock" -n k8s.io images import "$engine_dir/image.tar" >/dev/null
}

peer_has_exited() { [ "$(peer_cri inspect "$1" | jq -r .status.state)" = CONTAINER_EXITED ]; }

@test "containerd runs a namespace pod through warren-namespace, from run to remove" {
    containerd_start namespace
    peer_image busybox:latest "$examples/busybox/rootfs.tar" '["sh"]'
    up=$(peer_cri run --no-pull "$(container_config up busybox:latest '["sh", "-c", "echo from inside; sleep 3600"]')" "$(pod_config up)")
    wait_until 10 grep -q "from inside" "$engine_dir/logs/up.log"
    run peer_cri exec -s "$up" ps
    [[ $output == *"sleep 3600"* ]]
    [ "$(peer_cri stats -o json | jq -r '.stats[0].memory.workingSetBytes.value // .stats[0].memory.workingSetBytes')" -gt 0 ]
    ends=$(peer_cri run --no-pull "$(container_config ends busybox:latest '["sh", "-c", "exit 3"]')" "$(pod_config ends)")
    wait_until 10 peer_has_exited "$ends"
    [ "$(peer_cri inspect "$ends" | jq .status.exitCode)" = 3 ]
    peer_cri stop --timeout 1 "$up"
    wait_until 10 peer_has_exited "$up"
    # shellcheck disable=SC2046
    peer_cri rmp -f $(peer_cri pods -q)
    [ -z "$(peer_cri pods -q)" ]
}

@test "containerd runs a wasm pod through warren-wasm, from run to remove" {
    containerd_start wasm
    tar -C "$examples/wasi-demo" --owner 0 --group 0 -cf "$engine_dir/wasm.tar" wasi-demo.wasm
    peer_image wasi-demo:latest "$engine_dir/wasm.tar" '["/wasi-demo.wasm"]'
    id=$(peer_cri run --no-pull "$(container_config w wasi-demo:latest '["/wasi-demo.wasm", "daemon"]')" "$(pod_config w)")
    wait_until 10 grep -q "2: still here" "$engine_dir/logs/w.log"
    peer_cri stop --timeout 1 "$id"
    wait_until 10 peer_has_exited "$id"
    # shellcheck disable=SC2046
    peer_cri rmp -f $(peer_cri pods -q)
    [ -z "$(peer_cri pods -q)" ]
}
