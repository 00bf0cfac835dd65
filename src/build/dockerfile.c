/* SPDX-License-Identifier: Apache-2.0 */
#include "build/dockerfile.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "image/json.h"

static void instruction_done(struct instruction *i)
{
    free(i->keyword);
    free(i->text);
    strv_free(i->flags);
    free(i->rest);
    strv_free(i->json);
}
CLEANUP_DONE(instruction, struct instruction);

void dockerfile_done(struct dockerfile *d)
{
    for (size_t i = 0; i < d->count; i++)
        instruction_done(&d->instructions[i]);
    free(d->instructions);
    free(d->name);
    *d = (struct dockerfile){0};
}

const char *instruction_flag(const struct instruction *i, const char *name)
{
    for (char **f = i->flags; f && *f; f++) {
        const char *rest = str_after(*f + 2, name);
        if (rest && (*rest == '=' || !*rest))
            return *rest ? rest + 1 : "";
    }
    return NULL;
}

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t\r\v\f");
}

/* A JSON array of strings, NULL where it is anything else: then it is the shell form. */
static char **read_json(const char *text)
{
    auto(json) json_object *o = NULL;
    if (*text != '[' || json_parse("arguments", text, strlen(text), &o, NULL) < 0)
        return NULL;
    auto(strv) char **v = calloc(1, sizeof *v);
    for (size_t i = 0; v && i < json_length(o); i++) {
        json_object *item = json_object_array_get_idx(o, i);
        if (!json_object_is_type(item, json_type_string) ||
            strv_add(&v, json_object_get_string(item)) < 0)
            return NULL;
    }
    return json_object_is_type(o, json_type_array) ? take_ptr(&v) : NULL;
}

static int read_instruction(const char *text, int line, struct instruction *ret)
{
    auto(instruction) struct instruction i = {.line = line, .text = strdup(text)};
    size_t n = strcspn(text, " \t");
    i.keyword = strndup(text, n);
    if (!i.text || !i.keyword)
        return -ENOMEM;
    for (char *c = i.keyword; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    const char *p = skip_blanks(text + n);
    while (strncmp(p, "--", 2) == 0) {
        n = strcspn(p, " \t");
        autofree char *flag = strndup(p, n);
        if (!flag || strv_add(&i.flags, flag) < 0)
            return -ENOMEM;
        p = skip_blanks(p + n);
    }
    i.rest = strdup(p);
    if (!i.rest)
        return -ENOMEM;
    for (size_t end = strlen(i.rest); end && isspace((unsigned char)i.rest[end - 1]); end--)
        i.rest[end - 1] = 0;
    i.json = read_json(i.rest);
    *ret = i;
    i = (struct instruction){0};
    return 0;
}

static int add_instruction(struct dockerfile *d, const char *text, int line, struct error *err)
{
    if (d->count >= INSTRUCTIONS_MAX)
        return fail_plain(err, E2BIG, "%s:%d: there are more than %d instructions", d->name, line,
                          INSTRUCTIONS_MAX);
    struct instruction *list = realloc(d->instructions, (d->count + 1) * sizeof *d->instructions);
    if (!list)
        return fail(err, ENOMEM, "parse %s", d->name);
    d->instructions = list;
    int r = read_instruction(text, line, &list[d->count]);
    if (r < 0)
        return fail(err, r, "parse %s", d->name);
    d->count++;
    return 0;
}

/* "# escape=`" in the first lines. True while directives may follow. */
static bool read_directive(struct dockerfile *d, const char *line, int number, int *ret_bad)
{
    line = skip_blanks(line);
    if (*line != '#')
        return false;
    const char *p = skip_blanks(line + 1);
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const char *value = skip_blanks(p + n);
    if (!n || *value != '=')
        return false;
    value = skip_blanks(value + 1);
    if (n == 6 && strncasecmp(p, "escape", 6) == 0) {
        if ((*value != '\\' && *value != '`') || *skip_blanks(value + 1))
            *ret_bad = number;
        else
            d->escape = *value;
    }
    return true;
}

/* Whether a line goes on in the next: it ends with an escape that is not itself escaped. Cuts it off. */
static bool cut_continuation(char *line, char escape)
{
    size_t n = strlen(line);
    while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    if (!n || line[n - 1] != escape || (n > 1 && line[n - 2] == escape))
        return false;
    line[n - 1] = 0;
    return true;
}

static int parse_lines(struct dockerfile *d, char *text, struct error *err)
{
    auto(buffer) struct buffer whole = {0};
    int number = 0, first = 0, bad = 0;
    bool directives = true, open = false;
    for (char *line; (line = strsep(&text, "\n"));) {
        number++;
        size_t n = strlen(line);
        if (n && line[n - 1] == '\r')
            line[n - 1] = 0;
        directives = directives && read_directive(d, line, number, &bad);
        if (bad)
            return fail_plain(err, EINVAL, "%s:%d: escape must be \\ or `", d->name, bad);
        const char *start = skip_blanks(line);
        if (*start == '#' || !*start)
            continue;
        if (!open) {
            buffer_clear(&whole);
            first = number;
        }
        bool begins = !open;
        open = cut_continuation(line, d->escape);
        if (buffer_puts(&whole, begins ? start : line) < 0)
            return fail(err, ENOMEM, "parse %s", d->name);
        if (open)
            continue;
        int r = add_instruction(d, buffer_text(&whole), first, err);
        if (r < 0)
            return r;
        buffer_clear(&whole);
    }
    /* the last line ended with an escape: docker takes what there is */
    const char *left = skip_blanks(buffer_text(&whole));
    return open && *left ? add_instruction(d, left, first, err) : 0;
}

int dockerfile_parse(const char *name, const char *text, size_t len, struct dockerfile *ret,
                     struct error *err)
{
    auto(dockerfile) struct dockerfile d = {.escape = '\\', .name = strdup(name)};
    if (len > DOCKERFILE_MAX)
        return fail_plain(err, EFBIG, "%s is larger than %d bytes", name, DOCKERFILE_MAX);
    if (memchr(text, 0, len))
        return fail_plain(err, EINVAL, "%s is no text: it has a NUL byte", name);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    autofree char *copy = strndup(text, len);
    if (!copy || !d.name)
        return fail(err, ENOMEM, "parse %s", name);
    int r = parse_lines(&d, copy, err);
    if (r < 0)
        return r;
    if (!d.count)
        return fail_plain(err, EINVAL, "%s has no instructions", name);
    *ret = d;
    d = (struct dockerfile){0};
    return 0;
}

char **dockerfile_words(const char *text, char escape)
{
    auto(strv) char **words = calloc(1, sizeof *words);
    for (const char *p = skip_blanks(text); words && *p; p = skip_blanks(p)) {
        const char *start = p;
        char quote = 0;
        for (; *p && (quote || !strchr(" \t\r\v\f", *p)); p++) {
            if (*p == escape && p[1] && quote != '\'')
                p++;
            else if (quote ? *p == quote : (*p == '"' || *p == '\''))
                quote = quote ? 0 : *p;
        }
        autofree char *word = strndup(start, (size_t)(p - start));
        if (!word || strv_add(&words, word) < 0)
            return NULL;
    }
    return take_ptr(&words);
}
