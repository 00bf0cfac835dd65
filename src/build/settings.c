/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions that change the config alone, and variables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "build/state.h"

const char *build_get(char *const *v, const char *key)
{
    size_t n = strlen(key);
    for (; v && *v; v++)
        if (strncmp(*v, key, n) == 0 && (*v)[n] == '=')
            return *v + n + 1;
    return NULL;
}

int build_set(char ***v, const char *key, const char *value)
{
    size_t n = strlen(key);
    autofree char *pair = str_format("%s=%s", key, value);
    if (!pair)
        return -ENOMEM;
    for (char **p = *v; p && *p; p++)
        if (strncmp(*p, key, n) == 0 && (*p)[n] == '=') {
            free(*p);
            *p = take_ptr(&pair);
            return 0;
        }
    return strv_add(v, pair);
}

/* ENV wins over ARG. */
static const char *lookup(void *arg, const char *name)
{
    const struct stage *s = arg;
    const char *value = build_get(s->config.env, name);
    return value ? value : build_get(s->args, name);
}

int build_expand(struct build *b, const char *word, char **ret, struct error *err)
{
    return dockerfile_expand(word, b->file.escape, lookup, build_stage(b), ret, err);
}

int build_words(struct build *b, const struct instruction *i, char ***ret, struct error *err)
{
    auto(strv) char **words = i->json ? strv_copy(i->json) : str_split(i->rest, " \t\r\v\f");
    for (size_t n = 0; words && words[n]; n++) {
        char *word = NULL;
        int r = build_expand(b, words[n], &word, err);
        if (r < 0)
            return r;
        free(words[n]);
        words[n] = word;
    }
    *ret = take_ptr(&words);
    return *ret ? 0 : fail(err, ENOMEM, "%s", i->keyword);
}

/* "key=value key2=value2", or the old "key value with blanks". */
static int set_pairs(struct build *b, const struct instruction *i, char ***v, struct error *err)
{
    auto(strv) char **words = dockerfile_words(i->rest, b->file.escape);
    if (!words)
        return fail(err, ENOMEM, "%s", i->keyword);
    if (!*words)
        return fail_plain(err, EINVAL, "%s requires at least one argument", i->keyword);
    /* what a line sets is not seen by the line itself */
    auto(strv) char **pairs = NULL;
    if (!strchr(words[0], '=')) {
        autofree char *value = NULL;
        if (!words[1])
            return fail_plain(err, EINVAL, "%s must have two arguments", i->keyword);
        const char *rest = i->rest + strlen(words[0]);
        int r = build_expand(b, rest + strspn(rest, " \t"), &value, err);
        if (!r && build_set(v, words[0], value) < 0)
            r = fail(err, ENOMEM, "%s", i->keyword);
        return r;
    }
    for (char **w = words; *w; w++) {
        autofree char *text = NULL;
        if (!strchr(*w, '=') || **w == '=')
            return fail_plain(err, EINVAL, "%s: '%s' must be of the form: name=value", i->keyword,
                              *w);
        int r = build_expand(b, *w, &text, err);
        if (r < 0)
            return r;
        if (strv_add(&pairs, text) < 0)
            return fail(err, ENOMEM, "%s", i->keyword);
    }
    for (char **p = pairs; *p; p++) {
        char *equals = strchr(*p, '=');
        if (!equals || equals == *p)
            return fail_plain(err, EINVAL, "%s: '%s' has no name", i->keyword, *p);
        *equals = 0;
        if (build_set(v, *p, equals + 1) < 0)
            return fail(err, ENOMEM, "%s", i->keyword);
    }
    return 0;
}

int instruction_env(struct build *b, const struct instruction *i, struct error *err)
{
    return set_pairs(b, i, &build_stage(b)->config.env, err);
}

int instruction_label(struct build *b, const struct instruction *i, struct error *err)
{
    return set_pairs(b, i, &build_stage(b)->config.labels, err);
}

static bool is_predefined(const char *name)
{
    static const char *const names[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
                                        "FTP_PROXY",  "ftp_proxy",  "NO_PROXY",    "no_proxy",
                                        "ALL_PROXY",  "all_proxy"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

int instruction_arg(struct build *b, const struct instruction *i, struct error *err)
{
    struct stage *s = build_stage(b);
    auto(strv) char **words = dockerfile_words(i->rest, b->file.escape);
    if (!words || !*words)
        return fail_plain(err, EINVAL, "ARG requires at least one argument");
    for (char **w = words; *w; w++) {
        autofree char *text = NULL;
        int r = build_expand(b, *w, &text, err);
        if (r < 0)
            return r;
        char *equals = strchr(text, '=');
        if (equals)
            *equals = 0;
        const char *value = build_get(b->options->args, text);
        if (value && !is_predefined(text) && strv_add(&b->used_args, text) < 0)
            return fail(err, ENOMEM, "ARG");
        if (!value)
            value = equals ? equals + 1 : build_get(b->global_args, text);
        if (value && build_set(&s->args, text, value) < 0)
            return fail(err, ENOMEM, "ARG");
    }
    return 0;
}

static int set_text(struct build *b, const struct instruction *i, char **field, struct error *err)
{
    char *value = NULL;
    if (!*i->rest)
        return fail_plain(err, EINVAL, "%s requires exactly one argument", i->keyword);
    int r = build_expand(b, i->rest, &value, err);
    if (r < 0)
        return r;
    free(*field);
    *field = value;
    return 0;
}

int instruction_user(struct build *b, const struct instruction *i, struct error *err)
{
    return set_text(b, i, &build_stage(b)->config.user, err);
}

int instruction_stop_signal(struct build *b, const struct instruction *i, struct error *err)
{
    return set_text(b, i, &build_stage(b)->config.stop_signal, err);
}

/* The exec form as it is; the shell form behind the shell. */
static int command(struct build *b, const struct instruction *i, char ***field, struct error *err)
{
    const struct stage *s = build_stage(b);
    auto(strv) char **argv = NULL;
    int r = 0;
    if (i->json) {
        argv = strv_copy(i->json);
    } else if (s->config.shell && *s->config.shell) {
        argv = strv_copy(s->config.shell);
    } else {
        r = strv_add(&argv, "/bin/sh");
        if (!r)
            r = strv_add(&argv, "-c");
    }
    if (!r && !i->json)
        r = strv_add(&argv, i->rest);
    if (r < 0 || !argv)
        return fail(err, ENOMEM, "%s", i->keyword);
    strv_free(*field);
    *field = take_ptr(&argv);
    return 0;
}

int instruction_cmd(struct build *b, const struct instruction *i, struct error *err)
{
    build_stage(b)->cmd_inherited = false;
    return command(b, i, &build_stage(b)->config.cmd, err);
}

int instruction_entrypoint(struct build *b, const struct instruction *i, struct error *err)
{
    struct image_config *c = &build_stage(b)->config;
    int r = command(b, i, &c->entrypoint, err);
    /* a CMD of the base was meant for the base's entrypoint */
    if (!r && build_stage(b)->cmd_inherited) {
        strv_free(c->cmd);
        c->cmd = NULL;
    }
    return r;
}

int instruction_shell(struct build *b, const struct instruction *i, struct error *err)
{
    struct image_config *c = &build_stage(b)->config;
    if (!i->json || !*i->json)
        return fail_plain(err, EINVAL, "SHELL requires the arguments to be in JSON form");
    char **shell = strv_copy(i->json);
    if (!shell)
        return fail(err, ENOMEM, "SHELL");
    strv_free(c->shell);
    c->shell = shell;
    return 0;
}

static int add_once(char ***v, const char *text)
{
    for (char **p = *v; p && *p; p++)
        if (str_eq(*p, text))
            return 0;
    return strv_add(v, text);
}

int instruction_volume(struct build *b, const struct instruction *i, struct error *err)
{
    auto(strv) char **words = NULL;
    int r = build_words(b, i, &words, err);
    if (r < 0)
        return r;
    if (!*words)
        return fail_plain(err, EINVAL, "VOLUME requires at least one argument");
    for (char **w = words; *w; w++) {
        if (!**w)
            return fail_plain(err, EINVAL, "VOLUME specified can not be an empty string");
        if (add_once(&build_stage(b)->config.volumes, *w) < 0)
            return fail(err, ENOMEM, "VOLUME");
    }
    return 0;
}

/* "80", "80/udp", "8000-8010/tcp" */
static int expose(struct build *b, const char *word, struct error *err)
{
    autofree char *ports = strdup(word);
    if (!ports)
        return fail(err, ENOMEM, "EXPOSE");
    char *slash = strchr(ports, '/');
    const char *protocol = slash ? slash + 1 : "tcp";
    if (slash)
        *slash = 0;
    char *dash = strchr(ports, '-');
    if (dash)
        *dash = 0;
    int64_t first, last;
    if (str_parse_int(ports, 1, 65535, &first) < 0 ||
        str_parse_int(dash ? dash + 1 : ports, 1, 65535, &last) < 0 || last < first ||
        (!str_eq(protocol, "tcp") && !str_eq(protocol, "udp") && !str_eq(protocol, "sctp")))
        return fail_plain(err, EINVAL, "EXPOSE: invalid containerPort: %s", word);
    for (int64_t port = first; port <= last; port++) {
        autofree char *text = str_format("%d/%s", (int)port, protocol);
        if (!text || add_once(&build_stage(b)->config.exposed_ports, text) < 0)
            return fail(err, ENOMEM, "EXPOSE");
    }
    return 0;
}

int instruction_expose(struct build *b, const struct instruction *i, struct error *err)
{
    auto(strv) char **words = NULL;
    int r = build_words(b, i, &words, err);
    if (!r && !*words)
        return fail_plain(err, EINVAL, "EXPOSE requires at least one argument");
    for (char **w = words; !r && *w; w++)
        r = expose(b, *w, err);
    return r;
}
