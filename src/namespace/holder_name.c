/* SPDX-License-Identifier: Apache-2.0 */
/* A socket's path has at most 107 bytes, an id of 64 hexadecimal digits is written in 43 of base64url. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "namespace/holder.h"

enum { HEX_LEN = 64, PLAIN_MAX = 44, BASE64_LEN = 43, PLAIN = '+', PACKED = '=' };
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex_id(const char *id)
{
    size_t n = 0;
    while (hex_value(id[n]) >= 0)
        n++;
    return n == HEX_LEN && !id[n];
}

/* 64 digits are 256 bits: 42 characters of 6 bits, and one of 4. */
static char *pack(const char *id)
{
    char *name = calloc(1, BASE64_LEN + 2), *to = name;
    if (!name)
        return NULL;
    *to++ = PACKED;
    unsigned bits = 0, held = 0;
    for (const char *p = id; *p; p++) {
        held = held << 4 | (unsigned)hex_value(*p);
        bits += 4;
        if (bits >= 6) {
            bits -= 6;
            *to++ = digits[held >> bits & 63];
        }
    }
    *to = digits[held << (6 - bits) & 63];
    return name;
}

static char *unpack(const char *text)
{
    char *id = calloc(1, HEX_LEN + 1), *to = id;
    unsigned bits = 0, held = 0;
    for (const char *p = text; id && *p; p++) {
        const char *digit = strchr(digits, *p);
        if (!digit) {
            free(id);
            return NULL;
        }
        held = held << 6 | (unsigned)(digit - digits);
        bits += 6;
        for (; bits >= 4 && to < id + HEX_LEN; bits -= 4)
            *to++ = "0123456789abcdef"[held >> (bits - 4) & 15];
    }
    return id;
}

int holder_name(const char *id, char **ret, struct error *err)
{
    char *name = NULL;
    if (is_hex_id(id))
        name = pack(id);
    else if (strlen(id) <= PLAIN_MAX)
        name = str_format("%c%s", PLAIN, id);
    else
        return fail_plain(
            err, ENAMETOOLONG,
            "sandbox id '%s': 64 hexadecimal digits, or at most %d characters, are possible", id,
            PLAIN_MAX);
    if (!name)
        return fail(err, ENOMEM, "name the keeper's socket");
    *ret = name;
    return 0;
}

char *holder_id(const char *name)
{
    char *id = NULL;
    if (*name == PLAIN)
        id = strdup(name + 1);
    else if (*name == PACKED && strlen(name) == BASE64_LEN + 1)
        id = unpack(name + 1);
    if (id && str_check_id("sandbox id", id, NULL) < 0) {
        free(id);
        id = NULL;
    }
    return id;
}
