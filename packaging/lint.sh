#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formatting and static checks of our own sources. --tidy adds clang-tidy, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

check() {
    local what=$1
    shift
    if "$@"; then printf '  %s: good\n' "$what"; else
        printf '  %s: FAILED\n' "$what"
        failed=1
    fi
}

c_sources() {
    git ls-files -z --cached --others --exclude-standard '*.c' '*.h'
}

formatted() {
    local unformatted
    unformatted=$(c_sources | xargs -0 clang-format --dry-run 2>&1 | sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: warning: .*/\1/p' | sort -u)
    [ -z "$unformatted" ] || { printf 'clang-format would change %s\n' $unformatted; return 1; }
}

licensed() {
    local file bad=0
    while IFS= read -r -d '' file; do
        [ -s "$file" ] || continue
        head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "$file lacks the SPDX line"; bad=1; }
    done < <(git ls-files -z --cached --others --exclude-standard '*.c' '*.h' '*.go' '*.proto' '*.sh' '*.py' '*.bats' '*.bash' '*/meson.build' meson.build)
    return $bad
}

# A room includes only from those above it in src/meson.build.
layered() {
    local rooms bad=0 i room
    read -r -a rooms < <(sed -n "/^foreach room/,/\]/p" src/meson.build | tr -d "\n" | sed "s/.*\[//; s/\].*//; s/[',]/ /g"; echo)
    for i in "${!rooms[@]}"; do
        for room in "${rooms[@]:i+1}"; do
            if grep -nE "^#include \"$room/" -r "src/${rooms[i]}" 2>/dev/null; then
                echo "src/${rooms[i]} includes from $room, which is above it"
                bad=1
            fi
        done
    done
    return $bad
}

shell_parses() {
    local file bad=0
    while IFS= read -r -d '' file; do
        bash -n "$file" || bad=1
    done < <(git ls-files -z --cached --others --exclude-standard '*.sh' '*.bash' .ci/run)
    return $bad
}

go_formatted() {
    local unformatted
    unformatted=$(gofmt -l bench tests)
    [ -z "$unformatted" ] || { echo "gofmt would change: $unformatted"; return 1; }
}

tidied() {
    git ls-files 'src/*.c' | xargs -P 2 -n 8 clang-tidy --quiet -p build/obj --warnings-as-errors='*'
}

check "clang-format" formatted
check "gofmt" go_formatted
check "SPDX lines" licensed
check "rooms include only from rooms before them" layered
check "shell scripts parse" shell_parses
if [ "${1:-}" = --tidy ]; then check "clang-tidy" tidied; fi
exit $failed
