# SPDX-License-Identifier: Apache-2.0
# Loaded by every system test. An engine of its own under a temporary root: engine_start, engine_stop; `warren` and `cri`
# talk to it. engine_end (in teardown) stops all and fails the test where something is left.

: "${WARREN_BUILD:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build}"
: "${WARREN_TEST_TMP:=${TMPDIR:-/tmp}}"
examples=$WARREN_BUILD/examples
. "$WARREN_BUILD/../packaging/root.sh"

# Skips the test, with the reason, where a program has not been built.
need_program() {
    local program
    for program; do
        [ -x "$WARREN_BUILD/bin/$program" ] || skip "there is no build/bin/$program"
    done
}

need_root() {
    [ "$(id -u)" = 0 ] || skip "not root"
}

# wait_until SECONDS COMMAND...: tries every 50 ms until the command works.
wait_until() {
    local end=$((SECONDS + $1)) # whole seconds: at least SECONDS - 1
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "not so after the time allowed: $*"; return 1; }
        sleep 0.05
    done
}

# fails_with TEXT COMMAND...: the command must fail and say so.
fails_with() {
    local text=$1
    shift
    run "$@"
    [ "$status" -ne 0 ] || { echo "did not fail: $*"; echo "$output"; return 1; }
    case $output in
    *"$text"*) ;;
    *) echo "failed without saying '$text': $*"; echo "$output"; return 1 ;;
    esac
}

# Makes the root and a daemon.json; engine_config replaces it. Paths stay short, for sockets' sake.
engine_root() {
    engine_dir=$(mktemp -d "$WARREN_TEST_TMP/e.XXXXXX")
    engine_socket=$engine_dir/run/warren.sock
    mkdir -p "$engine_dir/logs"
    echo '{}' >"$engine_dir/daemon.json"
    : >"$engine_dir/crictl.yaml"
}

engine_config() {
    cat >"$engine_dir/daemon.json"
}

# Starts warrend (a root is made where there is none yet) and waits until it answers.
engine_start() {
    [ -n "${engine_dir:-}" ] || engine_root
    # bats waits for whoever holds descriptor 3
    "$WARREN_BUILD/bin/warrend" --config-file "$engine_dir/daemon.json" --data-root "${engine_data:-$engine_dir/data}" \
        --exec-root "$engine_dir/run" -H "unix://$engine_socket" --pidfile "$engine_dir/pid" "$@" \
        >>"$engine_dir/warrend.log" 2>&1 3>&- 4>&- &
    engine_pid=$!
    wait_until 20 engine_answers_or_ended
    engine_answers || { echo "warrend did not start:"; cat "$engine_dir/warrend.log"; return 1; }
}

engine_answers() {
    cri version
}

engine_answers_or_ended() {
    ! kill -0 "$engine_pid" 2>/dev/null || engine_answers
}

warren() {
    timeout 120 "$WARREN_BUILD/bin/warren" -H "unix://$engine_socket" "$@" 3>&-
}

# WARREN_TEST_CRICTL=PATH runs the tests with cri-tools' own crictl in place of `warren cri`.
cri() {
    if [ -n "${WARREN_TEST_CRICTL:-}" ]; then
        timeout 120 "$WARREN_TEST_CRICTL" --config "$engine_dir/crictl.yaml" --runtime-endpoint "unix://$engine_socket" \
            --image-endpoint "unix://$engine_socket" "$@" 3>&-
    else
        timeout 120 "$WARREN_BUILD/bin/warren" cri --runtime-endpoint "unix://$engine_socket" "$@" 3>&-
    fi
}

# Ends warrend only; what runs goes on.
engine_stop() {
    [ -n "${engine_pid:-}" ] || return 0
    kill -"${1:-TERM}" "$engine_pid" 2>/dev/null || true
    wait_until 10 engine_gone || { kill -KILL "$engine_pid"; echo "warrend did not end when told to"; return 1; }
    wait "$engine_pid" 2>/dev/null || true
    engine_pid=
}

engine_gone() {
    ! kill -0 "$engine_pid" 2>/dev/null || grep -q '^State:.*Z' "/proc/$engine_pid/status"
}

# For teardown: removes all pods, ends the engine and its sandboxers, and fails where anything of it is left.
engine_end() {
    local pid left=0 pods
    [ -n "${engine_dir:-}" ] || return 0
    if [ -n "${engine_pid:-}" ] && kill -0 "$engine_pid" 2>/dev/null; then
        pods=$(cri pods -q 2>/dev/null) || true
        # shellcheck disable=SC2086
        [ -z "$pods" ] || cri rmp -f $pods >/dev/null || { echo "pods could not be removed: $pods"; left=1; }
    fi
    engine_stop || left=1
    # Sandboxers outlive their engine by design; nobody needs these any more. Then nothing at all may be left.
    for pid in $(root_processes "$engine_dir"); do
        if readlink "/proc/$pid/exe" | grep -qE '/warren-(namespace|wasm)$'; then kill "$pid" 2>/dev/null || true; fi
    done
    wait_until 5 root_is_empty "$engine_dir" || {
        left=1
        echo "processes are left:"
        for pid in $(root_processes "$engine_dir"); do ps -o pid=,ppid=,args= -p "$pid"; done
    }
    if grep -F " $engine_dir/" /proc/self/mountinfo; then
        left=1
        echo "mounts are left"
    fi
    [ $left = 0 ] || { echo "warrend's log:"; tail -n 30 "$engine_dir/warrend.log"; }
    root_remove "$engine_dir"
    engine_dir=
    return $left
}

# Builds the examples' images into the engine.
images_build() {
    local name
    for name; do
        warren build -q -t "$name:latest" "$examples/$name" >/dev/null
    done
}

# pod_config NAME [JSON members to merge]: prints the path of a pod.json on host network, logs below the root.
pod_config() {
    local path=$engine_dir/$1.pod.json
    jq -n --arg name "$1" --arg logs "$engine_dir/logs" --argjson more "${2:-{\}}" \
        '{metadata: {name: $name, namespace: "default", uid: $name}, log_directory: $logs,
          linux: {security_context: {namespace_options: {network: 2, pid: 1}}}} * $more' >"$path"
    echo "$path"
}

# container_config NAME IMAGE COMMAND(JSON list) [JSON members to merge]
container_config() {
    local path=$engine_dir/$1.container.json
    jq -n --arg name "$1" --arg image "$2" --argjson command "$3" --argjson more "${4:-{\}}" \
        '{metadata: {name: $name}, image: {image: $image}, command: $command, log_path: ($name + ".log"),
          linux: {security_context: {namespace_options: {network: 2, pid: 1}}}} * $more' >"$path"
    echo "$path"
}

container_has_exited() {
    [ "$(cri inspect "$1" | jq -r .status.state)" = CONTAINER_EXITED ]
}

exit_code() {
    cri inspect "$1" | jq .status.exitCode
}

log_has() {
    cri logs "$1" 2>&1 | grep -qF -- "$2"
}
