# SPDX-License-Identifier: Apache-2.0
# Users of wasm containers: whoever it is may do with files what the same user may in a namespace container of the same image and volume, and
# gets the same error where it may not.
load helper

setup() {
    need_root
    need_program warrend warren warren-wasm warren-namespace
    engine_start
    mkdir "$engine_dir/context" "$engine_dir/context/tree"
    clang --target=wasm32-wasi -O2 -o "$engine_dir/context/user.wasm" "$BATS_TEST_DIRNAME/wasm_user.c"
    musl-gcc -static -Os -o "$engine_dir/context/user" "$BATS_TEST_DIRNAME/wasm_user.c"
    fill "$engine_dir/context/tree"
    mkdir "$engine_dir/context/etc" "$engine_dir/context/second"
    printf 'root:x:0:0::/:\napp:x:1000:1000::/:\n' >"$engine_dir/context/etc/passwd"
    printf 'root:x:0:\nshared:x:2000:other,app\n' >"$engine_dir/context/etc/group"
    chmod 755 "$engine_dir/context" "$engine_dir/context/tree"
    # of two layers: /tree/opened is closed in the lower one and open in the upper
    mkdir -m 755 "$engine_dir/context/second/opened"
    printf 'FROM scratch\nADD user user.wasm /\nADD etc /etc\nADD tree /tree\nADD --chown=1000:1000 tree/open /mine\nADD second /tree\nUSER app\n' \
        >"$engine_dir/context/Dockerfile"
    warren build -q -t user:latest "$engine_dir/context" >/dev/null
}

teardown() { engine_end; }

# fill DIRECTORY: what users differ about
fill() {
    mkdir -m 755 "$1/open" "$1/plain" "$1/plain/d"
    mkdir -m 700 "$1/closed" "$1/opened"
    mkdir -m 1777 "$1/sticky"
    mkdir -m 777 "$1/free" "$1/free/empty"
    mkdir -m 711 "$1/blind"
    mkdir -m 1777 "$1/sticky/empty"
    for dir in open plain closed opened sticky free blind; do
        echo secret >"$1/$dir/secret" && chmod 600 "$1/$dir/secret"
        echo public >"$1/$dir/public" && chmod 644 "$1/$dir/public"
        echo wide >"$1/$dir/wide" && chmod 666 "$1/$dir/wide"
    done
}

# jobs ROOT: a JSON list of what is tried there
jobs_in() {
    local dir
    for dir in open plain closed opened sticky free blind; do
        printf '%s\n' "stat $1/$dir/secret" "read $1/$dir/secret" "read $1/$dir/public" "write $1/$dir/public" "write $1/$dir/wide" \
            "truncate $1/$dir/secret" "list $1/$dir" "create $1/$dir/new" "create $1/$dir/new" "mkdir $1/$dir/made" "create $1/$dir/made/x" \
            "symlink $1/$dir/symlink" "link $1/$dir/public $1/$dir/linked" "link $1/$dir/wide $1/free/from-$dir" "touch $1/$dir/public" \
            "times $1/$dir/public" "touch $1/$dir/wide" "times $1/$dir/wide" "ftimes $1/$dir/wide" "times $1/$dir/new" "ftimes $1/$dir/new" \
            "rename $1/$dir/new $1/$dir/renamed" "rename $1/$dir/public $1/$dir/away" "rename $1/$dir/wide $1/free/$dir-wide" \
            "unlink $1/$dir/secret" "stat $1/$dir/secret" "unlink $1/$dir/renamed" "rmdir $1/$dir/empty" "unlink $1/$dir/made/x" "rmdir $1/$dir/made" \
            "touch $1/$dir" "times $1/$dir"
    done | jq -R . | jq -cs .
}

# try_as NAME USER-FIELDS(JSON) TECHNIQUE: runs the jobs in the image's tree and a new volume, and prints what came of them
try_as() {
    local volume=$engine_dir/volume-$1-$3 program=/user id jobs
    mkdir -m 755 "$volume"
    fill "$volume"
    chgrp -R 2000 "$volume/plain" && chmod -R g+w "$volume/plain"
    [ "$3" != wasm ] || program=/user.wasm
    jobs=$(jq -cn --arg program "$program" --argjson a "$(jobs_in /tree)" --argjson b "$(jobs_in /data)" \
        '[$program] + $a + $b + ["create /mine/x", "create /x", "read /etc/passwd", "write /etc/passwd"]')
    id=$(cri run --runtime="$3" --no-pull "$(container_config "$1-$3" user:latest "$jobs" \
        "{\"mounts\": [{\"container_path\": \"/data\", \"host_path\": \"$volume\"}], \"linux\": {\"security_context\": $2}}")" "$(pod_config "$1-$3")")
    wait_until 20 container_has_exited "$id"
    cri logs "$id" >"$engine_dir/said-$1-$3"
    (cd "$volume" && find . -printf '%p %U %G %m\n' | sort) >"$engine_dir/left-$1-$3"
}

same() { # NAME USER-FIELDS: both techniques
    try_as "$1" "$2" namespace
    try_as "$1" "$2" wasm
    [ "$(wc -l <"$engine_dir/said-$1-wasm")" -gt 400 ]
    diff "$engine_dir/said-$1-namespace" "$engine_dir/said-$1-wasm"
    diff "$engine_dir/left-$1-namespace" "$engine_dir/left-$1-wasm"
}

@test "the image's user may do in a wasm container what it may in a namespace one" {
    same image '{}'
    grep -q '^read /tree/open/secret: Permission denied' "$engine_dir/said-image-wasm"
    grep -q '^write /tree/plain/public: Permission denied' "$engine_dir/said-image-wasm"
    grep -q '^write /data/plain/public: done' "$engine_dir/said-image-wasm" # by the group that /etc/group gives it
}

@test "a user and groups by number, a user by name with a group, and root" {
    same number '{"run_as_user": {"value": 1234}, "run_as_group": {"value": 77}, "supplemental_groups": [2000, 3000]}'
    grep -q '^./free/new\|^./free/made 1234 77\|^./sticky/symlink 1234 77' "$engine_dir/left-number-wasm"
    same name '{"run_as_username": "app"}'
    same root '{"run_as_user": {"value": 0}}'
    grep -q '^read /tree/open/secret: done' "$engine_dir/said-root-wasm"
}

@test "a user that the image has not is an error by name" {
    run cri run --runtime=wasm --no-pull "$(container_config who user:latest '["/user.wasm"]' \
        '{"linux": {"security_context": {"run_as_username": "nobody-here"}}}')" "$(pod_config who)"
    [ "$status" = 1 ]
    [[ $output == *"user 'nobody-here' is not in the image's /etc/passwd"* ]]
}
