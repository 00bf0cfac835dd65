#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How do quiet guests fare beside bad ones? Of PODS wasm pods 95 in 100 sleep, wake every ten seconds and tell how late; one in
# 100 each computes without end, traps, fills its memory, writes logs at full speed (moved aside at 4 MiB), reads a FIFO that
# nobody writes. Then a worker is killed, and what computes or blocks is stopped without grace.
#   bench/wasm_hostile.sh [PODS] [CLIENTS] [SECONDS] [TENANTS]      default 1000, 8, 20 and 4; SECONDS for each time that they are watched;
#                                                                   a tenant has a worker of its own
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/engine.sh
pods=${1:-1000} clients=${2:-8} seconds=${3:-20} tenants=${4:-4}
bench_root
mkdir "$root/context"
clang --target=wasm32-wasi -O2 -s -Wl,-z,stack-size=16384 -Wl,--stack-first -o "$root/context/unruly.wasm" bench/guests/unruly.c
printf 'FROM scratch\nADD unruly.wasm /\n' >"$root/context/Dockerfile"
bench_engine
bench_image unruly "$root/context"
bench_machine
echo
build/bin/criload --hostile --endpoint "unix://$socket" --runtime-handler wasm --pods "$pods" --parallel "$clients" --image unruly:latest \
    --namespaces "$tenants" --log-dir "$root/logs" --measure "build/bin,$root" --probe 10ms --watch "${seconds}s" --settle 2s --settle-after 15s --progress &
bench_wait $!
bench_pods_left=no
