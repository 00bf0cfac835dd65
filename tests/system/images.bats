# SPDX-License-Identifier: Apache-2.0
load helper

setup() {
    need_root
    need_program warrend warren warren-namespace warren-wasm
    engine_start
    context=$engine_dir/context
    mkdir "$context"
}

teardown() { engine_end; }

# dockerfile LINES...: the context's Dockerfile
dockerfile() { printf '%s\n' "$@" >"$context/Dockerfile"; }

@test "an image built from scratch is listed with its tag, id, age and size" {
    images_build wasi-demo
    run warren images
    [ "$status" -eq 0 ]
    [[ ${lines[0]} =~ ^REPOSITORY\ +TAG\ +IMAGE\ ID\ +CREATED\ +SIZE ]]
    [[ ${lines[1]} =~ ^wasi-demo\ +latest\ +[0-9a-f]{12}\ .*ago\ +[0-9.]+\ ?[kM]B ]]
}

@test "building the same context twice gives the same image id" {
    first=$(warren build -q "$examples/busybox")
    second=$(warren build -q "$examples/busybox")
    [ -n "$first" ]
    [ "$first" = "$second" ]
}

@test "ENV, WORKDIR, USER, LABEL, ENTRYPOINT and CMD of a Dockerfile end up in the image" {
    cp "$examples/busybox/rootfs.tar" "$context/"
    echo hello >"$context/file"
    dockerfile 'FROM scratch' 'ADD rootfs.tar /' 'COPY file /data/' 'ENV GREETING="good day" PATH=/bin' 'WORKDIR /data' \
        'USER 1000:1000' 'LABEL a=b' 'ENTRYPOINT ["sh", "-c"]' 'CMD ["echo $GREETING; pwd; id -u; cat file"]'
    warren build -q -t all:latest "$context"
    jq -n --arg l "$engine_dir/logs" '{metadata: {name: "p", namespace: "d", uid: "p"}, log_directory: $l,
        linux: {security_context: {namespace_options: {network: 2, pid: 1}}}}' >"$engine_dir/pod.json"
    echo '{"metadata": {"name": "c"}, "image": {"image": "all:latest"}, "log_path": "c.log"}' >"$engine_dir/c.json"
    id=$(cri run --no-pull "$engine_dir/c.json" "$engine_dir/pod.json")
    wait_until 10 container_has_exited "$id"
    run cri logs "$id"
    [ "${lines[0]}" = "good day" ]
    [ "${lines[1]}" = /data ]
    [ "${lines[2]}" = 1000 ]
    [ "${lines[3]}" = hello ]
}

@test "an instruction that is not known is refused with its line, and nothing is left" {
    dockerfile 'FROM scratch' '' 'FETCH x /'
    fails_with "3" warren build -t bad:latest "$context"
    [[ $output == *FETCH* ]]
    run warren images
    [ "${#lines[@]}" -eq 1 ]
}

@test "RUN is refused with a sentence" {
    dockerfile 'FROM scratch' 'RUN true'
    fails_with RUN warren build -t bad:latest "$context"
}

@test "a file that is not in the context is named" {
    dockerfile 'FROM scratch' 'ADD nothing.wasm /'
    fails_with nothing.wasm warren build -t bad:latest "$context"
}

@test "a truncated tar is refused, and nothing is left" {
    head -c 100000 "$examples/busybox/rootfs.tar" >"$context/cut.tar"
    dockerfile 'FROM scratch' 'ADD cut.tar /'
    fails_with cut.tar warren build -t bad:latest "$context"
    run warren images
    [ "${#lines[@]}" -eq 1 ]
}

@test "a tar with .. and absolute symlinks writes nothing outside its root" {
    python3 - "$context/evil.tar" "$engine_dir" <<'P'
import io, sys, tarfile
tar, outside = tarfile.open(sys.argv[1], "w"), sys.argv[2]
def add(name, **more):
    entry = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(entry, key, value)
    data = b"" if more.get("type") else b"escaped\n"
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
add("../" * 12 + outside[1:] + "/escaped-by-dots")
add("link", type=tarfile.SYMTYPE, linkname=outside)
add("link/escaped-by-link")
add("up", type=tarfile.SYMTYPE, linkname="../" * 12 + outside[1:])
add("up/escaped-by-relative-link")
tar.close()
P
    dockerfile 'FROM scratch' 'ADD evil.tar /'
    warren build -t evil:latest "$context" || true
    run find / -xdev -name 'escaped-by-*' -not -path "$engine_dir/data/*" -not -path '/proc/*'
    [ -z "$output" ]
    run ls "$engine_dir"
    [[ $output != *escaped-by* ]]
}

@test "an image in use is kept, and can be removed afterwards" {
    images_build wasi-demo
    id=$(cri run --runtime=wasm --no-pull "$(container_config c wasi-demo:latest '["/wasi-demo.wasm", "daemon"]')" "$(pod_config p)")
    fails_with "conflict" cri rmi wasi-demo:latest
    cri rmp -f "$(cri pods -q)"
    cri rmi wasi-demo:latest
    run cri images -q
    [ -z "$output" ]
}

@test "a full disk is said, nothing half-made is left, and afterwards the same build works" {
    engine_stop
    mkdir -p "$engine_dir/small"
    mount -t tmpfs -o size=1536k tmpfs "$engine_dir/small"
    engine_data=$engine_dir/small/data engine_start
    fails_with "No space left" warren build -t busybox:latest "$examples/busybox"
    run warren images
    [ "${#lines[@]}" -eq 1 ]
    mount -o remount,size=64m "$engine_dir/small"
    images_build busybox
    engine_stop
    umount "$engine_dir/small"
}
