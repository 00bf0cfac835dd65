/* SPDX-License-Identifier: Apache-2.0 */
#include "namespace/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "namespace/pod.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U /* Linux 6.3 */
#endif

const struct technique namespace_technique = {
    .name = "namespace",
    .recover = namespace_recover,
    .sandbox_create = namespace_sandbox_create,
    .sandbox_start = namespace_sandbox_start,
    .sandbox_stop = namespace_sandbox_stop,
    .sandbox_remove = namespace_sandbox_remove,
    .create = namespace_create,
    .start = namespace_start,
    .signal = namespace_signal,
    .remove = namespace_remove,
    .pause = namespace_pause,
    .resume = namespace_resume,
    .update = namespace_update,
    .pids = namespace_pids,
    .stats = namespace_stats,
    .resize = namespace_resize,
    .close_stdin = namespace_close_stdin,
    .reopen_log = namespace_reopen_log,
    .attach = namespace_attach,
};

static int open_keeper(const char *given, struct error *err)
{
    char self[PATH_MAX];
    if (given) {
        int fd = open(given, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? fail(err, errno, "open the keeper '%s'", given) : fd;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return fail(err, errno, "find our own program");
    self[n] = 0;
    *strrchr(self, '/') = 0;
    static const char *const places[] = {"", "../libexec/warren/"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        autofree char *path = str_format("%s/%swarren-keeper", self, places[i]);
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0)
            return fd;
    }
    return fail_plain(
        err, ENOENT, "there is no warren-keeper in '%s' nor in '%s/../libexec/warren'", self, self);
}

static int seal_program(int from, struct error *err)
{
    struct stat st;
    autoclose int fd = memfd_create("warren-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("warren-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || fstat(from, &st) < 0)
        return fail(err, errno, "make memory for the keeper");
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(fd, from, NULL, (size_t)left);
        if (n <= 0)
            return fail(err, n < 0 ? errno : EIO, "load the keeper");
        left -= n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return fail(err, errno, "seal the keeper");
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 16); /* above what the keeper's descriptors are put at */
    return high < 0 ? fail(err, errno, "seal the keeper") : high;
}

/* The groups' parent goes where nothing is in it; it is made again at need. */
static void remove_parent(const struct namespaces *t)
{
    auto(arena) struct arena a = {0};
    struct cgroup g = {.host = t->cgroups};
    char **paths;
    if (!t->cgroups || strlen(t->cgroup_parent) >= sizeof g.path)
        return;
    strcpy(g.path, t->cgroup_parent);
    if (cgroup_join_paths(&g, &a, &paths, NULL) < 0)
        return;
    for (; *paths; paths++) {
        *strrchr(*paths, '/') = 0;
        rmdir(*paths);
    }
}

void namespaces_free(struct namespaces *t)
{
    if (!t)
        return;
    remove_parent(t);
    cgroup_host_free(t->cgroups);
    close_fd(&t->keeper);
    close_fd(&t->dir_fd);
    free(t->cgroup_parent);
    free(t->dir);
    free(t);
}
CLEANUP_FREE(namespaces, struct namespaces);

int namespaces_new(const struct namespace_options *options, struct namespaces **ret,
                   struct error *err)
{
    auto(namespaces) struct namespaces *t = calloc(1, sizeof *t);
    if (!t)
        return fail(err, ENOMEM, "set the technique up");
    t->dir_fd = t->keeper = -1;
    t->dir = realpath(options->dir, NULL);
    if (!t->dir)
        return fail(err, errno, "open '%s'", options->dir);
    t->cgroup_parent =
        strdup(str_empty(options->cgroup_parent) ? "warren" : options->cgroup_parent);
    if (!t->cgroup_parent)
        return fail(err, ENOMEM, "set the technique up");
    int r = cgroup_host_new(t->cgroup_parent, &t->cgroups, err);
    if (r < 0)
        return r;
    t->dir_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->dir_fd < 0)
        return fail(err, errno, "open '%s'", t->dir);
    autoclose int program = open_keeper(options->keeper, err);
    if (program < 0)
        return program;
    t->keeper = seal_program(program, err);
    if (t->keeper < 0)
        return t->keeper;
    signal(SIGCHLD,
           SIG_IGN); /* a keeper that ends is nobody's zombie: its end is learned by its socket */
    *ret = take_ptr(&t);
    return 0;
}
