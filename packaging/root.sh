# SPDX-License-Identifier: Apache-2.0
# Sourced by what runs an engine under a temporary root, the demo and the system tests: finds and ends what belongs to it.

# The processes that live in a root, one pid a line: those that name it in their arguments, those of a mount namespace with a
# mount from it, and the descendants of both.
root_processes() {
    local root=$1 self_mounts process pid
    self_mounts=$(readlink /proc/self/ns/mnt)
    for process in /proc/[0-9]*; do
        pid=${process#/proc/}
        [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && [ "$pid" != "$PPID" ] || continue
        if readlink "$process/exe" 2>/dev/null | grep -qE '/(warrend|warren-[a-z]*)$' &&
            tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -qF "$root/"; then
            echo "$pid"
        elif [ "$(readlink "$process/ns/mnt" 2>/dev/null)" != "$self_mounts" ] &&
            grep -qF "$root/" "$process/mountinfo" 2>/dev/null; then
            echo "$pid"
        fi
    done
}

root_is_empty() {
    [ -z "$(root_processes "$1")" ]
}

# Ends what still runs in the root (sandboxers and what they hold outlive their engine by design), unmounts, removes.
root_remove() {
    local root=$1 try pid
    for try in TERM KILL; do
        for pid in $(root_processes "$root"); do kill -$try "$pid" 2>/dev/null || true; done
        for _ in $(seq 30); do
            root_is_empty "$root" && break 2
            sleep 0.1
        done
    done
    awk -v d="$root/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r | while read -r mount; do
        umount -l "$mount"
    done
    rm -rf --one-file-system "$root"
}
