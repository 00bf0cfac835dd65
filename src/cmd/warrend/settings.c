/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>

#include "base/base.h"

enum { CONFIG_MAX = 1 << 20 };

struct reader {
    struct settings *config;
    const char *name;
    const char *text;
    struct error *err;
};

void settings_done(struct settings *c)
{
    free(c->data_root);
    free(c->exec_root);
    free(c->pidfile);
    strv_free(c->hosts);
    free(c->default_runtime);
    free(c->group);
    for (size_t i = 0; i < c->sandboxer_count; i++) {
        free(c->sandboxers[i].handler);
        free(c->sandboxers[i].name);
        free(c->sandboxers[i].address);
    }
    free(c->sandboxers);
    for (size_t i = 0; i < c->runtime_count; i++) {
        free(c->runtimes[i].handler);
        free(c->runtimes[i].type);
    }
    free(c->runtimes);
    *c = (struct settings){0};
}

static int line_at(const char *text, const char *end)
{
    int line = 1;
    for (const char *p = text; p < end; p++)
        line += *p == '\n';
    return line;
}

/* The line of the last occurrence of "key" followed by a colon: json-c does not tell where a value
 * stood. The path's outer key, where there is one, must come before. */
static int line_of(const struct reader *r, const char *outer, const char *key)
{
    const char *from = r->text;
    const char *keys[] = {outer, key};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!keys[i])
            continue;
        autofree char *quoted = str_format("\"%s\"", keys[i]);
        const char *found = quoted ? strstr(from, quoted) : NULL;
        if (found)
            from = found;
    }
    return line_at(r->text, from);
}

static int bad(const struct reader *r, const char *outer, const char *key, const char *expected)
{
    return fail_plain(r->err, EINVAL, "%s:%d: key '%s%s%s': %s", r->name, line_of(r, outer, key),
                      outer ? outer : "", outer ? "." : "", key, expected);
}

static int read_string(const struct reader *r, const char *outer, const char *key,
                       struct json_object *value, char **ret)
{
    if (!json_object_is_type(value, json_type_string) || !json_object_get_string_len(value))
        return bad(r, outer, key, "expected a string that is not empty");
    free(*ret);
    *ret = strdup(json_object_get_string(value));
    return *ret ? 0 : fail(r->err, ENOMEM, "read '%s'", r->name);
}

static int read_path(const struct reader *r, const char *key, struct json_object *value, char **ret)
{
    int e = read_string(r, NULL, key, value, ret);
    if (e == 0 && **ret != '/')
        return bad(r, NULL, key, "expected an absolute path");
    return e;
}

static int read_data_root(const struct reader *r, const char *key, struct json_object *value)
{
    return read_path(r, key, value, &r->config->data_root);
}

static int read_exec_root(const struct reader *r, const char *key, struct json_object *value)
{
    return read_path(r, key, value, &r->config->exec_root);
}

static int read_pidfile(const struct reader *r, const char *key, struct json_object *value)
{
    return read_path(r, key, value, &r->config->pidfile);
}

static int read_group(const struct reader *r, const char *key, struct json_object *value)
{
    return read_string(r, NULL, key, value, &r->config->group);
}

static int read_default_runtime(const struct reader *r, const char *key, struct json_object *value)
{
    return read_string(r, NULL, key, value, &r->config->default_runtime);
}

static int read_debug(const struct reader *r, const char *key, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_boolean))
        return bad(r, NULL, key, "expected true or false");
    if (json_object_get_boolean(value))
        r->config->log_level = DIAG_DEBUG;
    return 0;
}

static int read_log_level(const struct reader *r, const char *key, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string) ||
        !diag_parse_level(json_object_get_string(value), &r->config->log_level))
        return bad(r, NULL, key, "expected one of debug, info, warn, error, fatal");
    return 0;
}

static int read_hosts(const struct reader *r, const char *key, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_array))
        return bad(r, NULL, key,
                   "expected a list of addresses such as unix:///run/warren/warren.sock");
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        const char *host = json_object_get_string(json_object_array_get_idx(value, i));
        if (!host || !str_after(host, "unix:///"))
            return bad(r, NULL, key, "expected addresses of the form unix:///PATH");
        if (strv_add(&r->config->hosts, host) < 0)
            return fail(r->err, ENOMEM, "read '%s'", r->name);
    }
    return 0;
}

static int read_runtimes(const struct reader *r, const char *key, struct json_object *value)
{
    struct settings *c = r->config;
    if (!json_object_is_type(value, json_type_object))
        return bad(r, NULL, key, "expected an object of handler names and runtime types");
    c->runtimes = calloc((size_t)json_object_object_length(value) + 1, sizeof *c->runtimes);
    if (!c->runtimes)
        return fail(r->err, ENOMEM, "read '%s'", r->name);
    json_object_object_foreach(value, handler, type)
    {
        struct settings_runtime *runtime = &c->runtimes[c->runtime_count++];
        if (str_check_id("handler", handler, r->err) < 0)
            return bad(r, key, handler, "is no handler name: 1 to 128 of [a-zA-Z0-9_.-]");
        runtime->handler = strdup(handler);
        int e = read_string(r, key, handler, type, &runtime->type);
        if (e < 0)
            return e;
    }
    return 0;
}

static int read_sandboxer(const struct reader *r, const char *key, const char *handler,
                          struct json_object *value)
{
    struct settings_sandboxer *s = &r->config->sandboxers[r->config->sandboxer_count++];
    s->handler = strdup(handler);
    if (!json_object_is_type(value, json_type_object))
        return bad(r, key, handler, "expected an object with name and address");
    json_object_object_foreach(value, field, text)
    {
        char **into = str_eq(field, "name")      ? &s->name
                      : str_eq(field, "address") ? &s->address
                                                 : NULL;
        if (!into)
            return bad(r, handler, field, "is unknown; known are name and address");
        int e = read_string(r, handler, field, text, into);
        if (e < 0)
            return e;
    }
    if (!s->name || !s->address)
        return bad(r, key, handler, "needs both name and address");
    if (*s->address != '/' && !str_after(s->address, "unix:///"))
        return bad(r, handler, "address", "expected an absolute path or unix:///PATH");
    return 0;
}

static int read_sandboxers(const struct reader *r, const char *key, struct json_object *value)
{
    struct settings *c = r->config;
    if (!json_object_is_type(value, json_type_object))
        return bad(r, NULL, key, "expected an object of handler names");
    c->sandboxers = calloc((size_t)json_object_object_length(value) + 1, sizeof *c->sandboxers);
    if (!c->sandboxers)
        return fail(r->err, ENOMEM, "read '%s'", r->name);
    json_object_object_foreach(value, handler, entry)
    {
        if (str_check_id("handler", handler, r->err) < 0)
            return bad(r, key, handler, "is no handler name: 1 to 128 of [a-zA-Z0-9_.-]");
        int e = read_sandboxer(r, key, handler, entry);
        if (e < 0)
            return e;
    }
    return 0;
}

static const struct {
    const char *key;
    int (*read)(const struct reader *r, const char *key, struct json_object *value);
} keys[] = {
    {"data-root", read_data_root},   {"exec-root", read_exec_root},
    {"pidfile", read_pidfile},       {"hosts", read_hosts},
    {"group", read_group},           {"debug", read_debug},
    {"log-level", read_log_level},   {"default-runtime", read_default_runtime},
    {"cri-runtimes", read_runtimes}, {"cri-sandboxers", read_sandboxers},
};

static int read_key(const struct reader *r, const char *key, struct json_object *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (str_eq(keys[i].key, key))
            return keys[i].read(r, key, value);
    auto(buffer) struct buffer known = {0};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", keys[i].key);
    autofree char *expected = str_format("is unknown; known are %s", buffer_text(&known));
    return bad(r, NULL, key, str_or_empty(expected));
}

static int read_keys(const struct reader *r, struct json_object *root)
{
    json_object_object_foreach(root, key, value)
    {
        int e = read_key(r, key, value);
        if (e < 0)
            return e;
    }
    return 0;
}

int settings_parse(struct settings *c, const char *name, const char *text, size_t len,
                   struct error *err)
{
    struct reader r = {.config = c, .name = name, .text = text, .err = err};
    if (!text[strspn(text, " \t\r\n")])
        return 0; /* an empty file sets nothing */
    struct json_tokener *tokener = json_tokener_new_ex(8);
    if (!tokener)
        return fail(err, ENOMEM, "read '%s'", name);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *root = json_tokener_parse_ex(tokener, text, (int)len);
    enum json_tokener_error e = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    int result = 0;
    if (e == json_tokener_continue)
        result = fail_plain(err, EINVAL, "%s:%d: the file ends in the middle of a value", name,
                            line_at(text, text + len));
    else if (e != json_tokener_success)
        result = fail_plain(err, EINVAL, "%s:%d: %s", name, line_at(text, text + end),
                            json_tokener_error_desc(e));
    else if (text[end + strspn(text + end, " \t\r\n")])
        result = fail_plain(err, EINVAL, "%s:%d: text after the end of the object", name,
                            line_at(text, text + end));
    else if (!json_object_is_type(root, json_type_object))
        result = fail_plain(err, EINVAL, "%s:1: expected an object", name);
    else
        result = read_keys(&r, root);
    json_object_put(root);
    return result;
}

int settings_read(struct settings *c, const char *path, bool must_exist, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    int r = file_read(AT_FDCWD, path, CONFIG_MAX, &text, err);
    if (r == -ENOENT && !must_exist)
        return 0;
    if (r < 0)
        return fail_in(err, r, "read the configuration");
    return settings_parse(c, path, buffer_text(&text), text.len, err);
}

static int set_default(char **value, const char *text)
{
    if (*value)
        return 0;
    *value = strdup(text);
    return *value ? 0 : -ENOMEM;
}

int settings_default(struct settings *c, struct error *err)
{
    int r = set_default(&c->data_root, "/var/lib/warren");
    if (r == 0)
        r = set_default(&c->exec_root, "/run/warren");
    if (r == 0)
        r = set_default(&c->default_runtime, "namespace");
    if (r == 0 && !c->hosts) {
        autofree char *host = str_format("unix://%s/warren.sock", c->exec_root);
        r = host ? strv_add(&c->hosts, host) : -ENOMEM;
    }
    return r < 0 ? fail(err, r, "set the defaults") : 0;
}
