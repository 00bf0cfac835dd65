/* SPDX-License-Identifier: Apache-2.0 */
/* What does a pod with a container cost without engine and wire: straight through the technique, keepers and all?
 *
 *     namespace KEEPER [PODS [CLIENTS]]        (as root; KEEPER is the program warren-keeper)
 *
 * Prints the rate, the median of each step, and the keeper's memory with no container and with one. bench/cri.sh has the
 * whole way, beside containerd with crun. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "namespace/namespace.h"
#include "sandbox/server.h"

enum { PODS_MAX = 10000, STEPS = 4 };
static const char *const step_names[STEPS] = {"run", "create", "start", "remove"};

static struct {
    char dir[48];
    struct namespaces *t;
    struct sandboxer *s;
    int pods, clients, next, left, next_removed;
    int64_t took[STEPS][PODS_MAX];
    uint8_t config[64];
    size_t config_len;
    int64_t began, started;
    long keeper_empty, keeper_one;
} b;

static const char spec_text[] =
    "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"/bin/"
    "busybox\",\"sleep\",\"1000\"],\"cwd\":\"/\","
    "\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}},\"root\":{\"path\":\"rootfs\"},"
    "\"annotations\":{\"warren.seccomp\":\"default\"},\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"mode=755\"]},"
    "{\"destination\":\"/dev/"
    "pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\",\"ptmxmode="
    "0666\"]},"
    "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\",\"options\":[\"ro\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"cgroup\"},{\"type\":\"pid\"}]}}";

static _Noreturn void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static void must(int r, const char *what, const struct error *err)
{
    if (r < 0)
        die(what, err);
}

static long pss_kb(pid_t pid)
{
    char path[64], line[128];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "Pss: %ld", &kb);
    if (f)
        fclose(f);
    return kb;
}

static void name(int i, char *pod, char *container)
{
    snprintf(pod, 64, "bench-%d-%d", (int)getpid(), i);
    snprintf(container, 64, "c-%d", i);
}

static void start_one(int i)
{
    char pod[64], container[64], upper[128], work[128], lower[128];
    struct error err = {0};
    pid_t pid;
    name(i, pod, container);
    int64_t t0 = clock_mono_ns();
    struct sandbox_request sr = {
        .id = pod, .config = b.config, .config_len = b.config_len, .netns_path = ""};
    must(sandboxer_create(b.s, &sr, &err), "create a pod", &err);
    must(sandboxer_start(b.s, pod, NULL, &err), "start a pod", &err);
    int64_t t1 = clock_mono_ns();
    if (!i)
        b.keeper_empty = pss_kb(sandboxer_find_sandbox(b.s, pod)->pid);
    snprintf(lower, sizeof lower, "lowerdir=%s/root", b.dir);
    snprintf(upper, sizeof upper, "upperdir=%s/%d/upper", b.dir, i);
    snprintf(work, sizeof work, "workdir=%s/%d/work", b.dir, i);
    must(dir_make(AT_FDCWD, upper + strlen("upperdir="), 0755, &err), "make", &err);
    must(dir_make(AT_FDCWD, work + strlen("workdir="), 0755, &err), "make", &err);
    char *options[] = {lower, upper, work, (char *)"volatile", NULL};
    struct mount_request rootfs = {(char *)"overlay", (char *)"overlay", (char *)"", options};
    struct process_request pr = {.id = container,
                                 .exec_id = "",
                                 .sandbox_id = pod,
                                 .stdin_ = "",
                                 .stdout_ = "",
                                 .stderr_ = "",
                                 .bundle = "",
                                 .spec = spec_text,
                                 .spec_len = sizeof spec_text - 1,
                                 .rootfs = &rootfs,
                                 .rootfs_count = 1};
    int64_t t2 = clock_mono_ns();
    must(process_create(b.s, &pr, &pid, &err), "create a container", &err);
    int64_t t3 = clock_mono_ns();
    must(process_start(b.s, container, "", &pid, &err), "start a container", &err);
    b.took[0][i] = t1 - t0;
    b.took[1][i] = t3 - t2;
    b.took[2][i] = clock_mono_ns() - t3;
}

static void client(void *arg)
{
    (void)arg;
    while (b.next < b.pods)
        start_one(b.next++);
    if (--b.left == 0)
        loop_stop();
}

static void remover(void *arg)
{
    (void)arg;
    while (b.next_removed < b.pods) {
        char pod[64], container[64];
        struct error err = {0};
        int i = b.next_removed++;
        name(i, pod, container);
        int64_t t = clock_mono_ns();
        must(sandboxer_shutdown(b.s, pod, &err), "remove a pod", &err);
        b.took[3][i] = clock_mono_ns() - t;
    }
    if (--b.left == 0)
        loop_stop();
}

static double run(void (*fn)(void *arg))
{
    int64_t t = clock_mono_ns();
    b.left = b.clients;
    for (int i = 0; i < b.clients; i++)
        co_start(fn, NULL);
    loop_run();
    return (double)(clock_mono_ns() - t) / (double)NSEC_PER_SEC;
}

static int compare(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, c = *(const int64_t *)y;
    return a < c ? -1 : a > c;
}

static void prepare(const char *keeper)
{
    struct error err = {0};
    auto(buffer) struct buffer program = {0};
    strcpy(b.dir, "/tmp/warren-bench-ns.XXXXXX");
    if (!mkdtemp(b.dir))
        die("make a directory", &err);
    autofree char *bin = str_format("%s/root/bin", b.dir),
                  *path = str_format("%s/root/bin/busybox", b.dir),
                  *dir = str_format("%s/run", b.dir);
    must(dir_make(AT_FDCWD, bin, 0755, &err), "make the root", &err);
    must(dir_make(AT_FDCWD, dir, 0700, &err), "make the root", &err);
    must(file_read(AT_FDCWD, "/bin/busybox", 16 << 20, &program, &err),
         "Debian's busybox-static is needed", &err);
    must(file_replace(AT_FDCWD, path, program.data, program.len, 0755, false, &err),
         "make the root", &err);
    const struct namespace_options options = {
        .dir = dir, .keeper = keeper, .cgroup_parent = "warren-bench"};
    must(namespaces_new(&options, &b.t, &err), "set up", &err);
    must(sandboxer_new(&b.s, &namespace_technique, b.t, "unix:///none", &err), "set up", &err);
    Runtime__V1__NamespaceOption ns = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    Runtime__V1__LinuxSandboxSecurityContext security =
        RUNTIME__V1__LINUX_SANDBOX_SECURITY_CONTEXT__INIT;
    Runtime__V1__LinuxPodSandboxConfig linux_ = RUNTIME__V1__LINUX_POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    ns.network = RUNTIME__V1__NAMESPACE_MODE__NODE;
    ns.pid = RUNTIME__V1__NAMESPACE_MODE__CONTAINER;
    security.namespace_options = &ns;
    linux_.security_context = &security;
    config.linux = &linux_;
    b.config_len = runtime__v1__pod_sandbox_config__pack(&config, b.config);
}

int main(int argc, char **argv)
{
    if (argc < 2 || geteuid() != 0) {
        fputs("usage, as root: namespace KEEPER [PODS [CLIENTS]]\n", stderr);
        return 2;
    }
    diag_init("bench", DIAG_ERROR);
    b.pods = argc > 2 ? atoi(argv[2]) : 100;
    b.clients = argc > 3 ? atoi(argv[3]) : 8;
    if (b.pods < 1 || b.pods > PODS_MAX || b.clients < 1)
        return 2;
    prepare(argv[1]);
    double start = run(client);
    char pod[64], container[64];
    name(0, pod, container);
    long one = pss_kb(sandboxer_find_sandbox(b.s, pod)->pid);
    double removal = run(remover);
    printf("%d pods, %d at a time: started %.0f a second, removed %.0f a second\n", b.pods,
           b.clients, b.pods / start, b.pods / removal);
    for (int i = 0; i < STEPS; i++) {
        qsort(b.took[i], (size_t)b.pods, sizeof b.took[i][0], compare);
        printf("  %-8s p50 %.2f ms  p99 %.2f ms\n", step_names[i],
               (double)b.took[i][b.pods / 2] / 1e6, (double)b.took[i][b.pods * 99 / 100] / 1e6);
    }
    printf("  keeper   PSS %ld KB without a container (alone), %ld KB with one beside %d others\n",
           b.keeper_empty, one, b.pods - 1);
    sandboxer_free(b.s);
    namespaces_free(b.t);
    return dir_remove(AT_FDCWD, b.dir, NULL) < 0;
}
