#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long is it from RunPodSandbox to a guest's first line in its log, on an engine that does nothing else? For the first pod of a
# tenant, whose worker is started with it, and for later ones; each pod is removed before the next. And an instance's start alone.
#   bench/wasm_cold.sh [STARTS]      default 220, ten later ones to one first
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/engine.sh
bench_root
bench_engine
make --no-print-directory -C examples >/dev/null
bench_image wasi-demo build/examples/wasi-demo
bench_machine
echo
build/bin/criload --cold "${1:-220}" --endpoint "unix://$socket" --runtime-handler wasm --image wasi-demo:latest \
    --command "/wasi-demo.wasm wait {name}" --log-dir "$root/logs" &
bench_wait $!
bench_pods_left=no
echo
build/obj/bench/bench-wasm-instance build/examples/wasi-demo/wasi-demo.wasm 10000 wait name
