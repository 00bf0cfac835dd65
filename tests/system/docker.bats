# SPDX-License-Identifier: Apache-2.0
# The engine's Docker API with docker's own CLI, and the warren CLI beside it.
load helper

setup() {
    need_root
    need_program warrend warren
    [ -x "$WARREN_BUILD/bin/warren-namespace" ] || skip "there is no build/bin/warren-namespace"
    PATH=$PATH:$WARREN_BUILD/peers
    command -v docker >/dev/null || skip "there is no docker CLI on this machine: packaging/peers.sh brings it"
    engine_start
    context=$engine_dir/context
    mkdir "$context"
    echo content >"$context/file"
    printf '%s\n' 'FROM scratch' 'ADD file /' 'ENV A=b' 'CMD ["/file"]' >"$context/Dockerfile"
}

teardown() { engine_end; }

# docker's own client; its configuration is nobody's.
dockercli() {
    DOCKER_CONFIG=$engine_dir/docker DOCKER_HOST=unix://$engine_socket DOCKER_BUILDKIT=0 command docker "$@" 3>&-
}

@test "docker version and info name Warren" {
    run dockercli version
    [ "$status" -eq 0 ]
    [[ $output == *"Server: Warren"* ]]
    run dockercli info
    [ "$status" -eq 0 ]
    [[ $output == *"Storage Driver: overlayfs"* ]]
}

@test "docker build makes an image that docker and warren list alike" {
    run dockercli build -t demo:1 -t demo:two --label a=b --build-arg UNUSED=1 "$context"
    [ "$status" -eq 0 ]
    [[ $output == *"Step 1/4 : FROM scratch"* ]]
    [[ $output == *"Successfully tagged demo:1"* ]]
    [[ $output == *"[UNUSED] were not consumed"* ]]
    [ "$(dockercli images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}')" = \
      "$(warren images --format json | jq -r '"\(.Repository):\(.Tag) \(.ID) \(.Size)"')" ]
    [ "$(dockercli images -q --no-trunc | sort -u)" = "$(warren images -q --no-trunc | sort -u)" ]
    # the same columns, in the same places
    [ "$(dockercli images --digests | sed 's/ *$//')" = "$(warren images --digests | sed 's/ *$//')" ]
    [ "$(dockercli image inspect -f '{{.Config.Env}} {{.Config.Cmd}} {{.Config.Labels.a}}' demo:1)" = "[A=b] [/file] b" ]
}

@test "both clients build the same image from the same context" {
    mkdir "$context/dïr"
    echo x >"$context/dïr/ñ"
    printf '%s\n' 'FROM scratch' 'COPY . /' >"$context/Dockerfile"
    [ "$(dockercli build -q "$context")" = "$(warren build -q "$context")" ]
}

@test "what docker saves warren loads, and the other way round, with the same id" {
    id=$(dockercli build -q -t demo:1 "$context")
    dockercli save -o "$engine_dir/d.tar" demo:1
    warren save -o "$engine_dir/w.tar" demo:1
    cmp "$engine_dir/d.tar" "$engine_dir/w.tar"
    dockercli rmi demo:1
    [ -z "$(warren images -q)" ]
    run warren load -i "$engine_dir/d.tar"
    [ "$output" = "Loaded image: demo:1" ]
    [ "$(warren images -q --no-trunc)" = "$id" ]
    warren rmi demo:1
    gzip "$engine_dir/w.tar"
    run dockercli load -i "$engine_dir/w.tar.gz"
    [[ $output == *"Loaded image: demo:1"* ]]
    [ "$(dockercli images -q --no-trunc)" = "$id" ]
}

@test "tag, rmi and their errors are docker's" {
    dockercli build -q -t demo:1 "$context"
    dockercli tag demo:1 other.example/x:7
    run warren rmi demo:1
    [ "$output" = "Untagged: demo:1" ]
    run dockercli rmi other.example/x:7
    [ "${lines[0]}" = "Untagged: other.example/x:7" ]
    [[ ${lines[1]} == "Deleted: sha256:"* ]]
    run dockercli rmi demo:1
    [ "$status" -eq 1 ]
    [[ $output == *"No such image: demo:1" ]] # docker 20.10 says Error:, 28 Error response from daemon:
    run warren rmi demo:1
    [ "$status" -eq 1 ]
    [[ $output == *"No such image: demo:1" ]] # docker 20.10 says Error:, 28 Error response from daemon:
    run dockercli tag nothing x
    [ "$output" = "Error response from daemon: No such image: nothing:latest" ]
}

@test "filters choose by name, label and danglingness" {
    dockercli build -q -t demo:1 --label a=b "$context"
    echo more >>"$context/file"
    dockercli build -q "$context"
    [ "$(dockercli images -q | wc -l)" = 2 ]
    [ "$(dockercli images -q demo | wc -l)" = 1 ]
    [ "$(dockercli images -q 'de*:1' | wc -l)" = 1 ]
    [ "$(dockercli images -q -f label=a=b | wc -l)" = 1 ]
    [ "$(dockercli images -q -f dangling=true | wc -l)" = 1 ]
    [ "$(warren images -q -f dangling=false | wc -l)" = 1 ]
    fails_with "invalid filter 'nonsense'" dockercli images -f nonsense=1
}

@test "RUN, a file that is not there and a bad archive are told by docker as well" {
    printf '%s\n' 'FROM scratch' 'RUN true' >"$context/Dockerfile"
    fails_with "Dockerfile:2: RUN is not supported yet" dockercli build "$context"
    printf '%s\n' 'FROM scratch' 'COPY gone /' >"$context/Dockerfile"
    fails_with "Dockerfile:2: COPY failed: file not found in build context" dockercli build "$context"
    head -c 3000 /dev/urandom >"$engine_dir/noise"
    fails_with "it is not a tar archive" dockercli load -i "$engine_dir/noise"
    [ -z "$(warren images -aq)" ]
    [ -z "$(ls "$engine_dir/data/image/ingest")" ]
}

@test "what the API does not have yet is refused with a sentence" {
    fails_with "containers run by CRI" dockercli ps
    fails_with "cannot be pulled" dockercli pull busybox
    fails_with "BuildKit is not supported" curl -sS --fail-with-body --unix-socket "$engine_socket" -X POST "http://x/build?version=2"
    run curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$engine_socket" http://x/nothing/here
    [ "$output" = 404 ]
    fails_with "too new" curl -sS --fail-with-body --unix-socket "$engine_socket" http://x/v1.99/version
}

@test "a Dockerfile from elsewhere, from standard input, and a context from standard input build" {
    printf '%s\n' 'FROM scratch' 'COPY file /elsewhere' >"$engine_dir/Other"
    for client in dockercli warren; do
        $client build -q -t one -f "$engine_dir/Other" "$context"
        $client build -q -t two -f - "$context" <"$engine_dir/Other"
        tar -C "$context" -c . | $client build -q -t three -
        printf '%s\n' 'FROM scratch' 'ENV ONLY=this' | $client build -q -t four -
        [ "$(warren images -q one)" = "$(warren images -q two)" ]
        [ "$(dockercli image inspect -f '{{.Config.Env}}' four)" = "[ONLY=this]" ]
    done
}

@test "a large context and image pass through without the engine growing" {
    head -c 100000000 /dev/zero >"$context/file"
    before=$(awk '/^VmHWM/ {print $2}' "/proc/$engine_pid/status")
    warren build -q -t large "$context"
    dockercli save large | warren load
    after=$(awk '/^VmHWM/ {print $2}' "/proc/$engine_pid/status")
    echo "$before kB before, $after kB after"
    [ $((after - before)) -lt 12000 ]
}

@test "a client that leaves in the middle leaves nothing" {
    tar -C "$context" -c . >"$engine_dir/context.tar"
    python3 - "$engine_socket" "$engine_dir/context.tar" <<'P'
import socket, sys
data = open(sys.argv[2], "rb").read()
for path in "/build?t=cut", "/images/load":
    # within a header, within a file, between two entries, behind the last entry
    for length in 100, 600, 1024, 2048, 3072:
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        s.sendall(head.encode() + data[:length])
        s.close()
P
    sleep 0.5
    [ -z "$(ls "$engine_dir/data/image/ingest")" ]
    [ -z "$(warren images -aq)" ]
    # and the engine goes on
    warren build -q "$context"
}
