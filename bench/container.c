/* SPDX-License-Identifier: Apache-2.0 */
/* How long does a container take to start and end, next to crun and runc? One busybox `true` after another, as a CRI engine
 * would describe it: overlay root, the usual mounts, masked paths, docker's capabilities and seccomp profile, cgroups.
 *
 *     container [COUNT]        (as root)
 *
 * Ours clones from this process, as a keeper does; crun and runc are run as programs on a directory root, which is
 * what their callers do. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "container/container.h"
#include "linux/cgroup.h"
#include "oci/spec.h"

static char lab[] = "/tmp/warren-bench-container.XXXXXX";

#define CAPS                                                                                       \
    "[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_MKNOD\","             \
    "\"CAP_NET_RAW\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETFCAP\",\"CAP_SETPCAP\","               \
    "\"CAP_NET_BIND_SERVICE\",\"CAP_SYS_CHROOT\",\"CAP_KILL\",\"CAP_AUDIT_WRITE\"]"

static const char spec_text[] =
    "{\"ociVersion\":\"1.0.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[\"true\"],"
    "\"env\":[\"PATH=/bin\"],\"cwd\":\"/\",\"capabilities\":{\"bounding\":" CAPS
    ",\"effective\":" CAPS ",\"permitted\":" CAPS "}},\"root\":{\"path\":\"rootfs\"},"
    "\"annotations\":{\"warren.seccomp\":\"default\"},\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\","
    "\"noexec\",\"nodev\"]},{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},{\"destination\":"
    "\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"nosuid\",\"noexec\","
    "\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]},{\"destination\":\"/dev/shm\","
    "\"type\":\"tmpfs\",\"source\":\"shm\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
    "\"mode=1777\",\"size=65536k\"]},{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\","
    "\"source\":\"mqueue\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},{\"destination\":"
    "\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"nosuid\",\"noexec\",\"nodev\","
    "\"ro\"]}%s],\"linux\":{\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
    "\"cgroupsPath\":\"/warren-bench/%s\",\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},"
    "{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"cgroup\"}],\"maskedPaths\":[\"/proc/acpi\","
    "\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\","
    "\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\","
    "\"/sys/devices/virtual/powercap\"],\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\","
    "\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}}";

static const char cgroup_mount[] =
    ",{\"destination\":\"/sys/fs/cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\",\"options\":["
    "\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}";

static _Noreturn void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err ? err->message : strerror(errno));
    exit(1);
}

/* Figures */

struct series {
    const char *name;
    int64_t *ns;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void series_add(struct series *s, int64_t ns)
{
    s->ns[s->n++] = ns;
}

static void series_print(struct series *s)
{
    if (!s->n)
        return;
    qsort(s->ns, s->n, sizeof *s->ns, compare);
    printf("%-44s min %7.0f  median %7.0f  p99 %7.0f us\n", s->name, (double)s->ns[0] / 1e3,
           (double)s->ns[s->n / 2] / 1e3, (double)s->ns[s->n * 99 / 100] / 1e3);
    free(s->ns);
}

/* Ours */

enum step { STEP_GROUP, STEP_RECIPE, STEP_READY, STEP_EXIT, STEP_REMOVE, STEP_ALL, STEPS };

static enum container_event wait_event(struct container_child *c)
{
    struct error err = {0};
    int terminal = -1;
    for (;;) {
        struct pollfd p = {c->control, POLLIN, 0};
        poll(&p, 1, 10000);
        enum container_event event = container_receive(c, &terminal, &err);
        if (event == CONTAINER_FAILED || event == CONTAINER_ENDED)
            die("container", &err);
        if (event == CONTAINER_READY || event == CONTAINER_STARTED)
            return event;
    }
}

static void run_once(const struct cgroup_host *host, const char *json, struct series *s)
{
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer block = {0};
    struct error err = {0};
    struct cgroup g;
    struct oci_spec *spec;
    const struct recipe *r;
    char *options[] = {arena_printf(&a, "lowerdir=%s/rootfs", lab),
                       arena_printf(&a, "upperdir=%s/upper", lab),
                       arena_printf(&a, "workdir=%s/work", lab), NULL};
    struct recipe_rootfs rootfs;
    int64_t t0 = clock_mono_ns();
    if (oci_spec_parse(json, strlen(json), &a, &spec, &err) < 0 ||
        recipe_rootfs_parse("overlay", "", options, &a, &rootfs, &err) < 0 ||
        cgroup_name(host, "pod", "c", &g, &err) < 0 ||
        cgroup_make(&g, spec->linux_->resources, &err) < 0)
        die("group", &err);
    int64_t t1 = clock_mono_ns();
    struct recipe_input in = {.spec = spec, .rootfs = &rootfs, .cgroup = &g};
    if (recipe_build(&in, &block, NULL, &err) < 0 ||
        recipe_open(block.data, block.len, &r, &err) < 0)
        die("recipe", &err);
    int64_t t2 = clock_mono_ns();
    struct container_child c;
    if (container_clone(r, &(struct container_io){-1, -1, -1, -1}, &c, &err) < 0)
        die("clone", &err);
    wait_event(&c);
    int64_t t3 = clock_mono_ns();
    if (container_go(&c, &err) < 0)
        die("go", &err);
    int status;
    waitpid(c.pid, &status, 0);
    int64_t t4 = clock_mono_ns();
    container_child_done(&c);
    if (status)
        die("true failed", NULL);
    if (cgroup_remove(&g, &err) < 0)
        die("remove", &err);
    int64_t t5 = clock_mono_ns();
    series_add(&s[STEP_GROUP], t1 - t0);
    series_add(&s[STEP_RECIPE], t2 - t1);
    series_add(&s[STEP_READY], t3 - t2);
    series_add(&s[STEP_EXIT], t4 - t3);
    series_add(&s[STEP_REMOVE], t5 - t4);
    series_add(&s[STEP_ALL], t5 - t0);
}

static void run_ours(const char *title, const char *more_mounts, size_t count)
{
    static const char *const names[STEPS] = {"  spec parsed, cgroups made", "  recipe",
                                             "  cloned until ready",        "  go until exit",
                                             "  cgroups removed",           "  all"};
    struct series s[STEPS];
    struct error err = {0};
    struct cgroup_host *host;
    struct cgroup parent;
    autofree char *json = str_format(spec_text, more_mounts, "ours");
    if (cgroup_host_new("warren-bench", &host, &err) < 0)
        die("cgroups", &err);
    for (int i = 0; i < STEPS; i++)
        s[i] = (struct series){names[i], calloc(count, sizeof(int64_t)), 0};
    for (size_t i = 0; i < count; i++)
        run_once(host, json, s);
    printf("%s\n", title);
    for (int i = 0; i < STEPS; i++)
        series_print(&s[i]);
    if (cgroup_name_path(host, "/warren-bench", &parent, &err) < 0 ||
        cgroup_remove(&parent, &err) < 0)
        die("cgroups", &err);
    cgroup_host_free(host);
}

/* Theirs */

static bool run_program(const char *command)
{
    int status = system(command);
    return status == 0;
}

static void run_theirs(const char *name, const char *program, size_t count)
{
    struct series s = {name, calloc(count, sizeof(int64_t)), 0};
    autofree char *command = str_format("%s --root %s/state run --bundle %s bench >%s/log 2>&1 "
                                        "</dev/null",
                                        program, lab, lab, lab);
    for (size_t i = 0; i < count; i++) {
        int64_t t = clock_mono_ns();
        if (!run_program(command)) {
            autofree char *show = str_format("head -c 300 %s/log", lab);
            printf("%s: not run: ", name);
            fflush(stdout);
            run_program(show);
            break;
        }
        series_add(&s, clock_mono_ns() - t);
    }
    series_print(&s);
}

static void write_bundle(void)
{
    struct error err = {0};
    autofree char *path = str_format("%s/config.json", lab);
    autofree char *json = str_format(spec_text, "", "theirs");
    if (file_replace(AT_FDCWD, path, json, strlen(json), 0644, false, &err) < 0)
        die("bundle", &err);
}

/* crun 1.8 refuses a machine with both versions' hierarchies: it gets to see v1's only. */
static void hide_unified(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        die("unshare", NULL);
    static const char unified[] = "/sys/fs/cgroup/unified";
    if (access(unified, F_OK) == 0 && mount("tmpfs", unified, "tmpfs", 0, NULL) < 0)
        die(unified, NULL);
}

int main(int argc, char **argv)
{
    int64_t count = 100;
    if (argc > 2 || (argc == 2 && str_parse_int(argv[1], 1, 100000, &count) < 0)) {
        fprintf(stderr, "usage: %s [COUNT]\n", argv[0]);
        return 2;
    }
    hide_unified();
    if (!mkdtemp(lab))
        die(lab, NULL);
    autofree char *set_up = str_format("cd %s && mkdir -p rootfs/bin rootfs/etc upper work && cp "
                                       "/bin/busybox rootfs/bin/ && ln -s "
                                       "busybox rootfs/bin/true",
                                       lab);
    autofree char *tear_down = str_format("rm -rf %s; find /sys/fs/cgroup -depth -path "
                                          "'*/warren-bench*' -type d -exec rmdir {} + 2>/dev/null",
                                          lab);
    if (!run_program(set_up))
        die("set up", NULL);
    write_bundle();
    run_ours("warren, one container in its own pid, ipc, uts, mount and cgroup namespaces", "",
             (size_t)count);
    run_ours("warren, and /sys/fs/cgroup mounted", cgroup_mount, (size_t)count);
    size_t few = count < 50 ? (size_t)count : 50;
    run_theirs("crun run", "crun --cgroup-manager=cgroupfs", few);
    run_theirs("runc run", "runc", few);
    run_program(tear_down);
    return 0;
}
