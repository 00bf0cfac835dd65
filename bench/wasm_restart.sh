#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What does kill -9 of the engine, of the sandboxer, and of both cost while many wasm pods run? Each is killed, the engine is started
# again where it was killed, and the clock runs until all pods are ready and all containers run in its lists, and until a pod more
# runs. Then all are removed, which none refuses.
#   bench/wasm_restart.sh [PODS]      default 1000
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/engine.sh
pods=${1:-1000}
bench_root
bench_engine
make --no-print-directory -C examples >/dev/null
bench_image wasi-demo build/examples/wasi-demo
bench_machine
criload() { build/bin/criload --endpoint "unix://$socket" "$@"; }
criload --runtime-handler wasm --pods "$pods" --parallel 8 --image wasi-demo:latest --command "/wasi-demo.wasm wait {name}" \
    --expect "{name} is here" --log-dir "$root/logs" --keep --progress >"$root/load" &
bench_wait $!
sandboxer() { pgrep -f "/warren-wasm .*$root/" | head -1 || true; }
# again WHAT: what was lost, if anything, and when a new pod runs
again() {
    local begin
    begin=$(date +%s%N)
    echo "$1: $(criload --await "$pods" --timeout 120s)"
    for _ in $(seq 200); do
        ! criload --prefix again --runtime-handler wasm --image wasi-demo:latest --command "/wasi-demo.wasm wait again" --pods 1 --settle 0s \
            --settle-after 0s >/dev/null 2>&1 || { echo "    a new pod has run and was removed after $((($(date +%s%N) - begin) / 1000000)) ms"; return; }
        sleep 0.02
    done
    echo "    no new pod runs"
    return 1
}
kill_engine() {
    kill -9 "$engine" "$@"
    wait "$engine" 2>/dev/null || true
    bench_start
}
kill_engine
again "engine killed"
kill -9 "$(sandboxer)"
again "sandboxer killed"
kill_engine "$(sandboxer)"
again "both killed"
criload --wipe --parallel 8
bench_pods_left=no
