/* SPDX-License-Identifier: Apache-2.0 */
/* Flags as crictl takes them: -q, --quiet, --quiet=false, -n 3, --last=3, short ones together (-af). */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

static void print_usage(const struct cri_option *options, size_t count,
                        const struct cri_command *command)
{
    printf("NAME:\n   warren cri %s - %s\n\nUSAGE:\n   warren cri %s [command options] %s\n",
           command->name, command->about, command->name, str_or_empty(command->arguments));
    printf("\nOPTIONS:\n");
    for (size_t i = 0; i < count; i++) {
        char names[64];
        static const char *const kinds[] = {"", " value", " value", " value [ --x value ]"};
        if (options[i].letter)
            snprintf(names, sizeof names, "--%s%s, -%c", options[i].name,
                     options[i].kind == CRI_FLAG ? "" : " value", options[i].letter);
        else
            snprintf(names, sizeof names, "--%s%s", options[i].name,
                     kinds[options[i].kind == CRI_LIST ? CRI_TEXT : options[i].kind]);
        printf("   %-30s %s\n", names, options[i].about);
    }
    printf("   %-30s %s\n", "--help, -h", "show help");
}

static const struct cri_option *find(const struct cri_option *options, size_t count,
                                     const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if ((len == 1 && options[i].letter == *name) ||
            (strlen(options[i].name) == len && strncmp(options[i].name, name, len) == 0))
            return &options[i];
    return NULL;
}

static int set(const struct cri_option *o, const char *value, struct error *err)
{
    switch (o->kind) {
    case CRI_FLAG:
        if (value && !str_eq(value, "true") && !str_eq(value, "false"))
            return fail_plain(err, EINVAL, "--%s: expected true or false, found '%s'", o->name,
                              value);
        *(bool *)o->target = !value || str_eq(value, "true");
        return 0;
    case CRI_TEXT:
        *(const char **)o->target = value;
        return 0;
    case CRI_NUMBER:
        if (str_parse_int(value, INT64_MIN, INT64_MAX, o->target) < 0)
            return fail_plain(err, EINVAL, "--%s: expected a number, found '%s'", o->name, value);
        return 0;
    case CRI_LIST:
        return strv_add(o->target, value) < 0 ? fail(err, ENOMEM, "read the options") : 0;
    }
    return 0;
}

/* "-af": all but the last must be flags. */
static int parse_letters(const struct cri_option *options, size_t count, const char *letters,
                         const char *next, bool *ret_used_next, struct error *err)
{
    for (; *letters; letters++) {
        const struct cri_option *o = find(options, count, letters, 1);
        if (!o)
            return fail_plain(err, EINVAL, "flag provided but not defined: -%c", *letters);
        if (o->kind == CRI_FLAG) {
            if (letters[1] == '=')
                return set(o, letters + 2, err);
            set(o, NULL, err);
            continue;
        }
        if (letters[1])
            return set(o, letters + (letters[1] == '=' ? 2 : 1), err);
        if (!next)
            return fail_plain(err, EINVAL, "flag needs an argument: -%c", *letters);
        *ret_used_next = true;
        return set(o, next, err);
    }
    return 0;
}

/* --name, and -name, which crictl takes as well. */
static int parse_name(const struct cri_option *options, size_t count, const char *name,
                      const char *next, bool *ret_used_next, struct error *err)
{
    size_t len = strcspn(name, "=");
    const struct cri_option *o = len ? find(options, count, name, len) : NULL;
    if (!o)
        return fail_plain(err, EINVAL, "flag provided but not defined: -%.*s", (int)len, name);
    if (name[len] == '=')
        return set(o, name + len + 1, err);
    if (o->kind == CRI_FLAG)
        return set(o, NULL, err);
    if (!next)
        return fail_plain(err, EINVAL, "flag needs an argument: -%s", name);
    *ret_used_next = true;
    return set(o, next, err);
}

int cri_parse(const struct cri_option *options, size_t count, int argc, char **argv,
              const struct cri_command *command, int *ret_rest, struct error *err)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *a = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used_next = false;
        if (str_eq(a, "--")) {
            i++;
            break;
        }
        if (str_eq(a, "-h") || str_eq(a, "--help") || str_eq(a, "-help")) {
            if (command)
                print_usage(options, count, command);
            return 1;
        }
        bool whole = a[1] == '-' || find(options, count, a + 1, strcspn(a + 1, "="));
        int r = whole ? parse_name(options, count, a + (a[1] == '-' ? 2 : 1), next, &used_next, err)
                      : parse_letters(options, count, a + 1, next, &used_next, err);
        if (r < 0)
            return r;
        i += used_next;
    }
    *ret_rest = i;
    return 0;
}

static const struct cri_command *running(const struct cri *c)
{
    const struct cri_command *command = c->commands;
    while (command->name && !str_eq(command->name, c->command))
        command++;
    return command;
}

int cri_options(struct cri *c, const struct cri_option *options, size_t count, int argc,
                char **argv, int *ret_rest, struct error *err)
{
    return cri_parse(options, count, argc, argv, running(c), ret_rest, err);
}

int cri_wrong_arguments(struct cri *c, struct error *err)
{
    const struct cri_command *command = running(c);
    return fail_plain(err, EINVAL,
                      "wrong number of arguments; usage: warren cri %s [command options] %s",
                      command->name, str_or_empty(command->arguments));
}
