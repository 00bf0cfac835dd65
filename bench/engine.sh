# SPDX-License-Identifier: Apache-2.0
# Sourced by the benches that run an engine of their own under a temporary root: bench_engine starts it, with the examples'
# images; all of it is ended and removed when the script ends, also when it is interrupted.
. packaging/root.sh

bench_finish() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    if [ -n "${engine:-}" ] && kill -0 "$engine" 2>/dev/null; then
        [ $status = 0 ] || echo "$(basename "$0"): ended early; removing what it made" >&2
        [ "${bench_pods_left:-}" = no ] || timeout 300 build/bin/criload --endpoint "unix://$socket" --wipe --prefix "${bench_prefix:-criload}" \
            --parallel 8 >/dev/null 2>&1 || true
        kill "$engine" 2>/dev/null || true
        wait "$engine" 2>/dev/null || true
    fi
    if [ $status != 0 ] && [ -s "$root/warrend.log" ]; then tail -n 20 "$root/warrend.log" >&2; fi
    root_remove "$root"
    exit $status
}

# bench_root: a temporary root, $root; BENCH_ROOT says where else than below /tmp, for a file system of one's choice.
bench_root() {
    local program
    [ "$(id -u)" = 0 ] || { echo "$(basename "$0"): run it as root" >&2; exit 1; }
    for program in warrend warren warren-wasm criload; do
        [ -x build/bin/$program ] || { echo "$(basename "$0"): there is no build/bin/$program" >&2; exit 1; }
    done
    root=$(mktemp -d "${BENCH_ROOT:-/tmp}/warren-bench.XXXXXX")
    socket=$root/run/warren.sock
    mkdir -p "$root/logs"
    echo '{}' >"$root/daemon.json"
    trap bench_finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# In a session of its own: an interrupt at the terminal is for the script, which then removes the pods.
bench_start() {
    setsid build/bin/warrend --config-file "$root/daemon.json" --data-root "$root/data" --exec-root "$root/run" -H "unix://$socket" \
        --pidfile "$root/pid" >>"$root/warrend.log" 2>&1 &
    engine=$!
}

bench_engine() {
    bench_start
    for _ in $(seq 200); do
        ! build/bin/warren -H "unix://$socket" images >/dev/null 2>&1 || return 0
        kill -0 $engine 2>/dev/null || break
        sleep 0.1
    done
    echo "$(basename "$0"): warrend does not answer" >&2
    exit 1
}

bench_image() { # NAME DIRECTORY
    build/bin/warren -H "unix://$socket" build -q -t "$1:latest" "$2" >/dev/null
}

bench_machine() {
    echo "$(date -u +%F), $(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), kernel $(uname -r), load average $(cut -d' ' -f1 /proc/loadavg) before"
}

# bench_wait PID: waits for a load in the background, so that an interrupt of the script alone reaches it as well.
bench_wait() {
    local status=0
    trap "kill -INT $1 2>/dev/null; wait $1; exit 130" INT
    trap "kill -INT $1 2>/dev/null; wait $1; exit 143" TERM
    wait "$1" || status=$?
    return $status
}
