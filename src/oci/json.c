/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/json.h"

#include <string.h>

#include "base/base.h"

/* From so many members on a map finds those of one name. */
enum { MEMBERS_FEW = 32 };

struct text {
    const char *start, *at, *end;
    struct arena *arena;
    const char *reason;
    unsigned depth; /* how much deeper it may go */
};

static bool refuse(struct text *t, const char *reason)
{
    t->reason = reason;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next character that is no blank; 0 at the end. */
static char peek(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t' || *t->at == '\r'))
        t->at++;
    return t->at < t->end ? *t->at : 0;
}

static bool expect(struct text *t, char c)
{
    if (peek(t) == c) {
        t->at++;
        return true;
    }
    return refuse(t, t->at < t->end ? "unexpected character" : NULL);
}

static bool parse_word(struct text *t, const char *word)
{
    for (; *word; word++, t->at++) {
        if (t->at == t->end)
            return false;
        if (*t->at != *word)
            return refuse(t, "unexpected character");
    }
    return true;
}

/* Numbers */

static bool parse_digits(struct text *t, uint64_t *ret)
{
    uint64_t n = 0;
    if (t->at == t->end)
        return false;
    if (!is_digit(*t->at))
        return refuse(t, "number expected");
    for (; t->at < t->end && is_digit(*t->at); t->at++) {
        uint64_t digit = (uint64_t)(*t->at - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : 10 * n + digit;
    }
    *ret = n;
    return true;
}

static bool parse_number(struct text *t, struct oci_json *v)
{
    uint64_t ignored;
    v->kind = JSON_INTEGER;
    v->negative = *t->at == '-';
    t->at += v->negative;
    const char *first = t->at;
    if (!parse_digits(t, &v->n))
        return false;
    if (*first == '0' && t->at - first > 1)
        return refuse(t, "number expected");
    if (t->at < t->end && *t->at == '.') {
        v->kind = JSON_FRACTION;
        t->at++;
        if (!parse_digits(t, &ignored))
            return false;
    }
    if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
        v->kind = JSON_FRACTION;
        t->at++;
        t->at += t->at < t->end && (*t->at == '+' || *t->at == '-');
        return parse_digits(t, &ignored);
    }
    return true;
}

/* Strings */

static bool parse_hex(struct text *t, unsigned *ret)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++, t->at++) {
        if (t->at == t->end)
            return false;
        char c = *t->at, lower = (char)(c | 0x20);
        bool letter = lower >= 'a' && lower <= 'f';
        if (!is_digit(c) && !letter)
            return refuse(t, "invalid escape in a string");
        n = 16 * n + (unsigned)(letter ? lower - 'a' + 10 : c - '0');
    }
    *ret = n;
    return true;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (c & 0x3f));
    return to;
}

/* Behind \u. Half of a pair alone is U+FFFD. */
static bool parse_unicode(struct text *t, char **to)
{
    unsigned c, low;
    if (!parse_hex(t, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00 && t->end - t->at >= 2 && t->at[0] == '\\' && t->at[1] == 'u') {
        const char *before = t->at;
        t->at += 2;
        if (!parse_hex(t, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else
            t->at = before;
    }
    *to = put_utf8(*to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return true;
}

static bool parse_escape(struct text *t, char **to)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (++t->at == t->end)
        return false;
    char c = *t->at++;
    if (c == 'u')
        return parse_unicode(t, to);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter)
        return refuse(t, "invalid escape in a string");
    *(*to)++ = values[letter - letters];
    return true;
}

/* What stands for a character is never shorter than the character. */
static bool parse_string(struct text *t, char **ret, size_t *ret_len)
{
    const char *end = ++t->at;
    while (end < t->end && *end != '"')
        end += *end == '\\' && t->end - end > 1 ? 2 : 1;
    if (end >= t->end) {
        t->at = t->end;
        return false;
    }
    char *text = arena_alloc(t->arena, (size_t)(end - t->at) + 1), *to = text;
    while (t->at < end) {
        if (*t->at == '\\') {
            if (!parse_escape(t, &to))
                return false;
        } else if ((unsigned char)*t->at < 0x20) {
            return refuse(t, "control character in a string");
        } else {
            *to++ = *t->at++;
        }
    }
    t->at = end + 1;
    *ret = text;
    *ret_len = (size_t)(to - text);
    return true;
}

/* Lists and objects */

static bool parse_value(struct text *t, struct oci_json *v);

static bool parse_list(struct text *t, struct oci_json *list)
{
    struct oci_json **at = &list->first;
    t->at++;
    if (peek(t) == ']')
        return expect(t, ']');
    for (;;) {
        struct oci_json *item = arena_new(t->arena, struct oci_json);
        if (!parse_value(t, item))
            return false;
        *at = item;
        at = &item->next;
        list->len++;
        if (peek(t) != ',')
            return expect(t, ']');
        t->at++;
    }
}

/* Puts the member in, in the place of one of its name. names: of all, where there are many. */
static bool put_member(struct text *t, struct oci_json *object, struct oci_json **last,
                       struct map *names, struct oci_json *member)
{
    struct oci_json *same = object->first;
    if (object->len == MEMBERS_FEW)
        for (struct oci_json *m = object->first; m; m = m->next)
            if (map_add(names, m->key, m) < 0)
                return refuse(t, "out of memory");
    if (object->len >= MEMBERS_FEW)
        same = map_get(names, member->key);
    while (same && strcmp(same->key, member->key) != 0)
        same = same->next;
    if (same) {
        member->key = same->key;
        member->next = same->next;
        *same = *member;
        return true;
    }
    if (object->len >= MEMBERS_FEW && map_add(names, member->key, member) < 0)
        return refuse(t, "out of memory");
    *(*last ? &(*last)->next : &object->first) = member;
    *last = member;
    object->len++;
    return true;
}

static bool parse_members(struct text *t, struct oci_json *object, struct map *names)
{
    struct oci_json *last = NULL;
    for (;;) {
        size_t len;
        struct oci_json *member = arena_new(t->arena, struct oci_json);
        if (peek(t) != '"')
            return refuse(t, t->at < t->end ? "name of a member expected" : NULL);
        if (!parse_string(t, &member->key, &len) || !expect(t, ':') || !parse_value(t, member) ||
            !put_member(t, object, &last, names, member))
            return false;
        if (peek(t) != ',')
            return expect(t, '}');
        t->at++;
    }
}

static bool parse_object(struct text *t, struct oci_json *object)
{
    auto(map) struct map names = {0};
    t->at++;
    return peek(t) == '}' ? expect(t, '}') : parse_members(t, object, &names);
}

static bool parse_nested(struct text *t, struct oci_json *v)
{
    if (!t->depth)
        return refuse(t, "nesting too deep");
    t->depth--;
    bool good = v->kind == JSON_LIST ? parse_list(t, v) : parse_object(t, v);
    t->depth++;
    return good;
}

static bool parse_value(struct text *t, struct oci_json *v)
{
    switch (peek(t)) {
    case '{':
        v->kind = JSON_OBJECT;
        return parse_nested(t, v);
    case '[':
        v->kind = JSON_LIST;
        return parse_nested(t, v);
    case '"':
        v->kind = JSON_STRING;
        return parse_string(t, &v->text, &v->len);
    case 't':
        v->yes = true;
        v->kind = JSON_BOOL;
        return parse_word(t, "true");
    case 'f':
        v->kind = JSON_BOOL;
        return parse_word(t, "false");
    case 'n':
        return parse_word(t, "null");
    default:
        if (t->at == t->end)
            return false;
        return *t->at == '-' || is_digit(*t->at) ? parse_number(t, v)
                                                 : refuse(t, "unexpected character");
    }
}

struct oci_json *oci_json_parse(const void *text, size_t len, unsigned depth, struct arena *arena,
                                struct oci_json_failure *failure)
{
    struct text t = {text, text, (const char *)text + len, arena, NULL, depth};
    struct oci_json *v = arena_new(arena, struct oci_json);
    bool good = parse_value(&t, v);
    if (good && (peek(&t), t.at < t.end))
        good = refuse(&t, "unexpected character");
    *failure = (struct oci_json_failure){t.reason, (size_t)(t.at - t.start)};
    return good ? v : NULL;
}

struct oci_json *oci_json_member(const struct oci_json *object, const char *key)
{
    struct oci_json *m = object->first;
    while (m && strcmp(m->key, key) != 0)
        m = m->next;
    return m && m->kind != JSON_NULL ? m : NULL;
}
