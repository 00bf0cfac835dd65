/* SPDX-License-Identifier: Apache-2.0 */
/* argv, the environment, and the program as execvp would find it, but told in words before anything is started. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/child.h"
#include "container/container.h"

static char **list_of(const struct recipe *r, struct recipe_list l, size_t room)
{
    char **v = calloc(l.count + room + 1, sizeof *v);
    for (uint32_t i = 0; v && i < l.count; i++)
        v[i] = (char *)(uintptr_t)recipe_text_at(r, l, i);
    return v;
}

static const char *get_env(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static int build_lists(struct child *c, struct error *err)
{
    const struct recipe *r = c->recipe;
    c->argv = list_of(r, r->args, 0);
    c->envp = list_of(r, r->env, 1);
    if (!c->argv || !c->envp)
        return fail(err, ENOMEM, "build the program's arguments");
    if (get_env(c->envp, "HOME"))
        return 0;
    char *home = NULL;
    if (asprintf(&home, "HOME=%s", *c->user.home ? c->user.home : "/") < 0)
        return fail(err, ENOMEM, "build the program's environment");
    c->envp[r->env.count] = home;
    return 0;
}

/* 0, -ENOENT, -EACCES, -EISDIR; as the ids we have by now. */
static int check_program(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int refuse(struct child *c, int code, const char *name, const char *path, struct error *err)
{
    c->exit_code = code == -ENOENT ? CONTAINER_EXIT_NOT_FOUND : CONTAINER_EXIT_CANNOT_EXECUTE;
    if (code == -ENOENT && path)
        return fail_plain(err, code, "command '%s' not found in PATH (%s)", name, path);
    if (code == -ENOENT)
        return fail_plain(err, code, "command '%s' not found in the container", name);
    if (code == -EISDIR)
        return fail_plain(err, code, "command '%s' is a directory", name);
    if (code == -EACCES)
        return fail_plain(err, code, "command '%s' is not executable for user %u", name,
                          (unsigned)c->user.uid);
    return fail(err, code, "command '%s'", name);
}

/* Our own program must not be what the container runs: it would hand its file to it (CVE-2019-5736). */
static int check_not_us(struct child *c, struct error *err)
{
    struct stat ours, theirs;
    if (strcmp(c->program, "/proc/self/exe") == 0 ||
        (stat("/proc/self/exe", &ours) == 0 && stat(c->program, &theirs) == 0 &&
         ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino))
        return fail_plain(err, EPERM, "command '%s' is the program that starts containers",
                          c->program);
    return 0;
}

static int search_path(struct child *c, const char *name, struct error *err)
{
    const char *path = get_env(c->envp, "PATH");
    if (!path)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char found[PATH_MAX];
    int worst = -ENOENT;
    for (const char *p = path; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
        size_t len = strcspn(p, ":");
        int n = snprintf(found, sizeof found, "%.*s%s%s", (int)len, p, len ? "/" : "./", name);
        if (n < 0 || (size_t)n >= sizeof found)
            continue;
        int e = check_program(found);
        if (!e) {
            c->program = found;
            return check_not_us(c, err);
        }
        if (e == -EACCES)
            worst = e;
    }
    return refuse(c, worst, name, path, err);
}

int child_find_program(struct child *c, struct error *err)
{
    int e = build_lists(c, err);
    if (e)
        return e;
    const char *name = c->argv[0];
    if (!*name)
        return fail_plain(err, EINVAL, "the command is empty");
    if (!strchr(name, '/'))
        return search_path(c, name, err);
    e = check_program(name);
    if (e)
        return refuse(c, e, name, NULL, err);
    c->program = name;
    return check_not_us(c, err);
}
