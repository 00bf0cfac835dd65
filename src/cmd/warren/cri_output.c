/* SPDX-License-Identifier: Apache-2.0 */
/* crictl's tables, times, sizes and JSON. */
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "cmd/warren/cri.h"
#include "cmd/warren/human.h"

enum { COLUMN_MIN = 20, COLUMN_GAP = 3, SHORT_ID = 13 };

/* Any map<string, string>'s entry; all have this shape. */
typedef Runtime__V1__PodSandbox__LabelsEntry map_entry;

/* Tables */

void cri_row(struct cri_table *t, const char *first, ...)
{
    va_list args;
    size_t n = 0;
    va_start(args, first);
    for (const char *cell = first; cell; cell = va_arg(args, const char *)) {
        if (t->count == t->room) {
            t->room = t->room ? t->room * 2 : 64;
            t->cells = realloc(t->cells, t->room * sizeof *t->cells);
        }
        if (!t->cells || !(t->cells[t->count++] = strdup(cell)))
            abort();
        n++;
    }
    va_end(args);
    if (!t->columns)
        t->columns = n;
}

void cri_print_table(struct cri_table *t)
{
    size_t widths[CRI_COLUMNS_MAX] = {0}, n = t->count;
    for (size_t i = 0; i < n; i++) {
        size_t *w = &widths[i % t->columns], len = strlen(t->cells[i]) + COLUMN_GAP;
        *w = len > *w ? len : *w;
        *w = *w < COLUMN_MIN ? COLUMN_MIN : *w;
    }
    for (size_t i = 0; i < n; i++) {
        if (i % t->columns == t->columns - 1)
            printf("%s\n", t->cells[i]);
        else
            printf("%-*s", (int)widths[i % t->columns], t->cells[i]);
        free(t->cells[i]);
    }
    free(t->cells);
    *t = (struct cri_table){0};
}

int cri_output_of(const char *text, enum cri_output absent, enum cri_output *ret, struct error *err)
{
    *ret = absent;
    if (str_empty(text))
        return 0;
    if (str_eq(text, "json"))
        *ret = CRI_JSON;
    else if (str_eq(text, "table"))
        *ret = CRI_TABLE;
    else if (str_eq(text, "yaml") || str_eq(text, "go-template"))
        return fail_plain(err, EOPNOTSUPP, "output format \"%s\" is not supported yet; use json",
                          text);
    else
        return fail_plain(err, EINVAL, "unsupported output format \"%s\"", text);
    return 0;
}

/* JSON */

static void print_value(json_object *json, int indent);

static void print_object(json_object *json, int indent)
{
    const char *separator = "";
    printf("{");
    json_object_object_foreach(json, key, value)
    {
        json_object *name = json_object_new_string(key);
        printf("%s\n%*s", separator, indent + 2, "");
        print_value(name, 0);
        printf(": ");
        print_value(value, indent + 2);
        json_object_put(name);
        separator = ",";
    }
    if (*separator)
        printf("\n%*s", indent, "");
    printf("}");
}

static void print_list(json_object *json, int indent)
{
    size_t n = json_object_array_length(json);
    printf("[");
    for (size_t i = 0; i < n; i++) {
        printf("%s\n%*s", i ? "," : "", indent + 2, "");
        print_value(json_object_array_get_idx(json, i), indent + 2);
    }
    if (n)
        printf("\n%*s", indent, "");
    printf("]");
}

/* As protobuf's own printer: two spaces a level, and nothing between empty brackets, where json-c has a newline. */
static void print_value(json_object *json, int indent)
{
    if (json_object_is_type(json, json_type_object))
        print_object(json, indent);
    else if (json_object_is_type(json, json_type_array))
        print_list(json, indent);
    else
        printf("%s", json_object_to_json_string_ext(json, JSON_C_TO_STRING_NOSLASHESCAPE));
}

void cri_print_json(json_object *json)
{
    print_value(json, 0);
    printf("\n");
    json_object_put(json);
}

void cri_print_message(const void *message)
{
    cri_print_json(json_of_message(message));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The same with the keys of all objects in order; a reference of its own. */
static json_object *sorted(json_object *json)
{
    if (json_object_is_type(json, json_type_array)) {
        json_object *list = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(json); i++)
            json_object_array_add(list, sorted(json_object_array_get_idx(json, i)));
        return list;
    }
    if (!json_object_is_type(json, json_type_object))
        return json_object_get(json);
    size_t n = 0;
    autofree const char **keys = calloc((size_t)json_object_object_length(json) + 1, sizeof *keys);
    if (!keys)
        abort();
    json_object_object_foreach(json, key, value)
    {
        (void)value;
        keys[n++] = key;
    }
    qsort(keys, n, sizeof *keys, by_text);
    json_object *object = json_object_new_object();
    for (size_t i = 0; i < n; i++)
        json_object_object_add(object, keys[i], sorted(json_object_object_get(json, keys[i])));
    return object;
}

json_object *cri_inspection(const void *status, struct cri_info info)
{
    map_entry *const *entries = info.entries;
    json_object *object = json_object_new_object();
    if (status)
        json_object_object_add(object, "status", json_of_message(status));
    for (size_t i = 0; i < info.count; i++) {
        const char *text = str_or_empty(entries[i]->value);
        json_object *value = *text == '{' ? json_tokener_parse(text) : NULL;
        size_t len = strlen(text);
        if (!value && len >= 2 && *text == '"' && text[len - 1] == '"')
            value = json_object_new_string_len(text + 1, (int)len - 2);
        json_object_object_add(object, entries[i]->key,
                               value ? value : json_object_new_string(text));
    }
    return object;
}

void cri_print_inspections(json_object *list)
{
    bool one = json_object_array_length(list) == 1;
    cri_print_json(sorted(one ? json_object_array_get_idx(list, 0) : list));
    json_object_put(list);
}

static size_t add_fraction(int64_t ns, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, ".%09ld", (long)(ns % NSEC_PER_SEC));
    while (text[n - 1] == '0')
        text[--n] = 0;
    if (n == 1)
        text[--n] = 0;
    return n;
}

void cri_set_time(json_object *object, const char *name, int64_t ns)
{
    char text[CRI_TEXT_MAX];
    struct tm tm;
    time_t s = (time_t)(ns / NSEC_PER_SEC);
    localtime_r(&s, &tm);
    if (!ns) {
        /* Go's zero time */
        json_object_object_add(object, name, json_object_new_string("0001-01-01T00:00:00Z"));
        return;
    }
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    n += add_fraction(ns, text + n, sizeof text - n);
    if (tm.tm_gmtoff == 0)
        snprintf(text + n, sizeof text - n, "Z");
    else
        snprintf(text + n, sizeof text - n, "%+03d:%02d", (int)(tm.tm_gmtoff / 3600) % 100,
                 (int)(labs(tm.tm_gmtoff) / 60 % 60));
    json_object_object_add(object, name, json_object_new_string(text));
}

char *cri_go_time(int64_t wall_ns, char text[CRI_TEXT_MAX])
{
    struct tm tm;
    time_t s = (time_t)(wall_ns / NSEC_PER_SEC);
    localtime_r(&s, &tm);
    size_t n = strftime(text, CRI_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    n += add_fraction(wall_ns, text + n, CRI_TEXT_MAX - n);
    strftime(text + n, CRI_TEXT_MAX - n, " %z %Z", &tm);
    return text;
}

/* Words */

char *cri_ago(int64_t wall_ns, char text[CRI_TEXT_MAX])
{
    char words[HUMAN_MAX];
    snprintf(text, CRI_TEXT_MAX, "%s ago",
             human_duration((clock_wall_ns() - wall_ns) / NSEC_PER_SEC, words));
    return text;
}

char *cri_size(uint64_t bytes, int digits, char text[CRI_TEXT_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++)
        size /= 1000;
    snprintf(text, CRI_TEXT_MAX, "%.*g%s", digits, size, units[unit]);
    return text;
}

char *cri_short(struct cri *c, const char *id, const char *prefix, bool no_trunc)
{
    id = str_or_empty(id);
    if (no_trunc)
        return arena_strdup(&c->arena, id);
    const char *after = str_after(id, prefix);
    return arena_printf(&c->arena, "%.*s", SHORT_ID, after ? after : id);
}

void cri_print_map(const char *title, size_t count, const void *entries)
{
    map_entry *const *e = entries;
    autofree const char **lines = calloc(count + 1, sizeof *lines);
    if (!count || !lines)
        return;
    printf("%s:\n", title);
    for (size_t i = 0; i < count; i++)
        lines[i] = str_format("\t%s -> %s", str_or_empty(e[i]->key), str_or_empty(e[i]->value));
    qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0; i < count; i++) {
        printf("%s\n", str_or_empty(lines[i]));
        free((void *)(uintptr_t)lines[i]);
    }
}

const char *cri_map_get(size_t count, const void *entries, const char *key)
{
    map_entry *const *e = entries;
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_or_empty(e[i]->key), key))
            return str_or_empty(e[i]->value);
    return NULL;
}

int cri_matches(const char *pattern, const char *text, struct error *err)
{
    regex_t regex;
    if (str_empty(pattern))
        return 1;
    int r = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);
    if (r != 0) {
        char why[128];
        regerror(r, &regex, why, sizeof why);
        return fail_plain(err, EINVAL, "invalid regular expression \"%s\": %s", pattern, why);
    }
    r = regexec(&regex, str_or_empty(text), 0, NULL, 0) == 0;
    regfree(&regex);
    return r;
}

size_t cri_limit(size_t total, bool latest, int64_t last)
{
    size_t n = latest ? 1 : total;
    if (last > 0)
        n = (size_t)last;
    return n < total ? n : total;
}

void cri_note(int r, int *failed, struct error *err)
{
    if (r >= 0)
        return;
    *failed = r;
    fflush(stdout);
    fprintf(stderr, "ERRO[0000] %s\n", err->message);
    *err = (struct error){0};
}
