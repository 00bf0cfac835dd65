/* SPDX-License-Identifier: Apache-2.0 */
#include "image/reference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "image/image.h"

enum { REPOSITORY_MAX = 255, TAG_MAX = 128, ID_DIGITS_MIN = 4 };

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

void reference_done(struct reference *r)
{
    free(r->repository);
    free(r->tag);
    free(r->digest);
    *r = (struct reference){0};
}

static bool all_of(const char *s, const char *set)
{
    return *s && s[strspn(s, set)] == 0;
}

bool digest_is_valid(const char *digest)
{
    const char *hex = str_after(digest, "sha256:");
    return hex && strlen(hex) == 64 && all_of(hex, DIGIT "abcdef");
}

const char *reference_id_digits(const char *text)
{
    const char *hex = str_after(text, "sha256:");
    if (!hex)
        hex = text;
    size_t n = strlen(hex);
    return n >= ID_DIGITS_MIN && n <= 64 && all_of(hex, DIGIT "abcdef") ? hex : NULL;
}

/* Letters and digits, joined by one ".", one or two "_", or any number of "-". */
static bool is_path_component(const char *s, size_t len)
{
    const char *end = s + len;
    for (;;) {
        const char *word = s;
        while (s < end && strchr(LOWER DIGIT, *s))
            s++;
        if (s == word)
            return false;
        if (s == end)
            return true;
        const char *separator = s;
        while (s < end && *s == *separator)
            s++;
        size_t n = (size_t)(s - separator);
        if (*separator != '-' && !(*separator == '.' && n == 1) && !(*separator == '_' && n <= 2))
            return false;
    }
}

static bool is_path(const char *s)
{
    for (;; s++) {
        size_t n = strcspn(s, "/");
        if (!is_path_component(s, n))
            return false;
        s += n;
        if (!*s)
            return true;
    }
}

static bool is_host_component(const char *s, size_t len)
{
    if (!len || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr(LOWER UPPER DIGIT "-", s[i]))
            return false;
    return true;
}

static bool is_domain(const char *s, size_t len)
{
    if (len && *s == '[') {
        size_t n = strspn(s + 1, DIGIT "abcdefABCDEF:");
        if (!n || s[n + 1] != ']')
            return false;
        s += n + 2;
        len -= n + 2;
    } else {
        for (;;) {
            size_t n = 0;
            while (n < len && s[n] != '.' && s[n] != ':')
                n++;
            if (!is_host_component(s, n))
                return false;
            s += n;
            len -= n;
            if (!len || *s == ':')
                break;
            s++;
            len--;
        }
    }
    if (!len)
        return true;
    size_t digits = strspn(s + 1, DIGIT);
    return *s == ':' && digits && digits == len - 1;
}

/* Whether what comes before the first slash looks like a host: "localhost", or with a dot, a port or a capital. */
static bool begins_with_host(const char *name)
{
    const char *slash = strchr(name, '/');
    size_t n = slash ? (size_t)(slash - name) : 0;
    for (size_t i = 0; i < n; i++)
        if (strchr(".:" UPPER, name[i]))
            return true;
    return n == 9 && strncmp(name, "localhost", 9) == 0;
}

/* "busybox" is docker.io/library/busybox. */
static char *repository_expand(const char *name)
{
    const char *path = str_after(name, "docker.io/");
    if (!path)
        path = str_after(name, "index.docker.io/");
    if (!path && begins_with_host(name))
        return strdup(name);
    if (!path)
        path = name;
    return str_format("docker.io/%s%s", strchr(path, '/') ? "" : "library/", path);
}

static int bad(const char *text, const char *why, struct error *err)
{
    return fail_plain(err, EINVAL, "invalid reference format%s%s: '%.300s'", *why ? ": " : "", why,
                      text);
}

static int check_repository(const char *text, const char *repository, struct error *err)
{
    const char *slash = strchr(repository, '/');
    if (strlen(repository) > REPOSITORY_MAX)
        return bad(text, "repository name must not be more than 255 characters", err);
    if (!is_domain(repository, (size_t)(slash - repository)))
        return bad(text, "", err);
    if (strpbrk(slash, UPPER))
        return bad(text, "repository name must be lowercase", err);
    return is_path(slash + 1) ? 0 : bad(text, "", err);
}

int reference_parse(const char *text, struct reference *ret, struct error *err)
{
    auto(reference) struct reference r = {0};
    if (strlen(text) > REPOSITORY_MAX + TAG_MAX + 128)
        return bad(text, "too long", err);
    if (strlen(text) == 64 && reference_id_digits(text))
        return bad(text, "repository name cannot be 64 hexadecimal digits", err);
    autofree char *copy = strdup(text);
    if (!copy)
        return fail(err, ENOMEM, "parse a reference");
    char *at = strchr(copy, '@');
    if (at) {
        *at = 0;
        if (!digest_is_valid(at + 1))
            return bad(text, "digest must be sha256: and 64 hexadecimal digits", err);
        r.digest = strdup(at + 1);
    }
    char *slash = strrchr(copy, '/');
    char *colon = strchr(slash ? slash : copy, ':');
    if (colon) {
        *colon = 0;
        const char *tag = colon + 1;
        if (!all_of(tag, LOWER UPPER DIGIT "_.-") || *tag == '.' || *tag == '-' ||
            strlen(tag) > TAG_MAX)
            return bad(text, "", err);
        r.tag = strdup(tag);
    }
    r.repository = *copy ? repository_expand(copy) : NULL;
    if (!*copy)
        return bad(text, "", err);
    if (!r.repository || (at && !r.digest) || (colon && !r.tag))
        return fail(err, ENOMEM, "parse a reference");
    int status = check_repository(text, r.repository, err);
    if (status < 0)
        return status;
    *ret = r;
    r = (struct reference){0};
    return 0;
}

int image_reference_expand(const char *reference, char **ret, struct error *err)
{
    auto(reference) struct reference r = {0};
    int status = reference_parse(reference, &r, err);
    if (status < 0)
        return status;
    char *full = r.digest ? str_format("%s@%s", r.repository, r.digest)
                          : str_format("%s:%s", r.repository, r.tag ? r.tag : "latest");
    if (!full)
        return fail(err, ENOMEM, "expand a reference");
    *ret = full;
    return 0;
}

char *image_reference_short(const char *expanded)
{
    const char *rest = str_after(expanded, "docker.io/");
    if (!rest)
        return strdup(expanded);
    if (begins_with_host(rest)) /* docker.io/a.b/c: without its host it would get another */
        return strdup(expanded);
    const char *official = str_after(rest, "library/");
    return strdup(official && !strchr(official, '/') ? official : rest);
}
