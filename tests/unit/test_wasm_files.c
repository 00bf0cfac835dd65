/* SPDX-License-Identifier: Apache-2.0 */
/* What a wasm container sees of files: its rootfs' layers, mounts, its input; and who is attached. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "pods.h"

/* Runs one job of the guest in a container of this id, whose upper directory it keeps: the exit status and the output. */
static uint32_t job_with(const char *id, const char *more, const char *const *args, char **out)
{
    autofree char *log = str_format("%s/logs/%s", pods.dir, id);
    unlink(log);
    return container_run(
        &(struct container_spec){.pod = "pod", .id = id, .args = args, .more = more}, out);
}

static void expect(const char *id, const char *const *args, const char *wanted)
{
    autofree char *out = NULL;
    job_with(id, NULL, args, &out);
    autofree char *line = str_format("stdout F %s\n", wanted);
    if (!str_eq(out, line))
        give_up("%s %s: wanted '%s', found '%s'", args[1], args[2] ? args[2] : "", line, out);
}

#define GUEST(...) ARGS("/guest.wasm", __VA_ARGS__)

static void reading(void)
{
    expect("r", GUEST("cat", "/etc/motd"), "from base");
    expect("r", GUEST("cat", "/etc/top"), "from top");
    expect("r", GUEST("cat", "/etc/hidden"), "No such file or directory");
    expect("r", GUEST("list", "/etc"), "motd top ");
    expect("r", GUEST("list", "/opaque"), "above ");
    expect("r", GUEST("cat", "/opaque/below"), "No such file or directory");
    expect("r", GUEST("cat", "/link"), "from base");
    expect("r", GUEST("cat", "/absolute"), "from top");
    expect("r", GUEST("kind", "/link"), "symlink 8");
    expect("r", GUEST("kind", "/etc"), "directory");
    expect("r", GUEST("cat", "/etc/motd/x"), "Not a directory");
    expect("r", GUEST("cat", "../../../../../../../etc/shadow"), "No such file or directory");
}

static void the_layers_are_merged_with_whiteouts_and_opaque_directories(void **state)
{
    (void)state;
    pods_run(reading);
}

static void expect_host(const char *path, const char *wanted)
{
    auto(buffer) struct buffer b = {0};
    autofree char *full = str_format("%s/%s", pods.dir, path);
    int r = file_read(AT_FDCWD, full, 1 << 16, &b, NULL);
    if (!wanted && r == -ENOENT)
        return;
    if (r < 0 || !wanted || !str_eq(buffer_text(&b), wanted))
        give_up("'%s' of the host is '%s'", path, buffer_text(&b));
}

static bool is_whiteout(const char *path)
{
    struct stat st;
    autofree char *full = str_format("%s/%s", pods.dir, path);
    return lstat(full, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static void writing(void)
{
    autofree char *out = NULL, *out2 = NULL;
    struct stat st;
    autofree char *upper = str_format("%s/up-w", pods.dir);
    assert_int_equal(job_with("w", NULL, GUEST("cat", "/etc/motd"), &out), 0);
    assert_int_equal(stat(upper, &st), -1); /* nothing is made before the first write */
    assert_int_equal(job_with("w", NULL, GUEST("append", "/etc/motd", "and more"), &out2), 0);
    expect_host("base/etc/motd", "from base\n");
    expect_host("up-w/upper/etc/motd", "from base\nand more\n");
    autofree char *both = NULL;
    job_with("w", NULL, GUEST("cat", "/etc/motd"), &both);
    assert_string_equal(both, "stdout F from base\nstdout F and more\n");
    expect("w", GUEST("unlink", "/etc/top"), "done");
    assert_true(is_whiteout("up-w/upper/etc/top"));
    expect("w", GUEST("cat", "/etc/top"), "No such file or directory");
    expect("w", GUEST("list", "/etc"), "motd ");
    expect("w", GUEST("mkdir", "/new"), "done");
    expect("w", GUEST("mkdir", "/new"), "File exists");
    expect("w", GUEST("rename", "/etc/motd", "/new/motd"), "done");
    expect("w", GUEST("list", "/new"), "motd ");
    assert_true(is_whiteout("up-w/upper/etc/motd"));
    expect("w", GUEST("rmdir", "/new"), "Directory not empty");
    expect("w", GUEST("unlink", "/new/motd"), "done");
    expect("w", GUEST("rmdir", "/new"), "done");
    expect("w", GUEST("rename", "/etc", "/moved"), "Cross-device link");
    expect("w", GUEST("rmdir", "/etc"), "done"); /* all in it is hidden */
    expect("w", GUEST("mkdir", "/etc"), "done");
    expect("w", GUEST("list", "/etc"), "");
    expect("w", GUEST("symlink", "text", "/to-text"), "done");
    expect("w", GUEST("cat", "/to-text"), "this is no module");
    expect("w", GUEST("link", "/text", "/text2"), "done");
    expect("w", GUEST("cat", "/text2"), "this is no module");
    expect("w", GUEST("mkdir", "/way/too/deep"), "No such file or directory");
    expect_host("base/text", "this is no module\n");
}

static void writes_go_to_the_upper_directory_alone(void **state)
{
    (void)state;
    pods_run(writing);
}

static void mounting(void)
{
    autofree char *out = NULL, *out2 = NULL, *out3 = NULL, *out4 = NULL, *out5 = NULL, *out6 = NULL;
    autofree char *rw =
        str_format(",\"mounts\":[{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s/"
                   "volume\",\"options\":[\"rbind\",\"rw\"]}]",
                   pods.dir);
    autofree char *ro =
        str_format(",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
                   "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s/"
                   "volume\",\"options\":[\"rbind\",\"ro\"]},"
                   "{\"destination\":\"/etc/motd\",\"type\":\"bind\",\"source\":\"%s/volume/"
                   "data\",\"options\":[\"bind\",\"ro\"]}]",
                   pods.dir, pods.dir);
    assert_int_equal(job_with("m", rw, GUEST("write", "/data/made", "inside"), &out), 0);
    expect_host("volume/made", "inside\n");
    job_with("m", ro, GUEST("cat", "/data/data"), &out2);
    assert_string_equal(out2, "stdout F of the host\n");
    job_with("m", ro, GUEST("write", "/data/made", "again"), &out3);
    assert_string_equal(out3, "stdout F Read-only file system\n");
    job_with("m", ro, GUEST("cat", "/etc/motd"), &out4);
    assert_string_equal(out4, "stdout F of the host\n");
    job_with("m", rw, GUEST("cat", "/data/way-out"), &out5);
    assert_string_equal(out5, "stdout F Operation not permitted\n");
    job_with("m", rw, GUEST("list", "/"), &out6);
    assert_non_null(strstr(out6, "data/ "));
}

static void bind_mounts_are_there_and_their_symlinks_do_not_lead_out(void **state)
{
    (void)state;
    pods_run(mounting);
}

static void input(void)
{
    struct error err = {0};
    autofree char *path = str_format("%s/in", pods.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct container_spec c = {.pod = "pod", .id = "in", .args = GUEST("input"), .input = path};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start("in");
    co_sleep(20 * NSEC_PER_MSEC); /* it waits for a writer, and is not at its end */
    autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "one\n", 4), 4);
    container_expect_log("in", "stdout F read: one\n");
    close_fd(&fd);
    assert_int_equal(container_wait("in", NULL), 0);
    container_expect_log("in", "stdout F end of input\n");
    container_remove("in");
    expect("none", GUEST("input"), "end of input");
    expect("poll", GUEST("poll"), "poll 1"); /* no input: at its end, which is ready */
}

static void input_comes_from_a_fifo_and_parks_who_waits_for_it(void **state)
{
    (void)state;
    pods_run(input);
}

static void attaching(void)
{
    struct error err = {0};
    autofree char *address = NULL, *token = NULL;
    struct container_spec c = {.pod = "pod", .id = "att", .args = GUEST("beat", "5")};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start("att");
    if (process_attach(pods.sandboxer, "att", "", false, true, true, &address, &token, &err) < 0)
        give_up("%s", err.message);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, str_after(address, "unix://"), sizeof a.sun_path - 1);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    dprintf(fd, "%s\n", token);
    uint8_t frame[64];
    assert_int_equal(recv(fd, frame, 8, MSG_WAITALL), 8);
    assert_int_equal(frame[0], 1);
    assert_in_range(frame[7], strlen("beat 1\n"), sizeof frame);
    assert_int_equal(recv(fd, frame, frame[7], MSG_WAITALL), frame[7]);
    assert_memory_equal(frame, "beat ", 5);
    assert_int_equal(process_kill(pods.sandboxer, "att", "", SIGKILL, false, &err), 0);
    container_wait("att", NULL);
    while (recv(fd, frame, sizeof frame, 0) > 0) /* to its end */
        ;
    container_remove("att");
}

static void who_is_attached_gets_what_is_written(void **state)
{
    (void)state;
    pods_run(attaching);
}

static void all_of_wasi(void)
{
    autofree char *out = NULL;
    struct container_spec c = {
        .pod = "pod", .id = "wasi", .args = ARGS("/wasi.wasm", "all"), .env = "[\"A=1\"]"};
    uint32_t status = container_run(&c, &out);
    assert_string_equal(out, "stdout F all as specified\n");
    assert_int_equal(status, 42);
}

static void each_function_of_wasi_preview_1_does_what_is_specified(void **state)
{
    (void)state;
    pods_run(all_of_wasi);
}

static void devices(void)
{
    expect("dev", GUEST("kind", "/dev"), "directory");
    expect("dev", GUEST("list", "/dev"), "full null random urandom zero ");
    expect("dev", GUEST("bytes", "/dev/null"), "0 bytes of nothing");
    expect("dev", GUEST("fill", "/dev/null", "10"), "filled");
    expect("dev", GUEST("fill", "/dev/full", "1"), "No space left on device");
    expect("dev", GUEST("bytes", "/dev/zero"), "32 bytes of nothing");
    expect("dev", GUEST("bytes", "/dev/urandom"), "32 bytes of something");
    expect("dev", GUEST("unlink", "/dev/null"), "Resource busy");
    const char *hidden = ",\"mounts\":[{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":"
                         "\"tmpfs\",\"options\":[\"mode=755\"]}]";
    autofree char *out = NULL;
    job_with("dev2", hidden, GUEST("list", "/dev"), &out); /* Linux' own is left out */
    assert_string_equal(out, "stdout F full null random urandom zero \n");
}

static void every_container_has_the_harmless_devices(void **state)
{
    (void)state;
    pods_run(devices);
}

/* How many tmpfs of ours are mounted. */
static int mounted(void)
{
    autofree char *command = str_format("grep -c ' %s/t/' /proc/self/mountinfo", pods.dir);
    FILE *f = popen(command, "r");
    int count = -1;
    assert_int_equal(fscanf(f, "%d", &count), 1);
    pclose(f);
    return count;
}

#define SCRATCH                                                                                    \
    ",\"mounts\":[{\"destination\":\"/scratch\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","          \
    "\"options\":[\"nosuid\",\"size=64k\",\"mode=1777\"]}]"

static void memory_files(void)
{
    struct error err = {0};
    autofree char *put = NULL, *much = NULL, *cat = NULL;
    job_with("tmp", SCRATCH, GUEST("fill", "/scratch/f", "10"), &put);
    assert_string_equal(put, "stdout F filled\n");
    job_with("tmp", SCRATCH, GUEST("cat", "/scratch/f"), &cat);
    assert_string_equal(cat, "stdout F No such file or directory\n"); /* each has its own */
    job_with("tmp", SCRATCH, GUEST("fill", "/scratch/f", "1000"), &much);
    assert_string_equal(much, "stdout F No space left on device\n");
    assert_int_equal(mounted(), 0);
    struct container_spec c = {
        .pod = "pod", .id = "stays", .args = GUEST("beat", "5"), .more = SCRATCH};
    if (container_create(&c, &err) < 0)
        give_up("%s", err.message);
    container_start("stays");
    c.id = "bad";
    c.more = ",\"mounts\":[{\"destination\":\"/a\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
             "{\"destination\":\"/scratch\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
             "\"options\":[\"size=many\"]}]";
    assert_int_equal(container_create(&c, &err), -EINVAL);
    assert_non_null(strstr(err.message, "'size=many' at '/scratch'"));
    assert_int_equal(mounted(), 1);
    pods_restart();
    assert_int_equal(mounted(), 1);
    container_expect_log("stays", "beat 2\n");
    assert_int_equal(process_kill(pods.sandboxer, "stays", "", SIGKILL, false, &err), 0);
    container_wait("stays", NULL);
    container_remove("stays");
    assert_int_equal(mounted(), 0);
}

static void a_tmpfs_is_a_containers_own_and_goes_with_it(void **state)
{
    (void)state;
    pods_run(memory_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_function_of_wasi_preview_1_does_what_is_specified),
        cmocka_unit_test(the_layers_are_merged_with_whiteouts_and_opaque_directories),
        cmocka_unit_test(writes_go_to_the_upper_directory_alone),
        cmocka_unit_test(bind_mounts_are_there_and_their_symlinks_do_not_lead_out),
        cmocka_unit_test(every_container_has_the_harmless_devices),
        cmocka_unit_test(a_tmpfs_is_a_containers_own_and_goes_with_it),
        cmocka_unit_test(input_comes_from_a_fifo_and_parks_who_waits_for_it),
        cmocka_unit_test(who_is_attached_gets_what_is_written),
    };
    return cmocka_run_group_tests(tests, pods_setup_with_pod, pods_teardown);
}
