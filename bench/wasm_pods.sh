#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The published run: many wasm pods by CRI on one node, each RunPodSandbox + CreateContainer + StartContainer on host network, with
# its own log; status of random ones asked meanwhile, each hundredth's line looked for, all listed, all removed.
#   bench/wasm_pods.sh [PODS] [CLIENTS]      default 1000 and 8
#   WASM_PODS_SAMPLES=FILE   keeps the samples, for bench/plot.py; LOGS=pod gives each pod a directory for its log, as the kubelet does
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/engine.sh
pods=${1:-1000} clients=${2:-8}
bench_root
bench_engine
make --no-print-directory -C examples >/dev/null
bench_image wasi-demo build/examples/wasi-demo
machine=$(bench_machine)
sync
echo 2 >/proc/sys/vm/drop_caches # names and inodes of others' files, which would go while it runs: growth would be hidden
per_pod=()
[ "${LOGS:-shared}" != pod ] || per_pod=(--log-dir-per-pod)
status=0
build/bin/criload --endpoint "unix://$socket" --runtime-handler wasm --pods "$pods" --parallel "$clients" --image wasi-demo:latest \
    --command "/wasi-demo.wasm wait {name}" --expect "{name} is here" --log-dir "$root/logs" "${per_pod[@]}" --measure "build/bin,$root" \
    --samples "$root/samples.jsonl" --probe 10ms --list --settle 5s --settle-after 15s --progress --json >"$root/result.json" &
bench_wait $! || status=$?
[ $status != 0 ] || bench_pods_left=no
[ -z "${WASM_PODS_SAMPLES:-}" ] || cp "$root/samples.jsonl" "$WASM_PODS_SAMPLES"
[ ! -s "$root/result.json" ] || python3 bench/wasm_pods.py "$machine" "$root/samples.jsonl" <"$root/result.json"
exit $status
