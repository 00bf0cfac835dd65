/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container/recipe.h"
#include "container_lab.h"
#include "linux/sys.h"

static void a_container_that_exits_with_3_reports_3(void **state)
{
    (void)state;
    struct run run = {.script = "exit 3"};
    check(&run, 3, "");
}

static void a_container_ended_by_a_signal_tells_which(void **state)
{
    (void)state;
    /* PID 1 ignores what it has no handler for */
    struct run run = {.script = "(sh -c 'kill -9 $$'; echo $?) 2>/dev/null"};
    check(&run, 0, "137\n");
}

static void a_container_sees_only_itself(void **state)
{
    (void)state;
    struct run run = {.script =
                          "echo $$; ls /proc | grep -c '^[0-9]'; ls /; ls -d /tmp/warren* 2>&1"};
    run_container(&run);
    assert_string_equal(run.err.message, "");
    assert_ptr_equal(strstr(run.output, "1\n"), run.output);
    assert_non_null(strstr(run.output, "ls: /tmp/warren*: No such file or directory"));
    run = (struct run){.script = "cut -d' ' -f5 /proc/self/mountinfo | sort | tr '\\n' ' '"};
    check(&run, 0, "/ /dev /dev/mqueue /dev/pts /dev/shm /proc /sys ");
}

static void no_descriptor_of_the_host_is_open_in_a_container(void **state)
{
    (void)state;
    autoclose int leak = open("/", O_RDONLY | O_DIRECTORY); /* without O_CLOEXEC */
    assert_true(leak > 2);
    struct run run = {.args = "[\"ls\",\"/proc/self/fd\"]"};
    check(&run, 0, "0\n1\n2\n3\n"); /* 3 is ls's own */
}

static void the_environment_and_directory_are_the_specs(void **state)
{
    (void)state;
    struct run run = {
        .script = "echo $COLOR; echo $HOME; pwd", .cwd = "/new/place", .overlay = true};
    check(&run, 0, "blue green\n/root\n/new/place\n");
}

static void a_command_that_does_not_exist_is_told_in_words(void **state)
{
    (void)state;
    struct run run = {.args = "[\"frobnicate\"]"};
    run_container(&run);
    assert_int_equal(run.err.code, -ENOENT);
    assert_string_equal(run.err.message, "command 'frobnicate' not found in PATH (/bin)");
    run = (struct run){.args = "[\"/etc/passwd\"]"};
    run_container(&run);
    assert_string_equal(run.err.message, "command '/etc/passwd' is not executable for user 0");
    run = (struct run){.args = "[\"/etc\"]"};
    run_container(&run);
    assert_string_equal(run.err.message, "command '/etc' is a directory");
    run = (struct run){.args = "[\"/bin/noloader\"]"};
    run_container(&run);
    assert_string_equal(run.err.message,
                        "command '/bin/noloader': the interpreter or loader it names is not there");
}

static void a_user_is_found_by_name_in_the_rootfs(void **state)
{
    (void)state;
    static const struct {
        const char *user, *output;
    } cases[] = {
        {"\"username\":\"app\"", "1234 500 500 77 /home/app\n"},
        {"\"username\":\"1234\"", "1234 500 500 77 /home/app\n"},
        {"\"username\":\"app:audio\"", "1234 77 77 /home/app\n"},
        {"\"username\":\"9:10\"", "9 10 10 /\n"},
        {"\"username\":\"app:88\",\"additionalGids\":[5,6]", "1234 88 88 5 6 /home/app\n"},
        {"\"uid\":1234,\"gid\":3", "1234 3 3 /home/app\n"},
        {"\"uid\":4000000000,\"gid\":3", "4000000000 3 3 /\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run = {.script = "echo $(id -u) $(id -g) $(id -G) $HOME", .user = cases[i].user};
        check(&run, 0, cases[i].output);
    }
    struct run run = {.script = "true", .user = "\"username\":\"nobody-such\""};
    run_container(&run);
    assert_string_equal(run.err.message, "user 'nobody-such' is not in the image's /etc/passwd");
    run = (struct run){.script = "true", .user = "\"username\":\"app:none\""};
    run_container(&run);
    assert_string_equal(run.err.message, "group 'none' is not in the image's /etc/group");
}

static void a_read_only_root_cannot_be_written(void **state)
{
    (void)state;
    struct run run = {.script = "touch /x 2>&1; touch /dev/shm/y && echo ok",
                      .root = ",\"readonly\":true"};
    check(&run, 0, "touch: /x: Read-only file system\nok\n");
}

static void an_overlay_keeps_the_lower_layer_as_it_was(void **state)
{
    (void)state;
    struct run run = {.script = "echo changed > /etc/motd; cat /etc/motd", .overlay = true};
    check(&run, 0, "changed\n");
    run = (struct run){.script = "cat /etc/motd"};
    check(&run, 0, "welcome\n");
}

static void masked_and_read_only_paths_are(void **state)
{
    (void)state;
    struct run run = {
        .script = "wc -c < /etc/motd; ls /masked | wc -l; echo 1 2>&1 > /proc/sys/kernel/hostname; "
                  "ls /proc/sys | wc -l; touch /masked/x 2>&1; cat /not/there 2>/dev/null; true",
        .linux_ = "\"maskedPaths\":[\"/etc/motd\",\"/masked\",\"/not/there\"],\"readonlyPaths\":["
                  "\"/proc/sys\",\"/no/such\"]"};
    run_container(&run);
    assert_string_equal(run.err.message, "");
    assert_non_null(strstr(run.output, "0\n0\n"));
    assert_non_null(
        strstr(run.output, "can't create /proc/sys/kernel/hostname: Read-only file system"));
    assert_non_null(strstr(run.output, "touch: /masked/x: Read-only file system"));
}

static void devices_are_there_and_others_are_denied(void **state)
{
    (void)state;
    struct run run = {
        .script =
            "for d in null zero full random urandom tty ptmx; do test -c /dev/$d || echo no $d; "
            "done; head -c 3 /dev/zero | wc -c; echo x > /dev/null && "
            "mknod /dev/sda b 254 0 && head -c 1 /dev/sda 2>&1",
        .linux_ = "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}"};
    check(&run, 1, "3\nhead: /dev/sda: Operation not permitted\n");
}

static void capabilities_are_what_the_spec_says(void **state)
{
    (void)state;
    struct run run = {
        .script = "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '"};
    check(&run, 0, "00000000a80425fb 00000000a80425fb 00000000a80425fb 0000000000000000 ");
    run = (struct run){
        .script = "grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '",
        .user = "\"uid\":5,\"gid\":5",
        .process =
            "\"capabilities\":{\"bounding\":[\"CAP_NET_RAW\"],\"effective\":[\"CAP_NET_RAW\"],"
            "\"permitted\":[\"CAP_NET_RAW\"],\"inheritable\":[\"CAP_NET_RAW\"],\"ambient\":["
            "\"CAP_NET_RAW\"]}"};
    check(&run, 0, "0000000000002000 0000000000002000 0000000000002000 0000000000002000 ");
    run = (struct run){
        .script = "grep -E 'Cap(Prm|Eff|Bnd)|NoNew' /proc/self/status | cut -f2 | tr '\\n' ' '",
        .process = "\"capabilities\":{},\"noNewPrivileges\":true"};
    check(&run, 0, "0000000000000000 0000000000000000 0000000000000000 1 ");
}

static void limits_and_umask_are_set_and_what_is_too_high_is_clamped(void **state)
{
    (void)state;
    struct run run = {.script = "ulimit -n; ulimit -c; umask",
                      .user = "\"uid\":0,\"gid\":0,\"umask\":63",
                      .process =
                          "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":400,\"soft\":300},"
                          "{\"type\":\"RLIMIT_CORE\",\"hard\":0,\"soft\":0}]"};
    check(&run, 0, "300\n0\n0077\n");
    /* in a container that may not: a raised hard limit is as much as there is */
    run = (struct run){.script = "ulimit -n >/dev/null; echo ok",
                       .process = "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1048576,"
                                  "\"soft\":1048576}]"};
    check(&run, 0, "ok\n");
}

static void the_default_seccomp_profile_refuses_what_dockers_does(void **state)
{
    (void)state;
    static const char annotation[] = "\"annotations\":{\"warren.seccomp\":\"default\"}";
    struct run run = {.script =
                          "unshare -m true 2>&1; unshare -U true 2>&1; mount -t tmpfs x /mnt "
                          "2>&1; (echo in a child); grep Seccomp: /proc/self/status | cut -f2",
                      .top = annotation};
    run_container(&run);
    assert_string_equal(run.err.message, "");
    assert_non_null(strstr(run.output, "Operation not permitted"));
    assert_non_null(strstr(run.output, "in a child\n2\n"));
    run = (struct run){.script = "grep Seccomp: /proc/self/status | cut -f2",
                       .top = "\"annotations\":{\"warren.seccomp\":\"unconfined\"}"};
    check(&run, 0, "0\n");
    run = (struct run){.script = "id -u; grep Seccomp: /proc/self/status | cut -f2",
                       .user = "\"uid\":7,\"gid\":7",
                       .process = "\"noNewPrivileges\":true",
                       .top = annotation};
    check(&run, 0, "7\n2\n");
}

static void a_seccomp_profile_of_the_spec_is_used(void **state)
{
    (void)state;
    struct run run = {
        .script = "mkdir /tmp/a 2>&1; sync; echo end",
        .linux_ = "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
                  "\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}"};
    check(&run, 0, "mkdir: can't create directory '/tmp/a': No space left on device\nend\n");
    run.linux_ = "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_MAYBE\"}";
    run.err = (struct error){0};
    run_container(&run);
    assert_string_equal(run.err.message, "linux.seccomp.defaultAction: 'SCMP_ACT_MAYBE' is none");
}

static void a_container_that_takes_too_much_memory_is_killed_and_told(void **state)
{
    (void)state;
    struct run run = {.script =
                          "head -c 100000000 /dev/zero | (tail > /dev/null; echo $?) 2>/dev/null",
                      .linux_ = "\"resources\":{\"memory\":{\"limit\":16777216}}"};
    check(&run, 0, "137\n");
    assert_true(run.oom);
}

static void a_container_cannot_make_more_processes_than_its_limit(void **state)
{
    (void)state;
    struct run run = {.script = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done 2>&1; wait",
                      .linux_ = "\"resources\":{\"pids\":{\"limit\":4}}"};
    run_container(&run);
    assert_non_null(strstr(run.output, "can't fork: Resource temporarily unavailable"));
}

static void the_container_sees_its_own_cgroup_as_the_root(void **state)
{
    (void)state;
    struct run run = {
        .script =
            "grep -E ':(memory|pids):' /proc/self/cgroup | cut -d: -f3 | sort -u; "
            "cat /sys/fs/cgroup/pids/pids.max; echo 5 2>&1 > /sys/fs/cgroup/pids/pids.max; true",
        .linux_ = "\"resources\":{\"pids\":{\"limit\":40}}"};
    run_container(&run);
    assert_string_equal(run.err.message, "");
    assert_ptr_equal(strstr(run.output, "/\n40\n"), run.output);
    assert_non_null(strstr(run.output, "Read-only file system"));
}

static void mounts_follow_links_inside_the_rootfs_only(void **state)
{
    (void)state;
    char mounts[512];
    snprintf(
        mounts, sizeof mounts,
        "{\"destination\":\"/trap/data\",\"type\":\"bind\",\"source\":\"%s/data\",\"options\":["
        "\"rbind\",\"ro\"]},{\"destination\":\"/new/file\",\"type\":\"bind\",\"source\":"
        "\"%s/data/file\",\"options\":[\"bind\"]}",
        lab, lab);
    struct run run = {.script =
                          "cat /trap/data/file /new/file; touch /trap/data/x 2>&1; echo more >> "
                          "/new/file; cat /new/file",
                      .mounts = mounts,
                      .overlay = true};
    check(&run, 0, "hello\nhello\ntouch: /trap/data/x: Read-only file system\nhello\nmore\n");
    assert_int_equal(access("/warren-escape", F_OK), -1); /* where /trap points to, on the host */
}

static void a_bind_mount_is_recursive_and_read_only_as_far_as_asked(void **state)
{
    (void)state;
    char mounts[1024];
    snprintf(mounts, sizeof mounts,
             "{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"%s/"
             "data\",\"options\":[\"rbind\",\"ro\"]},"
             "{\"destination\":\"/b\",\"type\":\"bind\",\"source\":\"%s/"
             "data\",\"options\":[\"rbind\",\"rro\","
             "\"rnoexec\"]},{\"destination\":\"/c\",\"type\":\"bind\",\"source\":\"%s/"
             "data\",\"options\":["
             "\"bind\",\"nosuid\",\"noatime\"]}",
             lab, lab, lab);
    autofree char *below = str_format("%s/data/below", lab);
    assert_int_equal(mkdir(below, 0755), 0);
    assert_int_equal(mount("tmpfs", below, "tmpfs", 0, NULL), 0);
    struct run run = {
        .script =
            "touch /a/x 2>&1; touch /a/below/x && echo a; touch /b/below/y 2>&1; ls /c/below; "
            "grep -E ' /(b/below|c) ' /proc/self/mountinfo | cut -d' ' -f5,6",
        .mounts = mounts,
        .overlay = true};
    run_container(&run);
    umount2(below, MNT_DETACH);
    rmdir(below);
    assert_string_equal(run.err.message, "");
    assert_string_equal(run.output, "touch: /a/x: Read-only file system\na\n"
                                    "touch: /b/below/y: Read-only file system\n"
                                    "/b/below ro,noexec,relatime\n/c rw,nosuid,noatime\n");
}

static void namespaces_of_the_pod_are_shared_and_others_joined_by_path(void **state)
{
    (void)state;
    char ours[3][64] = {"", "", ""}, expected[256];
    static const char *const paths[] = {"/proc/self/ns/uts", "/proc/self/ns/ipc",
                                        "/proc/self/ns/net"};
    for (int i = 0; i < 3; i++)
        assert_true(readlink(paths[i], ours[i], sizeof ours[i] - 1) > 0);
    snprintf(expected, sizeof expected, "%s\n%s\n%s\n1\n", ours[0], ours[1], ours[2]);
    struct run run = {
        .script = "for n in uts ipc net; do readlink /proc/self/ns/$n; done; echo $$",
        .pod_namespaces = SYS_CLONE_NEWUTS | SYS_CLONE_NEWIPC,
        .top = "\"hostname\":\"the-pods-to-set\"",
        .namespaces =
            "{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":\"ipc\"},"
            "{\"type\":\"network\",\"path\":\"/proc/self/ns/net\"}"};
    check(&run, 0, expected);
    run = (struct run){.script = "true",
                       .namespaces =
                           "{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/no/such\"}"};
    run_container(&run);
    assert_string_equal(run.err.message,
                        "open the namespace '/no/such': No such file or directory");
    run = (struct run){
        .script = "test $$ -gt 1 && ls -d /proc/1",
        .namespaces = "{\"type\":\"mount\"},{\"type\":\"pid\",\"path\":\"/proc/self/ns/pid\"}"};
    check(&run, 0, "/proc/1\n");
}

static void an_image_cannot_trick_with_what_it_has_in_place(void **state)
{
    (void)state;
    autofree char *proc = str_format("%s/upper/proc", lab);
    autofree char *passwd = str_format("%s/upper/etc/passwd", lab);
    autofree char *etc = str_format("%s/upper/etc", lab);
    mkdir(etc, 0755);
    struct error err = {0};
    dir_remove(AT_FDCWD, proc, &err);
    assert_int_equal(symlink("/tmp", proc), 0);
    struct run run = {.script = "true", .overlay = true};
    run_container(&run);
    unlink(proc);
    assert_string_equal(run.err.message, "mount at '/proc': it is a symbolic link");
    dir_remove(AT_FDCWD, passwd, &err);
    assert_int_equal(mkfifo(passwd, 0644), 0); /* would hold up who reads it */
    run = (struct run){.script = "grep ^Uid: /proc/self/status | cut -f2",
                       .overlay = true,
                       .user = "\"username\":\"77\""};
    run_container(&run);
    unlink(passwd);
    assert_string_equal(run.err.message, "");
    assert_string_equal(run.output, "77\n");
}

static void a_terminal_is_the_containers_own(void **state)
{
    (void)state;
    struct run run = {
        .script = "tty; stty size; test -t 0 && echo yes; test -c /dev/console && echo console",
        .process = "\"terminal\":true,\"consoleSize\":{\"height\":33,\"width\":99}"};
    check(&run, 0, "/dev/pts/0\r\n33 99\r\nyes\r\nconsole\r\n");
}

static void the_host_name_and_sysctls_are_the_containers_own(void **state)
{
    (void)state;
    struct run run = {
        .script = "hostname; cat /proc/sys/kernel/sem; cat /proc/sys/net/ipv4/ip_forward",
        .top = "\"hostname\":\"burrow\"",
        .linux_ = "\"sysctl\":{\"kernel.sem\":\"250 32000 100 99\",\"net.ipv4.ip_forward\":\"1\"}"};
    check(&run, 0, "burrow\n250\t32000\t100\t99\n1\n");
    run = (struct run){.script = "true", .linux_ = "\"sysctl\":{\"kernel.panic\":\"1\"}"};
    run_container(&run);
    assert_string_equal(run.err.message,
                        "linux.sysctl.kernel.panic: not a value that a container has of its own");
    run = (struct run){.script = "true",
                       .namespaces = "{\"type\":\"mount\"}",
                       .linux_ = "\"sysctl\":{\"net.core.somaxconn\":\"1\"}"};
    run_container(&run);
    assert_string_equal(run.err.message,
                        "linux.sysctl.net.core.somaxconn: it is the host's, as the "
                        "container has no network namespace of its own");
}

static void what_is_not_supported_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *namespaces, *linux_, *top, *message;
    } cases[] = {
        {"{\"type\":\"mount\"},{\"type\":\"user\"}", NULL, NULL,
         "linux.namespaces[1]: user namespaces are not supported yet"},
        {"{\"type\":\"pid\"}", NULL, NULL,
         "linux.namespaces: a container needs a mount namespace of its own"},
        {"{\"type\":\"mounts\"}", NULL, NULL, "linux.namespaces[0].type: 'mounts' is none"},
        {NULL, NULL, "\"hooks\":{\"prestart\":[{\"path\":\"/x\"}]}",
         "hooks.prestart: not supported yet"},
        {NULL, "\"rootfsPropagation\":\"sideways\"", NULL,
         "linux.rootfsPropagation: 'sideways' is none"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run run = {.script = "true",
                          .namespaces = cases[i].namespaces,
                          .linux_ = cases[i].linux_,
                          .top = cases[i].top};
        run_container(&run);
        assert_int_equal(run.status, -1);
        assert_string_equal(run.err.message, cases[i].message);
    }
}

static void an_exec_joins_its_container(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer recipe = {0}, exec = {0}, pids = {0};
    struct error err = {0};
    struct cgroup g;
    struct run run = {.args = "[\"sleep\",\"60\"]", .overlay = true, .linux_ = "\"resources\":{}"};
    assert_int_equal(cgroup_name(host, "pod", "c2", &g, &err), 0);
    assert_int_equal(cgroup_make(&g, &(struct oci_resources){0}, &err), 0);
    assert_int_equal(build(&run, &a, &g, &recipe), 0);
    struct container_child first = {.pidfd = -1, .control = -1}, second = first;
    autoclose int out = -1, exec_out = -1;
    assert_int_equal(start(&run, &recipe, -1, &first, &out), 0);
    struct oci_process *p;
    static const char json[] = "{\"args\":[\"sh\",\"-c\",\"ps -o pid,args; exit 9\"],\"cwd\":\"/\","
                               "\"user\":{\"uid\":1234,\"gid\":1},\"env\":[\"PATH=/bin\"]}";
    assert_int_equal(oci_process_parse(json, sizeof json - 1, &a, &p, &err), 0);
    struct recipe_input in = {.spec = run.spec, .cgroup = &g};
    assert_int_equal(recipe_build_exec(p, &in, &exec, NULL, &err), 0);
    struct run result = {0};
    assert_int_equal(start(&result, &exec, first.pidfd, &second, &exec_out), 0);
    assert_int_equal(cgroup_pids(&g, &pids, &err), 0);
    read_output(exec_out, &result);
    assert_int_equal(wait_status(second.pid), 9);
    assert_non_null(strstr(result.output, "1 sleep 60"));
    assert_non_null(strstr(result.output, "ps -o pid,args"));
    assert_int_equal(cgroup_freeze(&g, true, &err), 0);
    assert_int_equal(cgroup_freeze(&g, false, &err), 0);
    assert_int_equal(cgroup_kill(&g, SIGKILL, &err), 0);
    assert_int_equal(wait_status(first.pid), 128 + SIGKILL);
    assert_int_equal(start(&result, &exec, first.pidfd, &second, &out), -1);
    assert_string_equal(result.err.message, "the container has ended");
    container_child_done(&first);
    container_child_done(&second);
    assert_int_equal(cgroup_remove(&g, &err), 0);
}

static void limits_can_be_changed_while_it_runs(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer recipe = {0}, text = {0};
    struct error err = {0};
    struct cgroup g;
    struct run run = {.script = "sleep 60"};
    assert_int_equal(cgroup_name(host, "pod", "c3", &g, &err), 0);
    int64_t limit = 32 << 20;
    uint64_t shares = 512;
    struct oci_memory memory = {.limit = &limit};
    struct oci_cpu cpu = {.shares = &shares, .cpus = (char *)"0"};
    assert_int_equal(cgroup_make(&g, &(struct oci_resources){.memory = &memory}, &err), 0);
    assert_int_equal(build(&run, &a, &g, &recipe), 0);
    struct container_child c = {.pidfd = -1, .control = -1};
    autoclose int out = -1;
    assert_int_equal(start(&run, &recipe, -1, &c, &out), 0);
    limit = 64 << 20;
    cgroup_update(&g, &(struct oci_resources){.memory = &memory, .cpu = &cpu}, &err);
    assert_string_equal(err.message, "");
    struct cgroup_stats stats;
    assert_int_equal(cgroup_stats_read(&g, &stats, &err), 0);
    assert_int_equal(stats.memory_limit, 64 << 20);
    assert_int_equal(stats.pids, 1);
    assert_true(stats.memory_usage > 0);
    autofree char *file = str_format("/proc/%d/cpuset", c.pid);
    assert_int_equal(file_read(AT_FDCWD, file, 4096, &text, &err), 0);
    if (cgroup_host_version(host) == 1)
        assert_non_null(strstr(buffer_text(&text), "/pod/c3"));
    assert_int_equal(cgroup_kill(&g, SIGKILL, &err), 0);
    wait_status(c.pid);
    container_child_done(&c);
    assert_int_equal(cgroup_remove(&g, &err), 0);
}

/* On machines of cgroup v1 too there is most often a v2 hierarchy, without controllers. */
static void on_cgroup_v2_it_is_entered_frozen_killed_and_kept_from_devices(void **state)
{
    (void)state;
    static const char unified[] = "/sys/fs/cgroup/unified";
    autofree char *parent = str_format("warren-test-%d", getpid());
    bool only = cgroup_host_version(host) == 2;
    struct cgroup_host v2 = {
        .version = 2,
        .parent = parent,
        .count = 1,
        .hierarchies = {{~0U, (char *)(uintptr_t)(only ? "/sys/fs/cgroup" : unified), (char *)""}}};
    if (!only && access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) < 0)
        skip();
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer recipe = {0}, pids = {0};
    struct error err = {0};
    struct cgroup g, all;
    struct oci_device_rule deny = {.allow = false};
    struct oci_resources r = {.devices = &deny, .devices_count = 1};
    assert_int_equal(cgroup_name(&v2, "pod", "c4", &g, &err), 0);
    cgroup_make(&g, &r, &err);
    assert_string_equal(err.message, "");
    struct run run = {.script =
                          "head -c 1 /dev/zero | wc -c; mknod /dev/x c 10 229 && head -c 1 /dev/x "
                          "2>&1; grep ^0: /proc/self/cgroup; exec sleep 60 >/dev/null 2>&1"};
    assert_int_equal(build(&run, &a, &g, &recipe), 0);
    struct container_child c = {.pidfd = -1, .control = -1};
    autoclose int out = -1;
    start(&run, &recipe, -1, &c, &out);
    assert_string_equal(run.err.message, "");
    read_output(out, &run);
    assert_string_equal(run.output, "1\nhead: /dev/x: Operation not permitted\n0::/\n");
    assert_int_equal(cgroup_pids(&g, &pids, &err), 0);
    assert_int_equal(pids.len, sizeof(pid_t));
    assert_int_equal(cgroup_freeze(&g, true, &err), 0);
    assert_int_equal(cgroup_freeze(&g, false, &err), 0);
    assert_int_equal(cgroup_kill(&g, SIGKILL, &err), 0);
    assert_int_equal(wait_status(c.pid), 128 + SIGKILL);
    container_child_done(&c);
    assert_int_equal(cgroup_name_path(&v2, "/", &all, &err), -EINVAL);
    autofree char *top = str_format("/%s", parent);
    assert_int_equal(cgroup_name_path(&v2, top, &all, &err), 0);
    assert_int_equal(cgroup_remove(&all, &err), 0);
}

static void a_recipe_that_is_damaged_is_refused(void **state)
{
    (void)state;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer recipe = {0};
    struct error err = {0};
    const struct recipe *r;
    struct run run = {.script = "true"};
    assert_int_equal(build(&run, &a, NULL, &recipe), 0);
    assert_int_equal(recipe_open(recipe.data, recipe.len, &r, &err), 0);
    assert_int_equal(recipe_open(recipe.data, recipe.len - 1, &r, &err), -EINVAL);
    for (size_t i = 0; i + 4 <= sizeof(struct recipe); i += 4) {
        uint32_t saved;
        memcpy(&saved, recipe.data + i, 4);
        memset(recipe.data + i, 0x7f, 4);
        recipe_open(recipe.data, recipe.len, &r,
                    &err); /* whatever it says, it does not read outside */
        memcpy(recipe.data + i, &saved, 4);
    }
    recipe.data[4] = 99;
    assert_int_equal(recipe_open(recipe.data, recipe.len, &r, &err), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_exits_with_3_reports_3),
        cmocka_unit_test(a_container_ended_by_a_signal_tells_which),
        cmocka_unit_test(a_container_sees_only_itself),
        cmocka_unit_test(no_descriptor_of_the_host_is_open_in_a_container),
        cmocka_unit_test(the_environment_and_directory_are_the_specs),
        cmocka_unit_test(a_command_that_does_not_exist_is_told_in_words),
        cmocka_unit_test(a_user_is_found_by_name_in_the_rootfs),
        cmocka_unit_test(a_read_only_root_cannot_be_written),
        cmocka_unit_test(an_overlay_keeps_the_lower_layer_as_it_was),
        cmocka_unit_test(masked_and_read_only_paths_are),
        cmocka_unit_test(devices_are_there_and_others_are_denied),
        cmocka_unit_test(capabilities_are_what_the_spec_says),
        cmocka_unit_test(limits_and_umask_are_set_and_what_is_too_high_is_clamped),
        cmocka_unit_test(the_default_seccomp_profile_refuses_what_dockers_does),
        cmocka_unit_test(a_seccomp_profile_of_the_spec_is_used),
        cmocka_unit_test(a_container_that_takes_too_much_memory_is_killed_and_told),
        cmocka_unit_test(a_container_cannot_make_more_processes_than_its_limit),
        cmocka_unit_test(the_container_sees_its_own_cgroup_as_the_root),
        cmocka_unit_test(mounts_follow_links_inside_the_rootfs_only),
        cmocka_unit_test(a_bind_mount_is_recursive_and_read_only_as_far_as_asked),
        cmocka_unit_test(namespaces_of_the_pod_are_shared_and_others_joined_by_path),
        cmocka_unit_test(an_image_cannot_trick_with_what_it_has_in_place),
        cmocka_unit_test(a_terminal_is_the_containers_own),
        cmocka_unit_test(the_host_name_and_sysctls_are_the_containers_own),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(an_exec_joins_its_container),
        cmocka_unit_test(limits_can_be_changed_while_it_runs),
        cmocka_unit_test(on_cgroup_v2_it_is_entered_frozen_killed_and_kept_from_devices),
        cmocka_unit_test(a_recipe_that_is_damaged_is_refused),
    };
    alarm(100); /* what holds us up ends us, and with us our containers */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
