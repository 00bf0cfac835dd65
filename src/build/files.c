/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions that write layers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "build/layer.h"
#include "build/state.h"
#include "image/extract.h"
#include "image/tar.h"

struct copy {
    struct build *build;
    const char *keyword;
    bool add; /* ADD: unpacks tars */
    const struct tree *from;
    const struct ignore *ignore; /* of the context; NULL for a stage */
    struct layer_owner owner;
    struct layer layer;
    char *to;    /* resolved, in the image */
    bool to_dir; /* sources are put into it */
};

/* A layer's life */

static int layer_open_file(struct build *b, int *ret, struct error *err)
{
    char name[24];
    snprintf(name, sizeof name, "layer-%u.tar", b->files++);
    *ret = openat(b->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return *ret < 0 ? fail(err, errno, "make a file in '%s'", b->dir_path) : 0;
}

/* A finished layer is unpacked on top of the stage's tree, for what comes after. */
static int stage_add_layer(struct build *b, int *fd, struct error *err)
{
    static const struct extract_options options = {.layer = true};
    struct stage *s = build_stage(b);
    char name[24];
    uint64_t bytes;
    auto(tar_input) struct tar_input t = {0};
    if (s->layer_count >= BUILD_LAYERS_MAX)
        return fail_plain(err, E2BIG, "the image has more than %d layers", BUILD_LAYERS_MAX);
    snprintf(name, sizeof name, "layer-%u", b->files++);
    if (mkdirat(b->dir, name, 0755) < 0)
        return fail(err, errno, "make a directory in '%s'", b->dir_path);
    int root = openat(b->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || tree_push(&s->tree, root) < 0)
        return fail(err, errno, "open a directory in '%s'", b->dir_path);
    int r = tar_input_open(&t, *fd, UINT64_MAX, err);
    if (!r)
        r = tar_extract(&t, root, &options, &bytes, err);
    int *layers = r < 0 ? NULL : realloc(s->layers, (s->layer_count + 1) * sizeof *layers);
    if (r < 0 || !layers)
        return r < 0 ? r : fail(err, ENOMEM, "keep a layer");
    s->layers = layers;
    if (lseek(*fd, 0, SEEK_SET) < 0)
        return fail(err, errno, "read a layer");
    s->layers[s->layer_count++] = take_fd(fd);
    return 0;
}

/* Options */

static int parse_chown(struct copy *c, const char *text, struct error *err)
{
    autofree char *value = NULL;
    int r = build_expand(c->build, text, &value, err);
    if (r < 0)
        return r;
    char *colon = strchr(value, ':');
    if (colon)
        *colon = 0;
    if (str_parse_int(value, 0, UINT32_MAX - 1, &c->owner.uid) < 0 ||
        (colon && str_parse_int(colon + 1, 0, UINT32_MAX - 1, &c->owner.gid) < 0))
        return fail_plain(err, EINVAL,
                          "--chown=%s: only numeric ids are supported yet, as --chown=1000:1000",
                          text);
    if (!colon)
        c->owner.gid = c->owner.uid;
    return 0;
}

static int parse_chmod(struct copy *c, const char *text, struct error *err)
{
    autofree char *value = NULL;
    int r = build_expand(c->build, text, &value, err);
    if (r < 0)
        return r;
    char *end;
    errno = 0;
    long mode = strtol(value, &end, 8);
    if (!*value || *end || mode < 0 || mode > 07777)
        return fail_plain(err, EINVAL, "--chmod=%s: an octal mode is wanted, as --chmod=755", text);
    c->owner.mode = mode;
    return 0;
}

static int find_from(struct copy *c, const char *name, struct error *err)
{
    struct build *b = c->build;
    int64_t number;
    bool is_number = str_parse_int(name, 0, INT32_MAX, &number) == 0;
    for (size_t i = 0; i + 1 < b->stage_count; i++) {
        const struct stage *s = &b->stages[i];
        if ((is_number && (size_t)number == i) || (s->name && strcasecmp(s->name, name) == 0)) {
            c->from = &s->tree;
            c->ignore = NULL;
            c->owner.context = false; /* a stage's files keep their owners */
            return 0;
        }
    }
    return fail_plain(
        err, ENOENT,
        "--from=%s: there is no earlier stage of that name (copying from other images "
        "is not supported yet)",
        name);
}

static int parse_flags(struct copy *c, const struct instruction *i, struct error *err)
{
    for (char **f = i->flags; f && *f; f++) {
        const char *value;
        int r = 0;
        if ((value = str_after(*f, "--chown=")))
            r = parse_chown(c, value, err);
        else if ((value = str_after(*f, "--chmod=")))
            r = parse_chmod(c, value, err);
        else if (!c->add && (value = str_after(*f, "--from=")))
            r = find_from(c, value, err);
        else if (!str_eq(*f, "--link")) /* a hint to a cache that we have not */
            r = fail_plain(err, ENOTSUP, "%s %s is not supported", c->keyword, *f);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sources */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int not_found(const struct copy *c, const char *source, struct error *err)
{
    return fail_plain(err, ENOENT,
                      "%s failed: file not found in build context%s: stat %s: file does not exist",
                      c->keyword, c->ignore ? " or excluded by .dockerignore" : "'s stage", source);
}

/* Adds the paths that match pattern, below directory path, to *found; sorted, since listings are. */
static int match_below(struct copy *c, const char *pattern, const char *path, char ***found,
                       struct error *err)
{
    auto(strv) char **names = NULL;
    int r = tree_list(c->from, path, &names, err);
    for (size_t i = 0; !r && names[i]; i++) {
        autofree char *at = str_format("%s%s%s", path, *path ? "/" : "", names[i]);
        auto(tree_node) struct tree_node node = {0};
        if (!at)
            return fail(err, ENOMEM, "match '%s'", pattern);
        r = tree_find(c->from, at, false, &node, err);
        if (r < 0)
            return r;
        if (pattern_matches(pattern, at)) {
            if (!(c->ignore && ignore_matches(c->ignore, at)) && strv_add(found, at) < 0)
                return fail(err, ENOMEM, "match '%s'", pattern);
        } else if (S_ISDIR(node.st.st_mode)) {
            r = match_below(c, pattern, at, found, err);
        }
    }
    return r;
}

static int find_sources(struct copy *c, char *const *words, size_t count, char ***found,
                        struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        autofree char *clean = NULL;
        if (str_after(words[i], "http://") || str_after(words[i], "https://") ||
            str_after(words[i], "git@") || str_after(words[i], "ftp://"))
            return fail_plain(err, ENOTSUP, "%s of an address is not supported yet: %s", c->keyword,
                              words[i]);
        if (str_after(words[i], "<<"))
            return fail_plain(err, ENOTSUP, "%s of a here-document is not supported yet",
                              c->keyword);
        int r = tar_clean_path(words[i], &clean, err);
        if (r < 0)
            return fail_in(err, r, "%s %s", c->keyword, words[i]);
        size_t before = strv_len(*found);
        if (pattern_has_wildcard(clean))
            r = match_below(c, clean, "", found, err);
        else if (c->ignore && *clean && ignore_matches(c->ignore, clean) && !c->ignore->exceptions)
            return not_found(c, words[i], err);
        else if (strv_add(found, clean) < 0)
            r = fail(err, ENOMEM, "copy");
        if (r < 0)
            return r;
        if (strv_len(*found) == before)
            return fail_plain(err, ENOENT,
                              "%s failed: no source files were specified: nothing matches '%s'",
                              c->keyword, words[i]);
    }
    return 0;
}

/* Destination */

static char *absolute(const struct stage *s, const char *path)
{
    if (*path == '/')
        return strdup(path);
    return str_format("%s/%s", str_empty(s->config.working_dir) ? "" : s->config.working_dir, path);
}

static int find_destination(struct copy *c, const char *word, bool several, struct error *err)
{
    const struct stage *s = build_stage(c->build);
    autofree char *path = absolute(s, word);
    auto(tree_node) struct tree_node node = {0};
    if (!path)
        return fail(err, ENOMEM, "copy");
    bool slash = str_ends(word, "/") || str_eq(word, ".") || str_ends(word, "/.");
    if (several && !slash)
        return fail_plain(err, EINVAL,
                          "When using %s with more than one source file, the destination must be a "
                          "directory and end with a /",
                          c->keyword);
    int r = tree_find(&s->tree, path, true, &node, err);
    if (r < 0)
        return r;
    bool is_dir = !*node.path || (node.root >= 0 && S_ISDIR(node.st.st_mode));
    if (slash && node.root >= 0 && !is_dir)
        return fail_plain(err, ENOTDIR, "the destination '%s' is no directory", word);
    c->to_dir = slash || is_dir;
    c->to = take_ptr(&node.path);
    return 0;
}

static int parent_dirs(struct copy *c, const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    autofree char *up = strndup(path, slash ? (size_t)(slash - path) : 0);
    return up ? layer_make_dirs(&c->layer, up, &c->owner, err) : fail(err, ENOMEM, "copy");
}

static int copy_dir(struct copy *c, const struct tree_node *node, struct error *err)
{
    auto(tree_node) struct tree_node there = {0};
    const struct stage *s = build_stage(c->build);
    int r = tree_find(&s->tree, c->to, true, &there, err);
    if (!r && there.root >= 0 && !S_ISDIR(there.st.st_mode))
        return fail_plain(err, ENOTDIR, "cannot copy a directory over the file '/%s'", c->to);
    if (!r)
        r = layer_make_dirs(&c->layer, c->to, &c->owner, err);
    return r < 0 ? r : layer_copy(&c->layer, c->from, node, c->to, &c->owner, c->ignore, err);
}

static int unpack_tar(struct copy *c, const struct tree_node *node, bool *ret_done,
                      struct error *err)
{
    autoclose int fd = tree_open(node, O_RDONLY);
    if (fd < 0)
        return fail(err, fd, "open '%s'", node->path);
    int r = layer_unpack(&c->layer, fd, c->to, &c->owner, ret_done, err);
    return r < 0 ? fail_in(err, r, "ADD %s", node->path) : 0;
}

static int copy_source(struct copy *c, const char *source, struct error *err)
{
    auto(tree_node) struct tree_node node = {0};
    int r = tree_find(c->from, source, true, &node, err);
    if (r < 0)
        return r;
    if (node.root < 0 || (c->ignore && *node.path && !S_ISDIR(node.st.st_mode) &&
                          ignore_matches(c->ignore, node.path)))
        return not_found(c, source, err);
    if (S_ISDIR(node.st.st_mode))
        return copy_dir(c, &node, err);
    if (c->add && S_ISREG(node.st.st_mode)) {
        bool done = false;
        r = unpack_tar(c, &node, &done, err);
        if (r < 0 || done)
            return r;
    }
    autofree char *to = c->to_dir
                            ? str_format("%s%s%s", c->to, *c->to ? "/" : "", base_name(source))
                            : strdup(c->to);
    if (!to)
        return fail(err, ENOMEM, "copy");
    r = parent_dirs(c, to, err);
    return r < 0 ? r : layer_copy(&c->layer, c->from, &node, to, &c->owner, NULL, err);
}

static void copy_done(struct copy *c)
{
    layer_done(&c->layer);
    free(c->to);
}
CLEANUP_DONE(copy, struct copy);

static int run_copy(struct copy *c, const struct instruction *i, struct error *err)
{
    auto(strv) char **words = NULL;
    auto(strv) char **sources = NULL;
    autoclose int fd = -1;
    int r = parse_flags(c, i, err);
    if (!r)
        r = build_words(c->build, i, &words, err);
    if (r < 0)
        return r;
    size_t n = strv_len(words);
    if (n < 2)
        return fail_plain(err, EINVAL,
                          "%s requires at least two arguments: sources and a destination",
                          c->keyword);
    r = find_sources(c, words, n - 1, &sources, err);
    if (!r)
        r = find_destination(c, words[n - 1], strv_len(sources) > 1, err);
    if (!r)
        r = layer_open_file(c->build, &fd, err);
    if (!r)
        r = layer_begin(&c->layer, fd, &build_stage(c->build)->tree, err);
    for (size_t s = 0; !r && sources[s]; s++)
        r = copy_source(c, sources[s], err);
    if (!r)
        r = layer_end(&c->layer, err);
    return r < 0 ? r : stage_add_layer(c->build, &fd, err);
}

int instruction_copy(struct build *b, const struct instruction *i, struct error *err)
{
    auto(copy) struct copy c = {.build = b,
                                .keyword = i->keyword,
                                .from = &b->context,
                                .ignore = &b->ignore,
                                .owner = {-1, -1, -1, true}};
    return run_copy(&c, i, err);
}

int instruction_add(struct build *b, const struct instruction *i, struct error *err)
{
    auto(copy) struct copy c = {.build = b,
                                .keyword = i->keyword,
                                .add = true,
                                .from = &b->context,
                                .ignore = &b->ignore,
                                .owner = {-1, -1, -1, true}};
    return run_copy(&c, i, err);
}

int instruction_workdir(struct build *b, const struct instruction *i, struct error *err)
{
    struct stage *s = build_stage(b);
    autofree char *word = NULL, *clean = NULL;
    int r = build_expand(b, i->rest, &word, err);
    if (r < 0)
        return r;
    if (!*word)
        return fail_plain(err, EINVAL, "WORKDIR requires exactly one argument");
    autofree char *path = absolute(s, word);
    r = path ? tar_clean_path(path, &clean, err) : fail(err, ENOMEM, "WORKDIR");
    if (r < 0)
        return fail_in(err, r, "WORKDIR %s", word);
    free(s->config.working_dir);
    s->config.working_dir = str_format("/%s", clean);
    auto(tree_node) struct tree_node node = {0};
    r = tree_find(&s->tree, clean, true, &node, err);
    if (r < 0 || !*node.path || (node.root >= 0 && S_ISDIR(node.st.st_mode)))
        return r;
    if (node.root >= 0)
        return fail_plain(err, ENOTDIR, "WORKDIR %s is a file", word);
    auto(copy) struct copy c = {.build = b};
    static const struct layer_owner owner = {0, 0, -1, true};
    autoclose int fd = -1;
    r = layer_open_file(b, &fd, err);
    if (!r)
        r = layer_begin(&c.layer, fd, &s->tree, err);
    if (!r)
        r = layer_make_dirs(&c.layer, node.path, &owner, err);
    if (!r)
        r = layer_end(&c.layer, err);
    return r < 0 ? r : stage_add_layer(b, &fd, err);
}
