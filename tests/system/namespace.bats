# SPDX-License-Identifier: Apache-2.0
load helper

setup() {
    need_root
    need_program warrend warren warren-namespace warren-wasm
    engine_start
    images_build busybox
}

teardown() { engine_end; }

# sh_run NAME SCRIPT [JSON members of the container] [of the pod]
sh_run() {
    local command
    command=$(jq -nc --arg s "$2" '["sh", "-c", $s]')
    cri run --no-pull "$(container_config "$1" busybox:latest "$command" "${3:-{\}}")" "$(pod_config "$1" "${4:-{\}}")"
}

@test "two containers of a pod see only themselves" {
    pod=$(pod_config pair)
    id=$(cri runp --runtime=namespace "$pod")
    a=$(cri create "$id" "$(container_config a busybox:latest '["sleep", "3600"]')" "$pod")
    b=$(cri create "$id" "$(container_config b busybox:latest '["sleep", "3601"]')" "$pod")
    cri start "$a" "$b"
    run cri exec -s "$a" ps
    [[ $output == *"sleep 3600"* ]]
    [[ $output != *"sleep 3601"* ]]
    [ "${#lines[@]}" -eq 3 ]
}

@test "a container that exits with 3 reports 3" {
    id=$(sh_run three 'exit 3')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 3 ]
}

@test "a container ended by a signal reports 128 and the signal" {
    id=$(sh_run killed 'sh -c "kill -9 \$\$"; exit $?')
    wait_until 10 container_has_exited "$id"
    [ "$(exit_code "$id")" = 137 ]
}

@test "a command in a container gives its output and its exit status" {
    id=$(sh_run up 'sleep 3600')
    run cri exec -s "$id" sh -c 'echo to-out; echo to-err >&2; exit 4'
    [ "$status" -ne 0 ]
    [[ $output == *to-out* && $output == *to-err* ]]
    # crictl says the status, warren cri ends with it
    [[ $output == *4* || $status -eq 4 ]]
}

@test "a command that does not exist is named, and the container says why it did not start" {
    fails_with no-such-program cri run --no-pull "$(container_config c busybox:latest '["no-such-program"]')" "$(pod_config p)"
}

@test "a pod's processes have their own namespaces, and the host's network where it is asked for" {
    id=$(sh_run ns 'sleep 3600')
    for ns in mnt pid ipc cgroup; do
        inside=$(cri exec -s "$id" readlink "/proc/self/ns/$ns")
        [ "$inside" != "$(readlink "/proc/self/ns/$ns")" ] || { echo "$ns is the host's"; return 1; }
    done
    [ "$(cri exec -s "$id" readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
}

@test "a container has docker's default capabilities and a seccomp filter" {
    id=$(sh_run caps 'sleep 3600')
    run cri exec -s "$id" cat /proc/1/status
    [[ $output == *$'CapEff:\t00000000a80425fb'* ]]
    [[ $output == *$'Seccomp:\t2'* ]]
}

@test "memory and process limits hold" {
    id=$(sh_run limits 'sleep 3600' '{"linux": {"resources": {"memory_limit_in_bytes": 33554432, "cpu_quota": 50000, "cpu_period": 100000}}}')
    run cri exec -s "$id" sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'
    [[ $output == *33554432* ]]
    id=$(sh_run hungry 'x=a; while :; do x=$x$x; done' '{"linux": {"resources": {"memory_limit_in_bytes": 16777216}}}')
    wait_until 20 container_has_exited "$id"
    [ "$(exit_code "$id")" = 137 ]
    run cri inspect "$id"
    [ "$(jq -r .status.reason <<<"$output")" = OOMKilled ]
}

@test "the host's files are out of reach" {
    id=$(sh_run jail 'sleep 3600')
    echo secret >"$engine_dir/secret"
    run cri exec -s "$id" cat "$engine_dir/secret"
    [ "$status" -ne 0 ]
    run cri exec -s "$id" sh -c 'cd /; for i in 1 2 3 4 5 6 7 8 9; do cd ..; done; ls'
    [[ $output != *work* ]]
    run cri exec -s "$id" mount -t proc proc /mnt
    [ "$status" -ne 0 ]
    run cri exec -s "$id" sh -c 'echo 1 >/proc/sys/kernel/core_uses_pid'
    [ "$status" -ne 0 ]
}

@test "an engine that is killed finds its containers again, with what happened meanwhile" {
    up=$(sh_run up 'while :; do date; sleep 0.2; done')
    ends=$(sh_run ends 'sleep 2; exit 7')
    pid=$(cri inspect "$up" | jq .info.pid)
    engine_stop KILL
    sleep 3
    before=$(wc -l <"$engine_dir/logs/up.log")
    engine_start
    [ "$(cri inspect "$up" | jq -r .status.state)" = CONTAINER_RUNNING ]
    [ "$(cri inspect "$up" | jq .info.pid)" = "$pid" ]
    [ "$before" -gt 8 ]
    wait_until 5 container_has_exited "$ends"
    [ "$(exit_code "$ends")" = 7 ]
}

# What a helper of the engine does, found by what it was started with.
process_of() {
    pgrep -f -- "$1"
}

@test "a sandboxer that is killed leaves its pods running, and the next one finds them with what happened meanwhile" {
    up=$(sh_run up 'while :; do date; sleep 0.2; done')
    ends=$(sh_run ends 'sleep 1; exit 7')
    pid=$(cri inspect "$up" | jq .info.pid)
    kill -9 "$(process_of "warren-namespace .*--dir $engine_dir/")"
    sleep 1.5
    wait_until 10 container_has_exited "$ends"
    [ "$(exit_code "$ends")" = 7 ]
    [ "$(cri inspect "$up" | jq -r .status.state)" = CONTAINER_RUNNING ]
    [ "$(cri inspect "$up" | jq .info.pid)" = "$pid" ]
    before=$(wc -l <"$engine_dir/logs/up.log")
    [ "$before" -gt 5 ]
    sleep 0.6
    [ "$(wc -l <"$engine_dir/logs/up.log")" -gt "$before" ]
    [ "$(cri exec -s "$up" echo back)" = back ]
}

@test "a keeper that is killed ends its pod, which is reported, and no other" {
    victim=$(sh_run victim 'sleep 3600')
    other=$(sh_run other 'sleep 3600')
    pod=$(cri inspect "$victim" | jq -r .info.sandboxID)
    pid=$(cri inspect "$victim" | jq .info.pid)
    kill -9 "$(process_of "warren-keeper $pod")"
    wait_until 10 container_has_exited "$victim"
    [ "$(exit_code "$victim")" = 137 ]
    wait_until 5 test ! -e "/proc/$pid"
    [ "$(cri inspectp "$pod" | jq -r .status.state)" = SANDBOX_NOTREADY ]
    [ "$(cri inspect "$other" | jq -r .status.state)" = CONTAINER_RUNNING ]
    [ "$(cri exec -s "$other" echo well)" = well ]
}

@test "a pod on a network of its own has loopback alone, its hostname, and one network for its containers" {
    local options='{"hostname": "rabbit", "linux": {"security_context": {"namespace_options": {"network": 0, "pid": 1}}}}'
    pod=$(pod_config own "$options")
    id=$(cri runp --runtime=namespace "$pod")
    options='{"linux": {"security_context": {"namespace_options": {"network": 0, "pid": 1}}}}'
    a=$(cri create "$id" "$(container_config a busybox:latest '["sleep", "3600"]' "$options")" "$pod")
    b=$(cri create "$id" "$(container_config b busybox:latest '["sleep", "3600"]' "$options")" "$pod")
    cri start "$a" "$b"
    [ "$(cri exec -s "$a" hostname)" = rabbit ]
    run cri exec -s "$a" ip addr
    [[ $output == *"127.0.0.1"* && $output == *UP* && $output != *eth* ]]
    [ "$(cri exec -s "$a" readlink /proc/self/ns/net)" = "$(cri exec -s "$b" readlink /proc/self/ns/net)" ]
    [ "$(cri exec -s "$a" readlink /proc/self/ns/net)" != "$(readlink /proc/self/ns/net)" ]
    [ "$(cri exec -s "$a" readlink /proc/self/ns/uts)" != "$(readlink /proc/self/ns/uts)" ]
}

@test "containers of a pod that shares its process namespace see each other, and no file of the host behind PID 1" {
    local options='{"linux": {"security_context": {"namespace_options": {"network": 2, "pid": 0}}}}'
    pod=$(pod_config shared "$options")
    id=$(cri runp --runtime=namespace "$pod")
    a=$(cri create "$id" "$(container_config a busybox:latest '["sleep", "3601"]' "$options")" "$pod")
    b=$(cri create "$id" "$(container_config b busybox:latest '["sleep", "3602"]' "$options")" "$pod")
    cri start "$a" "$b"
    run cri exec -s "$a" ps
    [[ $output == *"sleep 3601"* && $output == *"sleep 3602"* ]]
    run cri exec -s "$a" ls /proc/1/root/
    [[ $output != *home* && $output != *work* ]]
    cri stop -t 0 "$b"
    [ "$(cri inspect "$a" | jq -r .status.state)" = CONTAINER_RUNNING ]
}

@test "a pod that was removed leaves no process and no cgroup" {
    id=$(sh_run gone 'sleep 3600 & sleep 3600')
    pod=$(cri inspect "$id" | jq -r .info.sandboxID)
    [ -n "$(find /sys/fs/cgroup -name "$pod*" -print -quit)" ]
    cri rmp -f "$pod"
    [ -z "$(process_of "warren-keeper $pod")" ]
    [ -z "$(find /sys/fs/cgroup -name "$pod*" -print -quit)" ]
}
