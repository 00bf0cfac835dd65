#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job from end to end, each step shown with its command and what it answers: `make demo`. The engine is one of its
# own under a temporary root; all is removed at the end, also when interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/root.sh
pods_wasm=${DEMO_WASM_PODS:-1000}
pods_namespace=${DEMO_NAMESPACE_PODS:-100}
clients=8

[ "$(id -u)" = 0 ] || { echo "demo: the namespace technique needs root here; run it as root" >&2; exit 1; }
for program in warrend warren warren-namespace warren-wasm; do
    [ -x build/bin/$program ] || { echo "demo: there is no build/bin/$program" >&2; exit 1; }
done

root=$(mktemp -d "${TMPDIR:-/tmp}/warren-demo.XXXXXX")
socket=$root/run/warren.sock
# the variables that docker's and crictl's users know
export DOCKER_HOST=unix://$socket CONTAINER_RUNTIME_ENDPOINT=unix://$socket PATH=$PWD/build/bin:$PATH
engine=

finish() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    if [ -n "$engine" ] && kill -0 "$engine" 2>/dev/null; then
        [ $status = 0 ] || printf '\ndemo: ended early; removing what it made\n'
        timeout 120 warren cri rmp --force --all >/dev/null 2>&1 || true
        kill "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    fi
    if [ $status != 0 ] && [ -s "$root/warrend.log" ]; then
        echo "demo: the end of the engine's log:"
        tail -n 20 "$root/warrend.log"
    fi
    root_remove "$root"
    [ $status != 0 ] || printf '\nAll is removed: %s is gone, and nothing of it runs.\n' "$root"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold= plain=
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# shows COMMAND...: the command as one would type it, then what it answers.
shows() {
    printf '%s$ %s%s\n' "$bold" "${*//$PWD\//}" "$plain"
    "$@"
}

# Sets a variable to a command's answer, which is shown as well.
takes() {
    local name=$1 answer
    shift
    printf '%s$ %s%s\n' "$bold" "${*//$PWD\//}" "$plain"
    answer=$("$@")
    printf '%s\n' "$answer"
    printf -v "$name" '%s' "$answer"
}

# The published files, with logs below the root.
config() { jq --arg logs "$root/logs" 'if has("log_directory") then .log_directory = $logs else . end' "examples/$1" >"$root/$1"; }

title "1. An engine of its own, under $root"
mkdir -p "$root/logs"
echo '{}' >"$root/daemon.json"
printf '$ warrend --config-file daemon.json --data-root data --exec-root run -H unix://run/warren.sock --pidfile pid\n'
# in a session of its own: an interrupt at the terminal is for this script, which then removes the pods
setsid warrend --config-file "$root/daemon.json" --data-root "$root/data" --exec-root "$root/run" -H "unix://$socket" \
    --pidfile "$root/pid" >"$root/warrend.log" 2>&1 &
engine=$!
for _ in $(seq 100); do
    ! warren cri version >/dev/null 2>&1 || break
    kill -0 $engine 2>/dev/null || { echo "demo: warrend has ended" >&2; exit 1; }
    sleep 0.1
done
shows warren cri version

title "2. A C program becomes WebAssembly, and an image"
rm -f build/examples/wasi-demo/wasi-demo.wasm
make --no-print-directory -C examples
shows cat build/examples/wasi-demo/Dockerfile
shows warren build -t wasi-demo:latest build/examples/wasi-demo
shows warren images

title "3. Debian's busybox becomes an image"
shows cat build/examples/busybox/Dockerfile
shows warren build -t busybox:latest build/examples/busybox
shows warren images

title "4. The published flow: a wasm pod over CRI"
for file in pod.json container.json busybox-pod.json busybox-a.json busybox-b.json; do config $file; done
cd "$root"
shows cat container.json pod.json
takes container warren cri run --runtime=wasm --no-pull container.json pod.json
sleep 2.2
shows warren cri ps -a
shows warren cri pods
shows warren cri logs "$container"
shows warren cri inspect "$container"
shows warren cri stats
shows warren cri images
pod=$(warren cri pods -q --name test-sandbox1)
shows warren cri stop "$container"
shows warren cri ps -a
shows warren cri rm "$container"
shows warren cri stopp "$pod"
shows warren cri rmp "$pod"
shows warren cri pods

title "5. A namespace pod with two containers"
takes pod warren cri runp --runtime=namespace busybox-pod.json
takes a warren cri create --no-pull "$pod" busybox-a.json busybox-pod.json
takes b warren cri create --no-pull "$pod" busybox-b.json busybox-pod.json
shows warren cri start "$a" "$b"
shows warren cri exec -s "$a" ps
sleep 1.5
shows warren cri ps -a
shows warren cri logs "$b"
printf '%s$ warren cri inspect %s | jq .status.exitCode%s\n' "$bold" "$b" "$plain"
warren cri inspect "$b" | jq .status.exitCode
shows warren cri rmp -f "$pod"
cd - >/dev/null

title "6. $pods_wasm wasm pods and $pods_namespace namespace pods, by $clients clients"
mkdir -p "$root/many"
shows build/bin/criload --endpoint "unix://$socket" --runtime-handler wasm --pods "$pods_wasm" --parallel $clients \
    --image wasi-demo:latest --command "/wasi-demo.wasm daemon" --log-dir "$root/many" --measure build/bin/ --progress
shows build/bin/criload --endpoint "unix://$socket" --runtime-handler namespace --pods "$pods_namespace" --parallel $clients \
    --image busybox:latest --command "sleep 3600" --log-dir "$root/many" --measure build/bin/ --progress
shows warren cri pods
