/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>

#include "base/base.h"
#include "wasm/wasm.h"

enum { CONFIG_MAX = 1 << 20 };
#define UIDS_MOST (INT64_C(0xfffffffe) - (1 << 22)) /* a pid is added: pid_max is at most 2^22 */

static int number(const char *key, struct json_object *v, int64_t min, int64_t max, int64_t *ret,
                  struct error *err)
{
    int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : min - 1;
    if (n < min || n > max)
        return fail_plain(err, EINVAL, "%s: expected a number from %lld to %lld, found %s", key,
                          (long long)min, (long long)max, json_object_to_json_string(v));
    *ret = n;
    return 0;
}

static int tenant(struct json_object *v, enum wasm_tenant *ret, struct error *err)
{
    static const char *const names[] = {
        [WASM_BY_NAMESPACE] = "namespace", [WASM_BY_NODE] = "node", [WASM_BY_POD] = "pod"};
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(text, names[i])) {
            *ret = (enum wasm_tenant)i;
            return 0;
        }
    return fail_plain(err, EINVAL, "tenant: expected \"namespace\", \"node\" or \"pod\", found %s",
                      json_object_to_json_string(v));
}

static int isolation(struct json_object *v, bool *ret_required, struct error *err)
{
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
    *ret_required = str_eq(text, "required");
    return *ret_required || str_eq(text, "preferred")
               ? 0
               : fail_plain(err, EINVAL,
                            "isolation: expected \"required\" or \"preferred\", found %s",
                            json_object_to_json_string(v));
}

static int set(struct wasm_options *o, const char *key, struct json_object *v, struct error *err)
{
    int64_t n = 0;
    int r;
    if (str_eq(key, "tenant"))
        return tenant(v, &o->tenant, err);
    if (str_eq(key, "pods-per-worker")) {
        r = number(key, v, 1, 1000000, &n, err);
        if (!r)
            o->pods_per_worker = (unsigned)n;
    } else if (str_eq(key, "threads")) {
        r = number(key, v, 0, 1024, &n, err);
        if (!r)
            o->threads = (unsigned)n;
    } else if (str_eq(key, "memory-limit")) {
        r = number(key, v, 65536, INT64_C(4) << 30, &n, err);
        if (!r)
            o->memory_limit = (uint64_t)n;
    } else if (str_eq(key, "worker-uids")) {
        r = number(key, v, 0, UIDS_MOST, &n, err);
        if (!r)
            o->uids = (uint32_t)n;
    } else if (str_eq(key, "isolation")) {
        return isolation(v, &o->isolation_required, err);
    } else if (str_eq(key, "cache-size")) {
        r = number(key, v, 0, INT64_MAX, &n, err);
        if (!r)
            o->cache_size = (uint64_t)n;
    } else {
        r = fail_plain(err, EINVAL,
                       "'%s' is no key of this file: they are tenant, pods-per-worker, threads, "
                       "memory-limit, cache-size, worker-uids and isolation",
                       key);
    }
    return r;
}

int config_read(const char *path, struct wasm_options *o, struct error *err)
{
    auto(buffer) struct buffer file = {0};
    int r = file_read(AT_FDCWD, path, CONFIG_MAX, &file, err);
    if (r < 0)
        return r;
    enum json_tokener_error problem;
    struct json_object *root = json_tokener_parse_verbose(buffer_text(&file), &problem);
    if (!json_object_is_type(root, json_type_object)) {
        json_object_put(root);
        return fail_plain(err, EINVAL, "'%s' is no JSON object: %s", path,
                          json_tokener_error_desc(problem));
    }
    json_object_object_foreach(root, key, v)
    {
        if (!r)
            r = set(o, key, v, err);
    }
    json_object_put(root);
    return r < 0 ? fail_in(err, r, "'%s'", path) : 0;
}
