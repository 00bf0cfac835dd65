#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The peer: containerd 2.4 with crun, from the registries, under a temporary root of its own and in a mount namespace of its
# own (crun 1.8.1 refuses a machine that has cgroup v2 mounted beside v1).
#   bench/containerd.sh COMMAND...    runs COMMAND with CONTAINERD_SOCKET set, then ends containerd and removes its root
# The images busybox:latest (build/examples/busybox) and a pause image are imported.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=$PWD/build/peers
export PATH=$PATH:$PWD/build/deps/go/bin:/usr/sbin:/sbin

if [ "${CONTAINERD_NAMESPACE:-}" != own ]; then
    packaging/peers.sh >&2
    command -v crun >/dev/null || { echo "containerd.sh: crun is not installed (Debian's package crun)" >&2; exit 1; }
    CONTAINERD_NAMESPACE=own exec unshare --mount --propagation private bash "$0" "$@"
fi

umount /sys/fs/cgroup/unified 2>/dev/null || true
root=$(mktemp -d /tmp/warren-peer.XXXXXX)
finish() {
    set +e
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
    for _ in $(seq 50); do pkill -9 -f "containerd-shim-runc-v2 .*$root/" || break; sleep 0.1; done
    awk '{print $5}' /proc/self/mountinfo | grep "^$root/" | sort -r | while read -r mount; do umount -l "$mount" || true; done
    for _ in 1 2 3 4 5; do rm -rf "$root" 2>/dev/null && break; sleep 0.2; done
    find /sys/fs/cgroup/*/k8s.io -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap finish EXIT

export CONTAINERD_SOCKET=$root/containerd.sock
# crun 1.8.1 refuses a spec that calls itself newer than 1.0: a wrapper rewrites that one word and calls it.
gcc -x c -O2 -static -o "$root/crun" - <<C
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char path[4096], text[4096];
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--bundle") != 0)
            continue;
        snprintf(path, sizeof path, "%s/config.json", argv[i + 1]);
        int fd = open(path, O_RDWR);
        ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        char *version = strstr(text, "\\"ociVersion\\":\\"");
        if (version && pwrite(fd, "1.0.2", 5, version + 14 - text) != 5)
            return 1;
        close(fd);
    }
    execv("$(command -v crun)", argv);
    return 1;
}
C
cat >"$root/config.toml" <<T
version = 3
root = "$root/data"
state = "$root/state"
[grpc]
address = "$root/containerd.sock"
[ttrpc]
address = "$root/containerd.sock.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "docker.io/library/pause:latest"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "crun"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun.options]
BinaryName = "$root/crun"
T
PATH=$peers:$PATH "$peers/containerd" --config "$root/config.toml" --log-level warn >"$root/log" 2>&1 &
pid=$!
for _ in $(seq 100); do [ -S "$CONTAINERD_SOCKET" ] && break; sleep 0.1; done

# Images: the same busybox that Warren's are built from, and a pause whose program only sleeps.
image() { # NAME ROOTFS.tar ENTRYPOINT-JSON
    local name=$1 tar=$2 entrypoint=$3 dir=$root/image
    rm -rf "$dir"; mkdir -p "$dir"
    cp "$tar" "$dir/layer.tar"
    printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$entrypoint" "$(sha256sum "$tar" | cut -d' ' -f1)" >"$dir/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" >"$dir/manifest.json"
    tar -C "$dir" -cf "$root/image.tar" manifest.json config.json layer.tar
    "$peers/ctr" -a "$CONTAINERD_SOCKET" -n k8s.io images import "$root/image.tar" >/dev/null
}
mkdir -p "$root/pause"
printf 'void _start(void){for(;;)__asm__ volatile("syscall"::"a"(34):"rcx","r11","memory");}' |
    gcc -x c -O2 -nostdlib -static -o "$root/pause/pause" -
tar -C "$root/pause" -cf "$root/pause.tar" pause
image docker.io/library/pause:latest "$root/pause.tar" '["/pause"]'
image docker.io/library/busybox:latest build/examples/busybox/rootfs.tar '["sh"]'
PEER_LOG=$root/log "$@"
