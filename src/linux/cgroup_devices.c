/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "linux/cgroup_host.h"
#include "oci/spec.h"

/* What every container may do, as docker and runc have it: make any node, and use these. */
static const struct {
    char type[2];
    int64_t major, minor;
    char access[4];
} defaults[] = {
    {"c", -1, -1, "m"}, {"b", -1, -1, "m"},    {"c", 1, 3, "rwm"}, {"c", 1, 5, "rwm"},
    {"c", 1, 7, "rwm"}, {"c", 1, 8, "rwm"},    {"c", 1, 9, "rwm"}, {"c", 5, 0, "rwm"},
    {"c", 5, 2, "rwm"}, {"c", 136, -1, "rwm"},
};

static void number(const int64_t *n, char text[24])
{
    if (n && *n >= 0)
        snprintf(text, 24, "%lld", (long long)*n);
    else
        snprintf(text, 24, "*");
}

/* devices.allow and devices.deny, opened once for all rules. */
struct rule_files {
    int fds[2];
};

static void rule_files_done(struct rule_files *f)
{
    close_fd(&f->fds[0]);
    close_fd(&f->fds[1]);
}
CLEANUP_DONE(rule_files, struct rule_files);

static int write_rule(struct rule_files *f, const struct cgroup *g, bool allow, const char *text,
                      struct error *err)
{
    const char *file = allow ? "devices.allow" : "devices.deny";
    const struct cgroup_hierarchy *y = cgroup_find(g->host, CGROUP_DEVICES);
    int *fd = &f->fds[allow];
    char path[PATH_MAX];
    if (!y)
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.resources.devices: this machine has no cgroup controller 'devices'");
    if (*fd < 0 && cgroup_file(g, y, file, path) == 0)
        *fd = open(path, O_WRONLY | O_CLOEXEC);
    if (*fd < 0 || pwrite(*fd, text, strlen(text), 0) < 0)
        return fail(err, errno, "cgroup '%s': set %s to '%s'", g->path, file, text);
    return 0;
}

static int set_rule(struct rule_files *f, const struct cgroup *g,
                    const struct oci_device_rule *rule, struct error *err)
{
    const char *type = str_empty(rule->type) ? "a" : rule->type;
    const char *access = str_empty(rule->access) ? "rwm" : rule->access;
    char major[24], minor[24], text[80];
    number(rule->major, major);
    number(rule->minor, minor);
    bool all = *type == 'a';
    if (all && strspn(access, "rwm") == 3 && *major == '*' && *minor == '*')
        return write_rule(f, g, rule->allow, "a", err);
    /* the kernel takes "a" for everything only */
    snprintf(text, sizeof text, "%s %s:%s %s", all ? "b" : type, major, minor, access);
    int e = write_rule(f, g, rule->allow, text, err);
    text[0] = 'c';
    return e || !all ? e : write_rule(f, g, rule->allow, text, err);
}

static int check_rule(const struct oci_device_rule *rule, size_t i, struct error *err)
{
    const char *type = str_empty(rule->type) ? "a" : rule->type;
    const char *access = str_empty(rule->access) ? "rwm" : rule->access;
    if (strlen(type) == 1 && strchr("abc", *type) && !access[strspn(access, "rwm")] &&
        strlen(access) <= 3)
        return 0;
    return fail_plain(
        err, EINVAL,
        "linux.resources.devices[%zu]: '%s' is none of a, b, c, or '%s' has more than "
        "r, w, m",
        i, type, access);
}

/* The spec's rules, and after them the defaults where anything was denied. */
int cgroup_limit_devices(const struct cgroup *g, const struct oci_resources *r, struct error *err)
{
    size_t n = r->devices_count;
    if (!n)
        return 0;
    auto(arena) struct arena a = {0};
    struct oci_device_rule *rules =
        arena_array(&a, struct oci_device_rule, n + ARRAY_SIZE(defaults));
    bool denied = false;
    for (size_t i = 0; i < n; i++) {
        int e = check_rule(&r->devices[i], i, err);
        if (e)
            return e;
        rules[i] = r->devices[i];
        denied = denied || !rules[i].allow;
    }
    for (size_t i = 0; denied && i < ARRAY_SIZE(defaults); i++) {
        rules[n] = (struct oci_device_rule){
            .allow = true, .type = (char *)defaults[i].type, .access = (char *)defaults[i].access};
        rules[n].major = arena_copy(&a, &defaults[i].major, sizeof(int64_t));
        rules[n++].minor = arena_copy(&a, &defaults[i].minor, sizeof(int64_t));
    }
    if (g->host->version == 2)
        return cgroup_attach_device_program(g, rules, n, err);
    auto(rule_files) struct rule_files files = {{-1, -1}};
    int e = 0;
    for (size_t i = 0; !e && i < n; i++)
        e = set_rule(&files, g, &rules[i], err);
    return e;
}
