# SPDX-License-Identifier: Apache-2.0
# WASI preview 1, all 46 functions, in real containers: tests/system/wasi/ says what each must answer, and runs once for the
# container's own files (an overlay) and once for a bind mount. The answers were settled with Wasmtime 50 beside
# (wasi/reference.py). Where they differ from it, on purpose:
# - a pointer outside memory is FAULT, a number that is none of its enumeration or set of flags INVAL: Wasmtime ends the guest.
# - rights are kept as the witx has them; Wasmtime has given them up (fd_fdstat_set_rights: NOTSUP).
# - all buffers of a vector are filled or written; Wasmtime does the first that is not empty.
# - fd_allocate, the CPU clocks, proc_raise and O_SYNC work; O_SYNC and fd_sync of a directory as well.
# - a symlink may name an absolute path: the container's root is the guest's "/"; it is followed from there alone.
# - a bad descriptor in poll_oneoff is an event with an error, beside the others'; Wasmtime fails the call.
# - what is no directory is NOTDIR where a directory is wanted (Wasmtime: BADF), a trailing slash of a directory is no error.
# - names are bytes, as Linux has them; Wasmtime wants UTF-8 (ILSEQ).
load helper

setup_file() {
    need_root
    need_program warrend warren warren-wasm
    engine_start
    export engine_dir engine_socket engine_pid
    mkdir "$engine_dir/context" "$engine_dir/volume" "$engine_dir/fixed" "$engine_dir/fixed/d"
    echo text | tee "$engine_dir/fixed/f" >"$engine_dir/fixed/d/f"
    (
        cd "$BATS_TEST_DIRNAME/wasi"
        clang --target=wasm32-wasi -O2 -Wl,-z,stack-size=65536 -Wl,--stack-first -o "$engine_dir/context/wasi-test.wasm" ./*.c
        for wat in *.wat; do wat2wasm -o "$engine_dir/context/${wat%.wat}.wasm" "$wat"; done
    )
    printf 'FROM scratch\nADD . /\n' >"$engine_dir/context/Dockerfile"
    warren build -q -t wasi-test:latest "$engine_dir/context" >/dev/null
    guest overlay '"/wasi-test.wasm", "all", "3"' >/dev/null
    guest bind '"/wasi-test.wasm", "all", "4"' >/dev/null
    guest readonly '"/wasi-test.wasm", "readonly", "5"' >/dev/null
    for name in overlay bind readonly; do ended "$name" || true; done
}

teardown_file() { engine_end; }

# guest NAME ARGUMENTS(JSON list) [JSON members to merge]: runs it in a pod of its own; its id goes to NAME.id
guest() {
    local more
    set -o pipefail
    more=$(jq -n --arg dir "$engine_dir" --argjson more "${3:-{\}}" '{envs: [{key: "WASI_TEST", value: "one two"}, {key: "WASI_EMPTY", value: ""},
        {key: "WASI_EQUALS", value: "a=b"}],
        mounts: [{container_path: "/data", host_path: ($dir + "/volume")},
                 {container_path: "/fixed", host_path: ($dir + "/fixed"), readonly: true}]} * $more')
    cri run --runtime=wasm --no-pull "$(container_config "$1" wasi-test:latest "[$2]" "$more")" "$(pod_config "$1")" |
        tee "$engine_dir/$1.id"
}

ended() {
    wait_until 60 container_has_exited "$(cat "$engine_dir/$1.id")"
}

# code NAME ARGUMENTS: the exit code of a guest with these
code() {
    guest "$@" >/dev/null
    ended "$1" || return
    exit_code "$(cat "$engine_dir/$1.id")"
}

# Both runs must have said "ok NAME"; else what they said is shown.
right() {
    local run bad=0
    for run in overlay bind; do
        cri logs "$(cat "$engine_dir/$run.id")" >"$BATS_TEST_TMPDIR/log"
        grep -qx "ok $1" "$BATS_TEST_TMPDIR/log" && continue
        echo "$run:"
        grep -E "^# $1:|^not ok $1:" "$BATS_TEST_TMPDIR/log" || tail -n 5 "$BATS_TEST_TMPDIR/log"
        bad=1
    done
    return $bad
}

@test "WASI: arguments are told as they were given" { right args_get; }
@test "WASI: the environment is told as it was given" { right environ_get; }
@test "WASI: clocks have a resolution" { right clock_res_get; }
@test "WASI: the wall clock and the monotonic clock go on" { right clock_time_get; }
@test "WASI: the CPU clocks count what the guest computes" { right clock_cpu; }
@test "WASI: random bytes, none to a MiB, are random" { right random_get; }
@test "WASI: a guest that gives way goes on" { right sched_yield; }
@test "WASI: a signal that does nothing does nothing" { right proc_raise; }
@test "WASI: what is no socket says so" { right sock_no_socket; }
@test "WASI: a wait for a time from now is as long as asked" { right poll_relative; }
@test "WASI: a wait until a time ends then, and at once where it is past" { right poll_absolute; }
@test "WASI: a hundred subscriptions are each answered once" { right poll_many; }
@test "WASI: a wait for nothing is refused" { right poll_none; }
@test "WASI: a wait for the end of time holds up no other" { right poll_far; }
@test "WASI: a clock that is none is told" { right poll_bad_clock; }
@test "WASI: a subscription of no kind is refused" { right poll_bad_tag; }
@test "WASI: a wait for a bad descriptor is told at once" { right poll_bad_fd; }
@test "WASI: files are always ready" { right poll_files; }
@test "WASI: the standard streams are ready" { right poll_console; }
@test "WASI: events may be written over their subscriptions" { right poll_in_place; }
@test "WASI: advice about a file is taken" { right fd_advise; }
@test "WASI: room is made in a file" { right fd_allocate; }
@test "WASI: a descriptor's type, flags and rights are told" { right fd_fdstat_get; }
@test "WASI: a descriptor's flags are set and unset" { right fd_fdstat_set_flags; }
@test "WASI: rights that were given away are gone" { right fd_fdstat_set_rights; }
@test "WASI: a directory's rights bound what is done below it" { right dir_rights; }
@test "WASI: what a descriptor is open on is told" { right fd_filestat_get; }
@test "WASI: a file is cut and lengthened" { right fd_filestat_set_size; }
@test "WASI: a descriptor's times are set" { right fd_filestat_set_times; }
@test "WASI: files and directories are synced" { right fd_sync; }
@test "WASI: a file is read into many buffers, to its end" { right fd_read; }
@test "WASI: a file is written from many buffers" { right fd_write; }
@test "WASI: megabytes by thousands of buffers are what was written" { right large_io; }
@test "WASI: reading at a place moves nothing" { right fd_pread; }
@test "WASI: writing at a place moves nothing, and leaves holes" { right fd_pwrite; }
@test "WASI: seeking from the start, from here, from the end, and never before the start" { right fd_seek; }
@test "WASI: the place in a file is told" { right fd_tell; }
@test "WASI: two descriptors of a file have a place each" { right two_descriptors; }
@test "WASI: without input, standard input is at its end" { right stdin_empty; }
@test "WASI: a closed descriptor is closed, and its number is given again" { right fd_close; }
@test "WASI: a descriptor takes another's number" { right fd_renumber; }
@test "WASI: a guest that opens without end is told so, and can close all again" { right fd_limit; }
@test "WASI: preopens are told with their names" { right fd_prestat_get; }
@test "WASI: a directory is listed whole by buffers of any size" { right readdir_sizes; }
@test "WASI: a buffer too small for an entry is filled with its start" { right readdir_small; }
@test "WASI: a cookie goes on where it was" { right readdir_cookies; }
@test "WASI: a listing from the start sees what has changed" { right readdir_changes; }
@test "WASI: entries have the types and numbers of what they name" { right readdir_types; }
@test "WASI: a file is made where asked, and only then" { right open_create; }
@test "WASI: a file is emptied where asked, and only then" { right open_truncate; }
@test "WASI: a directory is opened as one, and nothing else is" { right open_directory; }
@test "WASI: what is open for appending is written at its end" { right open_append; }
@test "WASI: dots, slashes and lengths in paths" { right open_names; }
@test "WASI: symlinks are followed where asked" { right open_symlinks; }
@test "WASI: symlinks in a circle end" { right open_loops; }
@test "WASI: flags that do not exist are refused" { right open_unknown_flags; }
@test "WASI: what a path names is told" { right path_filestat_get; }
@test "WASI: a path's times are set, a link's own as well" { right path_filestat_set_times; }
@test "WASI: a symlink is read, and cut to the buffer" { right path_readlink; }
@test "WASI: no path with dots leads out of its directory" { right escape_dots; }
@test "WASI: no absolute path leads out of its directory" { right escape_absolute; }
@test "WASI: no symlink leads out of its directory" { right escape_symlink; }
@test "WASI: directories are made" { right path_create_directory; }
@test "WASI: empty directories are removed" { right path_remove_directory; }
@test "WASI: files are removed, and stay for who has them open" { right path_unlink_file; }
@test "WASI: symlinks are made" { right path_symlink; }
@test "WASI: a file gets a second name" { right path_link; }
@test "WASI: files are renamed" { right rename_files; }
@test "WASI: directories are renamed" { right rename_directories; }
@test "WASI: process calls with pointers outside memory are refused" { right fault_process; }
@test "WASI: descriptor calls with pointers outside memory are refused" { right fault_fd; }
@test "WASI: buffers outside memory are refused, and nothing is written" { right fault_iovec; }
@test "WASI: paths outside memory are refused" { right fault_path; }
@test "WASI: a descriptor that cannot be told of is not kept open" { right fault_open; }
@test "WASI: waits with pointers outside memory are refused" { right fault_poll; }

@test "WASI: each test of the guest is one of these" {
    guest list '"/wasi-test.wasm", "list"' >/dev/null
    ended list
    cri logs "$(cat "$engine_dir/list.id")" | sort >"$BATS_TEST_TMPDIR/guest"
    sed -n 's/^@test .* { right \([a-z_]*\); }$/\1/p' "$BATS_TEST_FILENAME" | sort | diff - "$BATS_TEST_TMPDIR/guest"
}

@test "WASI: a read-only mount is read, and never written" {
    cri logs "$(cat "$engine_dir/readonly.id")" | tee /dev/stderr | grep -qx 'ok readonly'
    [ "$(ls "$engine_dir/fixed")" = "$(printf 'd\nf')" ]
}

@test "WASI: a socket is accepted on, read, looked at, written, shut down" {
    local port=$((20000 + RANDOM % 10000)) said
    guest sockets '"/wasi-test.wasm", "sockets"' "{\"annotations\": {\"warren.wasm/listen\": \"tcp://127.0.0.1:$port\"}}" >/dev/null
    wait_until 10 log_has "$(cat "$engine_dir/sockets.id")" ready
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    printf 'hello world\n' >&5
    said=$(timeout 10 cat <&5)
    exec 5>&-
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    ended sockets
    exec 5>&-
    cri logs "$(cat "$engine_dir/sockets.id")" | tee /dev/stderr | grep -qx 'ok sockets'
    [ "$said" = goodbye ]
}

@test "WASI: proc_exit's number is the exit code, its last eight bits as with exit(3)" {
    local n
    for n in 0 1 126 255 256; do
        is=$(code "exit-$n" "\"/wasi-test.wasm\", \"exit\", \"$n\"")
        [ "$is" = $((n & 255)) ] || { echo "exit $n is $is"; return 1; }
    done
}

@test "WASI: a signal that a guest raises ends it as it ends a process" {
    local pair is
    # WASI's number and Linux'
    for pair in 1:1 2:2 6:6 9:9 11:11 13:13 15:15 23:24 24:25 25:26 26:27 28:29 29:30 30:31; do
        is=$(code "raise-${pair%:*}" "\"/wasi-test.wasm\", \"raise\", \"${pair%:*}\"")
        [ "$is" = $((128 + ${pair#*:})) ] || { echo "raise ${pair%:*} is $is"; return 1; }
    done
}

@test "WASI: all 46 functions are there with their published types" {
    [ "$(code imports '"/imports.wasm"')" = 46 ]
}

@test "WASI: a function is not there with another type" {
    run guest wrong '"/wrong_type.wasm"'
    [ "$status" != 0 ]
    [[ $output == *fd_close* ]]
}

@test "WASI: buffers that end with the memory are right to the byte, also after it has grown" {
    [ "$(code edges '"/edges.wasm"')" = 100 ]
    cri logs "$(cat "$engine_dir/edges.id")" | grep -qx 'last bytes'
}

@test "WASI: a guest without a memory is ended with the reason" {
    [ "$(code nomem '"/no_memory.wasm"')" = 134 ]
    cri logs "$(cat "$engine_dir/nomem.id")" 2>&1 | grep -q "no memory"
}

@test "WASI: a guest that ends in its start function has ended" {
    [ "$(code early '"/exit_in_start.wasm"')" = 7 ]
}
