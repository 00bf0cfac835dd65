#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The programs of others that tests and benchmarks run beside Warren, into build/peers: containerd from the Go module proxy, and
# docker's CLI out of Debian's package where the machine has none. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.4.2
peers=$PWD/build/peers
mkdir -p "$peers"

for program in containerd containerd-shim-runc-v2 ctr; do
    [ -x "$peers/$program" ] || GOBIN=$peers GOFLAGS=-p=2 CGO_ENABLED=0 go install \
        "github.com/containerd/containerd/v2/cmd/$program@$version"
done
if ! command -v docker >/dev/null && [ ! -x "$peers/docker" ]; then
    part=$(mktemp -d "$peers/docker.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    (cd "$part" && apt-get download docker.io && dpkg --extract docker.io_*.deb .)
    mv "$part/usr/bin/docker" "$peers/docker"
fi
touch "$peers/ready"
