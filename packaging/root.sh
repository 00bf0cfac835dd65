# SPDX-License-Identifier: Apache-2.0
# Sourced by what runs an engine under a temporary root, the demo and the system tests: finds and ends what belongs to it.

# The processes that live in a root, one pid a line: programs of ours that name it in their arguments, those of another mount
# namespace with a mount from it, and keepers (which run from memory) that hold a file or a socket of it.
root_processes() {
    local root=$1 hit pid own
    own=$(readlink /proc/self/ns/mnt)
    # one grep for all: a machine may run thousands of processes
    grep -lsaF "$root/" /proc/[0-9]*/cmdline /proc/[0-9]*/mountinfo | while read -r hit; do
        pid=${hit#/proc/} pid=${pid%%/*}
        case $hit in
        */cmdline) readlink "/proc/$pid/exe" 2>/dev/null | grep -qE '/(warrend|warren-[a-z-]*)$' || continue ;;
        */mountinfo) [ "$(readlink "/proc/$pid/ns/mnt" 2>/dev/null || echo "$own")" != "$own" ] || continue ;;
        esac
        echo "$pid"
    done | cat - <(root_keepers "$root") | sort -un
}

root_keepers() {
    local root=$1 keeper held socket
    local sockets
    sockets=$(awk -v d="$root/" 'index($8, d) == 1 {print $7}' /proc/net/unix)
    grep -lsa '^warren-keeper' /proc/[0-9]*/cmdline | while read -r keeper; do
        held=$(ls -l "${keeper%/cmdline}/fd" 2>/dev/null)
        case $held in *"$root/"*) socket=file ;; *) socket= ;; esac
        [ -n "$socket" ] || for socket in $sockets ''; do
            case $held in *"socket:[${socket:-none}]"*) break ;; esac
        done
        if [ -n "$socket" ]; then keeper=${keeper#/proc/} && echo "${keeper%/cmdline}"; fi
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
