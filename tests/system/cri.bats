#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `warren cri` as its users meet it: flags, output, errors. What the pods do is tested elsewhere.

load helper

setup() {
    need_root
    need_program warrend warren warren-namespace
    [ -z "${WARREN_TEST_CRICTL:-}" ] || skip "about warren cri"
    engine_start
}

teardown() {
    engine_end
}

@test "without an engine the message names the socket" {
    fails_with "$engine_dir/nobody.sock" cri --runtime-endpoint "unix://$engine_dir/nobody.sock" ps
}

@test "an unknown command and an unknown flag are named" {
    fails_with "'frobnicate'" cri frobnicate
    fails_with "-frob" cri ps --frob
    fails_with "flag needs an argument" cri ps --name
}

@test "help is given for every command" {
    local command
    for command in run runp ps pods stop rm logs exec images inspect; do
        cri "$command" --help | grep -q "warren cri $command"
    done
}

@test "a config in YAML is refused as such, a broken one with its line" {
    printf 'metadata:\n  name: a\n' >"$engine_dir/pod.yaml"
    fails_with "YAML is not supported" cri runp "$engine_dir/pod.yaml"
    printf '{"metadata":\n {"name": "a",,}}' >"$engine_dir/pod.json"
    fails_with "line 2" cri runp "$engine_dir/pod.json"
    echo '{"metadata": {"name": "a", "namespace": "b", "attempt": "many"}}' >"$engine_dir/pod.json"
    fails_with "metadata.attempt: expected an integer" cri runp "$engine_dir/pod.json"
    echo '{"metadata": {"name": "a"}}' >"$engine_dir/pod.json"
    fails_with "name or namespace is not in metadata" cri runp "$engine_dir/pod.json"
    fails_with "not found" cri runp "$engine_dir/nothing.json"
    [ -z "$(cri pods -q)" ]
}

@test "an unknown key is warned of and a pod is made all the same" {
    local pod
    run cri runp "$(pod_config a '{"colour": "red"}')"
    [ "$status" = 0 ]
    [[ $output == *'unknown key "colour"'* ]]
    pod=$(cri pods -q)
    [ "$(cri inspectp "$pod" | jq -r .status.metadata.name)" = a ]
}

@test "pods are found by id, name, state and label, newest first" {
    local first second
    first=$(cri runp "$(pod_config one '{"labels": {"app": "x"}}')")
    second=$(cri runp "$(pod_config two)")
    [ "$(cri pods -q)" = "$second"$'\n'"$first" ]
    [ "$(cri pods -q --name '^on')" = "$first" ]
    [ "$(cri pods -q --label app=x)" = "$first" ]
    [ "$(cri pods -q --id "$second")" = "$second" ]
    [ "$(cri pods -ql)" = "$second" ]
    cri stopp "$first" | grep -qx "Stopped sandbox $first"
    [ "$(cri pods -q --state ready)" = "$second" ]
    [ "$(cri pods -q -s NotReady)" = "$first" ]
    cri pods | grep -q "^${first:0:13} .* NotReady  *one  *default  *0  *(default)\$"
    cri pods --no-trunc | grep -q "^$first "
    cri pods -o json | jq -e '.items | length == 2 and .[0].state == "SANDBOX_READY"'
    fails_with "is running, please stop it first" cri rmp "$second"
    cri rmp -f "$second" | grep -qx "Removed sandbox $second"
    cri rmp -a
    [ -z "$(cri pods -q)" ]
}

@test "one of several that fails is told and the others are done" {
    local pod
    pod=$(cri runp "$(pod_config a)")
    fails_with "nosuch" cri rmp -f nosuch "$pod"
    [ -z "$(cri pods -q)" ]
}

@test "what is not there yet is refused with a sentence" {
    fails_with "streaming" cri exec abc ls
    fails_with "streaming" cri attach abc
    fails_with "go-template" cri pods -o go-template
    fails_with "no registry client" cri pull alpine
}

@test "version, info and runtime-config answer" {
    cri version | grep -q '^RuntimeApiVersion:  v1$'
    cri info | jq -e '.status.conditions | map(select(.type == "RuntimeReady"))[0].status'
    cri runtime-config | grep -q '^cgroup driver: '
}
