#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How fast are pods by CRI, and what does one weigh? Warren's two techniques and containerd 2.4 with crun, one after the other in
# the same run: RunPodSandbox + CreateContainer + StartContainer on host network, with 1 and with 8 clients.
#   bench/cri.sh [PODS]      default 100
# Memory a pod is (PSS of all processes of the engine + growth of Slab, PageTables, KernelStack, Shmem) / pods.
set -euo pipefail
cd "$(dirname "$0")/.."
pods=${1:-100}
root=$(mktemp -d /tmp/warren-bench.XXXXXX)
cleanup() {
    [ -z "${engine:-}" ] || { kill "$engine" && wait "$engine"; } 2>/dev/null || true
    rm -rf "$root"
}
trap cleanup EXIT

row='%-28s %8s %10s %10s %12s %12s %12s\n'
idle() { # PSS of the processes below a directory, MB
    local sum=0 kb
    for p in /proc/[0-9]*; do
        case $(readlink "$p/exe" 2>/dev/null) in
        "$1"/*) kb=$(awk '/^Pss:/ {print $2}' "$p/smaps_rollup" 2>/dev/null || true); sum=$((sum + ${kb:-0})) ;;
        esac
    done
    awk "BEGIN {printf \"%.1f\", $sum / 1024}"
}
load() { # NAME SOCKET HANDLER IMAGE COMMAND PROGRAMS CLIENTS IDLE
    local out
    out=$(build/bin/criload --endpoint "unix://$2" --runtime-handler "$3" --image "$4" --command "$5" --pods "$pods" \
        --parallel "$7" --network host --measure "$6" --settle 2s --json)
    printf '%s' "$out" | python3 bench/cri_row.py "$1" "$7" "$8"
}
case ${2:-} in
peer) # in bench/containerd.sh's namespace
    i=$(idle "$PWD/build/peers")
    for clients in 1 8; do
        load "containerd 2.4.2, crun" "$CONTAINERD_SOCKET" crun busybox:latest "sleep 987654" "$PWD/build/peers,pause,sleep" $clients "$i"
    done
    exit
    ;;
esac

printf '%s\n' "pods: $pods, host network, $(date -u +%F), $(nproc) cores, kernel $(uname -r)"
printf "$row" engine clients pods/s "p50 ms" "p99 ms" "MB a pod" "idle MB"
build/bin/warrend --config-file /dev/null --data-root "$root/data" --exec-root "$root/run" 2>"$root/log" &
engine=$!
for _ in $(seq 100); do build/bin/warren -H "unix://$root/run/warren.sock" images >/dev/null 2>&1 && break; sleep 0.1; done
build/bin/warren -H "unix://$root/run/warren.sock" build -q -t busybox:latest build/examples/busybox >/dev/null
build/bin/warren -H "unix://$root/run/warren.sock" build -q -t wasi-demo:latest build/examples/wasi-demo >/dev/null
i=$(idle "$PWD/build/bin")
# the namespace technique first: the wasm technique's worker stays for a while, and would be counted for both
for clients in 1 8; do
    load "warren namespace" "$root/run/warren.sock" namespace busybox:latest "sleep 987654" "$PWD/build/bin,warren-keeper,sleep" $clients "$i"
done
for clients in 1 8; do
    load "warren wasm" "$root/run/warren.sock" wasm wasi-demo:latest "/wasi-demo.wasm daemon" "$PWD/build/bin" $clients "$i"
done
bench/containerd.sh bash "$0" "$pods" peer
