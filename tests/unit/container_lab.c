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

char lab[] = "/tmp/warren-test-container.XXXXXX";
struct cgroup_host *host;

/* A run of one container */

#define DEFAULT_CAPS                                                                               \
    "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_MKNOD\","             \
    "\"CAP_NET_RAW\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETFCAP\",\"CAP_SETPCAP\","               \
    "\"CAP_NET_BIND_SERVICE\",\"CAP_SYS_CHROOT\",\"CAP_KILL\",\"CAP_AUDIT_WRITE\"]"

static const char all_mounts[] =
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\","
    "\"noexec\",\"nodev\"]},{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},{\"destination\":"
    "\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\","
    "\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},{\"destination\":\"/dev/shm\","
    "\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
    "\"mode=1777\",\"size=65536k\"]},{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\","
    "\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},{\"destination\":"
    "\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
    "\"ro\"]},{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
    "\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}";

static const char all_namespaces[] =
    "{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":\"ipc\"},"
    "{\"type\":\"network\"},{\"type\":\"cgroup\"}";

static void quote(struct buffer *b, const char *text)
{
    buffer_puts(b, "\"");
    for (; *text; text++)
        buffer_printf(b,
                      *text == '"' || *text == '\\' ? "\\%c"
                      : *text == '\n'               ? "\\n"
                                                    : "%c",
                      *text);
    buffer_puts(b, "\"");
}

static void spec_text(const struct run *run, struct buffer *b)
{
    buffer_printf(b,
                  "{\"ociVersion\":\"1.2.0\",\"process\":{%s%s\"cwd\":\"%s\",\"user\":{%s},"
                  "\"args\":",
                  run->process ? run->process : "", run->process ? "," : "",
                  run->cwd ? run->cwd : "/", run->user ? run->user : "\"uid\":0,\"gid\":0");
    if (run->script) {
        buffer_puts(b, "[\"sh\",\"-c\",");
        quote(b, run->script);
        buffer_puts(b, "]");
    } else {
        buffer_puts(b, run->args);
    }
    if (!run->process || !strstr(run->process, "capabilities"))
        buffer_puts(b, ",\"capabilities\":{\"bounding\":" DEFAULT_CAPS
                       ",\"effective\":" DEFAULT_CAPS ",\"permitted\":" DEFAULT_CAPS "}");
    buffer_printf(
        b, ",\"env\":[\"PATH=/bin\",\"COLOR=blue green\"]},\"root\":{\"path\":\"%s/root\"%s}", lab,
        run->root ? run->root : "");
    buffer_printf(b, ",\"mounts\":[%s%s%s],\"linux\":{\"namespaces\":[%s]%s%s}%s%s}", all_mounts,
                  run->mounts ? "," : "", run->mounts ? run->mounts : "",
                  run->namespaces ? run->namespaces : all_namespaces, run->linux_ ? "," : "",
                  run->linux_ ? run->linux_ : "", run->top ? "," : "", run->top ? run->top : "");
}

void read_output(int fd, struct run *run)
{
    size_t n = 0;
    for (ssize_t got; n < sizeof run->output - 1 &&
                      (got = read(fd, run->output + n, sizeof run->output - 1 - n)) > 0;)
        n += (size_t)got;
    run->output[n] = 0;
}

/* The next event, at most ten seconds later. */
static enum container_event next_event(struct container_child *c, int *terminal, struct run *run)
{
    for (;;) {
        struct pollfd p = {c->control, POLLIN, 0};
        if (poll(&p, 1, 10000) <= 0)
            return CONTAINER_NOTHING;
        enum container_event event = container_receive(c, terminal, &run->err);
        if (event != CONTAINER_WARNING)
            return event;
        size_t used = strlen(run->warnings);
        snprintf(run->warnings + used, sizeof run->warnings - used, "%s\n", run->err.message);
        run->err = (struct error){0};
    }
}

int wait_status(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int start(struct run *run, const struct buffer *recipe, int target, struct container_child *c,
          int *ret_out)
{
    const struct recipe *r;
    int out[2], terminal = -1;
    if (recipe_open(recipe->data, recipe->len, &r, &run->err) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    struct container_io io = {-1, out[1], out[1], target};
    int e = container_clone(r, &io, c, &run->err);
    close(out[1]);
    *ret_out = out[0];
    if (e < 0)
        return -1;
    enum container_event event = next_event(c, &terminal, run);
    if (event == CONTAINER_READY && terminal >= 0) {
        close(*ret_out);
        *ret_out = terminal;
        fcntl(terminal, F_SETFL, 0);
    }
    if (event == CONTAINER_READY && container_go(c, &run->err) == 0)
        event = next_event(c, &terminal, run);
    return event == CONTAINER_STARTED ? 0 : -1;
}

int build(struct run *run, struct arena *a, const struct cgroup *g, struct buffer *recipe)
{
    auto(buffer) struct buffer json = {0}, warnings = {0};
    spec_text(run, &json);
    if (oci_spec_parse(json.data, json.len, a, &run->spec, &run->err) < 0)
        return -1;
    char *options[] = {arena_printf(a, "lowerdir=%s/root", lab),
                       arena_printf(a, "upperdir=%s/upper", lab),
                       arena_printf(a, "workdir=%s/work", lab), NULL};
    struct recipe_rootfs rootfs;
    if (recipe_rootfs_parse("overlay", "overlay", options, a, &rootfs, &run->err) < 0)
        return -1;
    struct recipe_input in = {.spec = run->spec,
                              .rootfs = run->overlay ? &rootfs : NULL,
                              .pod_namespaces = run->pod_namespaces,
                              .cgroup = g,
                              .die_with_parent = true};
    int e = recipe_build(&in, recipe, &warnings, &run->err);
    snprintf(run->warnings, sizeof run->warnings, "%s", buffer_text(&warnings));
    return e;
}

static void run_in(struct run *run, const struct cgroup *g)
{
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer recipe = {0};
    struct container_child c = {.pidfd = -1, .control = -1};
    autoclose int out = -1;
    run->status = -1;
    if (build(run, &a, g, &recipe) < 0)
        return;
    int e = start(run, &recipe, -1, &c, &out);
    if (out >= 0)
        read_output(out, run);
    int status = c.pid ? wait_status(c.pid) : -1;
    run->status = e == 0 ? status : -1;
    container_child_done(&c);
}

void run_container(struct run *run)
{
    struct cgroup g;
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer json = {0};
    struct error err = {0};
    struct oci_spec *spec;
    assert_int_equal(cgroup_name(host, "pod", "c1", &g, &err), 0);
    spec_text(run, &json);
    if (oci_spec_parse(json.data, json.len, &a, &spec, &run->err) < 0) {
        run->status = -1;
        return;
    }
    if (!spec->linux_ || !spec->linux_->resources) {
        run_in(run, NULL);
        return;
    }
    run->status = -1;
    if (cgroup_make(&g, spec->linux_->resources, &run->err) == 0) {
        run_in(run, &g);
        struct cgroup_stats stats;
        if (cgroup_stats_read(&g, &stats, &err) == 0)
            run->oom = stats.oom_kills > 0;
        assert_int_equal(cgroup_remove(&g, &err), 0);
    }
}

/* The lab */

static void put(const char *name, const char *text, mode_t mode)
{
    autofree char *path = str_format("%s/%s", lab, name);
    struct error err = {0};
    assert_int_equal(file_replace(AT_FDCWD, path, text, strlen(text), mode, false, &err), 0);
}

static unsigned count_mounts(void)
{
    auto(buffer) struct buffer b = {0};
    unsigned n = 0;
    file_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &b, NULL);
    for (const char *p = buffer_text(&b); (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static unsigned mounts_before;

int set_up(void **state)
{
    (void)state;
    static const char *const dirs[] = {"root/bin", "root/etc", "root/masked",
                                       "root/tmp", "root/mnt", "root/home",
                                       "upper",    "work",     "data"};
    struct error err = {0};
    if (geteuid() != 0 || !mkdtemp(lab))
        return -1;
    chmod(lab, 0755);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        autofree char *path = str_format("%s/%s", lab, dirs[i]);
        if (dir_make(AT_FDCWD, path, 0755, &err) < 0)
            return -1;
    }
    autofree char *copy =
        str_format("cp /bin/busybox %s/root/bin/ && %s/root/bin/busybox --install -s "
                   "%s/root/bin && cd %s/root/bin && for l in *; do test -L $l && ln "
                   "-sf busybox $l; done; ln -s /warren-escape %s/root/trap",
                   lab, lab, lab, lab, lab);
    if (system(copy) != 0)
        return -1;
    put("root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1234:500:App:/home/app:/bin/sh\n",
        0644);
    put("root/etc/group", "root:x:0:\napp:x:500:\naudio:x:77:other,app\n", 0644);
    put("root/etc/motd", "welcome\n", 0644);
    put("root/bin/noloader", "#!/bin/nothing\n", 0755);
    put("data/file", "hello\n", 0644);
    autofree char *parent = str_format("warren-test-%d", getpid());
    if (cgroup_host_new(parent, &host, &err) < 0) {
        print_error("%s\n", err.message);
        return -1;
    }
    mounts_before = count_mounts();
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    struct error err = {0};
    struct cgroup all;
    autofree char *parent = str_format("/warren-test-%d", getpid());
    int e = cgroup_name_path(host, parent, &all, &err);
    if (!e && cgroup_kill(&all, SIGKILL, &err) == 0) /* of a test that failed half-way */
        while (waitpid(-1, NULL, 0) > 0)
            ;
    if (!e)
        e = cgroup_remove(&all, &err);
    cgroup_host_free(host);
    if (count_mounts() != mounts_before)
        e = -1;
    return dir_remove(AT_FDCWD, lab, &err) < 0 ? -1 : e;
}
