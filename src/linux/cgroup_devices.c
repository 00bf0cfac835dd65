/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static int set_rule(const struct cgroup *g, const struct oci_device_rule *rule, struct error *err)
{
    const char *type = str_empty(rule->type) ? "a" : rule->type;
    const char *access = str_empty(rule->access) ? "rwm" : rule->access;
    char major[24], minor[24];
    number(rule->major, major);
    number(rule->minor, minor);
    const char *file = rule->allow ? "devices.allow" : "devices.deny";
    if (*type == 'a' && strspn(access, "rwm") == 3 && *major == '*' && *minor == '*')
        return cgroup_set(g, CGROUP_DEVICES, file, "a", err);
    if (*type != 'a')
        return cgroup_setf(g, CGROUP_DEVICES, err, file, "%s %s:%s %s", type, major, minor, access);
    /* the kernel takes "a" for everything only */
    int e = cgroup_setf(g, CGROUP_DEVICES, err, file, "b %s:%s %s", major, minor, access);
    return e ? e : cgroup_setf(g, CGROUP_DEVICES, err, file, "c %s:%s %s", major, minor, access);
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
    int e = 0;
    for (size_t i = 0; !e && i < n; i++)
        e = set_rule(g, &rules[i], err);
    return e;
}
