# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts that do long work: one line a step on the terminal, everything else in build/log.
#   step NAME "what is being done" COMMAND...
log_dir=${WARREN_LOG_DIR:-build/log}

step() {
    local name=$1 what=$2 log=$log_dir/$1.log begin=$SECONDS child
    shift 2
    mkdir -p "$log_dir"
    printf '  %s …' "$what"
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    # on a terminal the seconds go by; elsewhere a dot every ten
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        if [ -t 1 ]; then
            printf '\r  %s … %d s' "$what" $((SECONDS - begin))
        elif [ $((SECONDS - begin)) -ge $((${dots:-0} + 10)) ]; then
            printf '.'
            dots=$((SECONDS - begin))
        fi
    done
    dots=0
    if wait "$child"; then
        if [ -t 1 ]; then
            printf '\r  %s … done in %d s\n' "$what" $((SECONDS - begin))
        else
            printf ' done in %d s\n' $((SECONDS - begin))
        fi
    else
        printf ' FAILED after %d s. The end of %s:\n' $((SECONDS - begin)) "$log"
        tail -n 30 "$log" | sed 's/^/    | /'
        return 1
    fi
}
