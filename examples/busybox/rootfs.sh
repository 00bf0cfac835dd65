#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the tar that the busybox image is built from: Debian's static busybox, a link for each of its applets, and the few
# files that programs look for. rootfs.sh TAR
set -euo pipefail
tar=$(realpath "$1")
busybox=$(command -v busybox) || { echo "rootfs.sh: there is no busybox; Debian has it in busybox-static" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,dev,etc,home,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var}
chmod 1777 "$root/tmp"
chmod 700 "$root/root"
cp "$busybox" "$root/bin/busybox"
"$busybox" --list-full | while read -r applet; do
    mkdir -p "$root/$(dirname "$applet")"
    [ "$applet" = bin/busybox ] || ln -sf /bin/busybox "$root/$applet"
done
# what scripts call by its old path
[ -e "$root/bin/ps" ] || ln -s busybox "$root/bin/ps"

cat >"$root/etc/passwd" <<'P'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
user:x:1000:1000:user:/home:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
P
cat >"$root/etc/group" <<'P'
root:x:0:
daemon:x:1:
tty:x:5:
user:x:1000:
nogroup:x:65534:
P
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

# the same bytes each time, so that the image keeps its id
tar --create --file "$tar" --directory "$root" --sort name --numeric-owner --owner 0 --group 0 --mtime @0 .
