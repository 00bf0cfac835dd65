#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How fast do guests compute? The same C programs natively (clang -O2), in pods of the busy and of the dense profile, and by PyPI's
# wasmtime with its default engine, interleaved: bench/guests/compute.c times itself.
#   bench/wasm_compute.sh [ROUNDS [PROGRAM...]]      default 5 and sha256 matrix nbody sort
#   WASMTIME_PYTHON=PYTHON   one that has wasmtime; else a venv is made below the temporary root
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/engine.sh
bench_root
bench_pods_left=no # each pod is removed when it has ended
mkdir "$root/context"
clang --target=wasm32-wasi -O2 -s -Wl,-z,stack-size=65536 -Wl,--stack-first -o "$root/context/compute.wasm" bench/guests/compute.c -lm
clang -O2 -o "$root/compute" bench/guests/compute.c -lm
printf 'FROM scratch\nADD compute.wasm /\n' >"$root/context/Dockerfile"
python=${WASMTIME_PYTHON:-$root/venv/bin/python}
[ -x "$python" ] || { python3 -m venv "$root/venv" && "$root/venv/bin/pip" install -q wasmtime; }
bench_engine
bench_image compute "$root/context"
bench_machine
"$python" bench/wasm_compute.py "$root" "$socket" "${1:-5}" "${@:2}" &
bench_wait $!
