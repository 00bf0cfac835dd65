/* SPDX-License-Identifier: Apache-2.0 */
#include "build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "build/state.h"
#include "image/extract.h"
#include "image/json.h"
#include "image/tar.h"

enum { CONTEXT_ENTRIES_MAX = 1000000, IGNORE_MAX = 1 << 20, STAGES_MAX = 64 };

static const struct {
    const char *keyword;
    instruction_fn *run; /* NULL: refused */
} instructions[] = {
    {"ADD", instruction_add},
    {"ARG", instruction_arg},
    {"CMD", instruction_cmd},
    {"COPY", instruction_copy},
    {"ENTRYPOINT", instruction_entrypoint},
    {"ENV", instruction_env},
    {"EXPOSE", instruction_expose},
    {"HEALTHCHECK", NULL},
    {"LABEL", instruction_label},
    {"MAINTAINER", NULL},
    {"ONBUILD", NULL},
    {"RUN", NULL},
    {"SHELL", instruction_shell},
    {"STOPSIGNAL", instruction_stop_signal},
    {"USER", instruction_user},
    {"VOLUME", instruction_volume},
    {"WORKDIR", instruction_workdir},
};

static void stage_done(struct stage *s, struct build *b)
{
    if (s->base)
        image_unpin(b->options->images, s->base->id, b->pin);
    image_unref(s->base);
    free(s->name);
    image_config_done(&s->config);
    tree_done(&s->tree);
    for (size_t i = 0; i < s->layer_count; i++)
        close(s->layers[i]);
    free(s->layers);
    for (size_t i = 0; i < s->history_count; i++)
        free((char *)s->history[i].created_by);
    free(s->history);
    strv_free(s->args);
}

static void build_done(struct build *b)
{
    for (size_t i = 0; i < b->stage_count; i++)
        stage_done(&b->stages[i], b);
    free(b->stages);
    tree_done(&b->context);
    ignore_done(&b->ignore);
    dockerfile_done(&b->file);
    strv_free(b->global_args);
    strv_free(b->used_args);
    close_fd(&b->dir);
    if (b->dir_path)
        dir_remove(AT_FDCWD, b->dir_path, NULL);
    free(b->dir_path);
}
CLEANUP_DONE(build, struct build);

/* What is said */

static void say_object(const struct build *b, json_object *o)
{
    auto(buffer) struct buffer line = {0};
    if (b->options->say && json_print(o, &line) == 0)
        b->options->say(b->options->arg, buffer_text(&line), line.len);
    json_object_put(o);
}

static void say(const struct build *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct build *b, const char *format, ...)
{
    auto(buffer) struct buffer text = {0};
    va_list args;
    va_start(args, format);
    int r = buffer_vprintf(&text, format, args);
    va_end(args);
    if (r < 0)
        return;
    json_object *o = json_object_new_object();
    json_object_object_add(o, "stream", json_string(buffer_text(&text)));
    say_object(b, o);
}

static const char *short_id(const struct image *image)
{
    return image->id + strlen("sha256:");
}

static void say_built(const struct build *b, const struct image *image)
{
    if (b->options->quiet) {
        say(b, "%s\n", image->id);
        return;
    }
    json_object *o = json_object_new_object(), *id = json_object_new_object();
    json_object_object_add(id, "ID", json_string(image->id));
    json_object_object_add(o, "aux", id);
    say_object(b, o);
    say(b, "Successfully built %.12s\n", short_id(image));
}

/* The context */

static int open_context(struct build *b, struct error *err)
{
    static const struct extract_options options = {.plain = true};
    auto(tar_input) struct tar_input t = {0};
    char digest[DIGEST_TEXT];
    uint64_t bytes;
    int r = image_scratch_dir(b->options->images, &b->dir_path, err);
    if (r < 0)
        return r;
    b->dir = open(b->dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dir < 0 || mkdirat(b->dir, "context", 0755) < 0)
        return fail(err, errno, "make a directory in '%s'", b->dir_path);
    int root = openat(b->dir, "context", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || tree_push(&b->context, root) < 0)
        return fail(err, errno, "open a directory in '%s'", b->dir_path);
    r = tar_input_open(&t, b->options->context, CONTEXT_ENTRIES_MAX, err);
    if (!r)
        r = tar_extract(&t, root, &options, &bytes, err);
    if (!r)
        r = tar_input_finish(&t, digest, err);
    /* a tar that was cut between two entries looks whole */
    if (!r && b->options->cancelled && __atomic_load_n(b->options->cancelled, __ATOMIC_ACQUIRE))
        r = fail_plain(err, ECANCELED, "it ended too early");
    return r < 0 ? fail_in(err, r, "the build's context") : 0;
}

static int read_context_file(struct build *b, const char *path, size_t max, struct buffer *out,
                             struct error *err)
{
    auto(tree_node) struct tree_node node = {0};
    int r = tree_find(&b->context, path, true, &node, err);
    if (r < 0)
        return r;
    if (node.root < 0)
        return -ENOENT;
    if (!S_ISREG(node.st.st_mode))
        return fail_plain(err, EINVAL, "'%s' in the context is no file", path);
    r = file_read(node.root, node.path, max, out, err);
    return r < 0 ? fail_in(err, r, "the build's context") : 0;
}

static int read_files(struct build *b, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    const char *name = str_empty(b->options->dockerfile) ? "Dockerfile" : b->options->dockerfile;
    int r = read_context_file(b, name, DOCKERFILE_MAX, &text, err);
    if (r == -ENOENT)
        return fail_plain(err, ENOENT, "Cannot locate specified Dockerfile: %s", name);
    if (!r)
        r = dockerfile_parse(name, buffer_text(&text), text.len, &b->file, err);
    if (r < 0)
        return r;
    buffer_clear(&text);
    r = read_context_file(b, ".dockerignore", IGNORE_MAX, &text, err);
    if (!r && ignore_parse(buffer_text(&text), text.len, &b->ignore) < 0)
        return fail(err, ENOMEM, "read .dockerignore");
    return r == -ENOENT ? 0 : r;
}

/* Checks before anything is done */

static int check_instructions(const struct build *b, struct error *err)
{
    bool from = false;
    for (size_t n = 0; n < b->file.count; n++) {
        const struct instruction *i = &b->file.instructions[n];
        size_t k = 0;
        if (str_eq(i->keyword, "FROM")) {
            from = true;
            continue;
        }
        while (k < ARRAY_SIZE(instructions) && !str_eq(instructions[k].keyword, i->keyword))
            k++;
        if (k == ARRAY_SIZE(instructions))
            return fail_plain(err, EINVAL, "%s:%d: unknown instruction: %.100s", b->file.name,
                              i->line, i->keyword);
        if (!instructions[k].run)
            return fail_plain(
                err, ENOTSUP,
                "%s:%d: %s is not supported yet: this builder knows FROM, ADD, COPY, ARG, "
                "ENV, WORKDIR, USER, ENTRYPOINT, CMD, LABEL, EXPOSE, VOLUME, STOPSIGNAL "
                "and SHELL",
                b->file.name, i->line, i->keyword);
        if (!from && !str_eq(i->keyword, "ARG"))
            return fail_plain(err, EINVAL,
                              "%s:%d: no build stage in current context: FROM comes first",
                              b->file.name, i->line);
    }
    return from ? 0
                : fail_plain(err, EINVAL, "%s: no build stage in current context: there is no FROM",
                             b->file.name);
}

/* FROM */

static const char *lookup_global(void *arg, const char *name)
{
    return build_get(((struct build *)arg)->global_args, name);
}

/* ARG before the first FROM. */
static int global_arg(struct build *b, const struct instruction *i, struct error *err)
{
    auto(strv) char **words = dockerfile_words(i->rest, b->file.escape);
    for (char **w = words; w && *w; w++) {
        autofree char *text = NULL;
        int r = dockerfile_expand(*w, b->file.escape, lookup_global, b, &text, err);
        if (r < 0)
            return r;
        char *equals = strchr(text, '=');
        if (equals)
            *equals = 0;
        const char *value = build_get(b->options->args, text);
        if (value && strv_add(&b->used_args, text) < 0)
            return fail(err, ENOMEM, "ARG");
        if (!value && equals)
            value = equals + 1;
        if (value && build_set(&b->global_args, text, value) < 0)
            return fail(err, ENOMEM, "ARG");
    }
    return 0;
}

static int add_history(struct stage *s, const char *text, bool empty)
{
    struct image_history *history = realloc(s->history, (s->history_count + 1) * sizeof *history);
    if (!history)
        return -ENOMEM;
    s->history = history;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    history[s->history_count++] = (struct image_history){copy, empty};
    return 0;
}

/* A stage on an earlier one begins with what that one has. */
static int from_stage(struct stage *s, const struct stage *earlier)
{
    s->base = earlier->base ? image_ref(earlier->base) : NULL;
    image_config_copy(&s->config, &earlier->config);
    s->cmd_inherited = true;
    int r = tree_copy(&earlier->tree, &s->tree);
    for (size_t i = 0; !r && i < earlier->history_count; i++)
        r = add_history(s, earlier->history[i].created_by, earlier->history[i].empty_layer);
    s->layers = calloc(earlier->layer_count + 1, sizeof *s->layers);
    if (!s->layers)
        return -ENOMEM;
    for (size_t i = 0; !r && i < earlier->layer_count; i++) {
        int fd = fcntl(earlier->layers[i], F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            return -errno;
        s->layers[s->layer_count++] = fd;
    }
    return r;
}

static int from_image(struct build *b, struct stage *s, const char *name, struct error *err)
{
    struct image_store *images = b->options->images;
    auto(strv) char **dirs = NULL;
    int r = image_find(images, name, &s->base, err);
    if (r < 0)
        return r == -ENOENT
                   ? fail_plain(
                         err, ENOENT,
                         "FROM %s: no such image here, and images cannot be pulled yet: load it "
                         "first (warren load -i FILE)",
                         name)
                   : r;
    r = image_pin(images, s->base->id, b->pin, err);
    if (!r)
        r = image_lower_dirs(images, s->base, &dirs, err);
    if (r < 0)
        return r;
    for (size_t i = strv_len(dirs); i--;) {
        int fd = open(dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || tree_push(&s->tree, fd) < 0)
            return fail(err, errno, "open layer '%s'", dirs[i]);
    }
    image_config_copy(&s->config, &s->base->config);
    s->cmd_inherited = true;
    return 0;
}

static int check_platform(const struct instruction *i, struct error *err)
{
    for (char **f = i->flags; f && *f; f++) {
        const char *platform = str_after(*f, "--platform=");
        if (!platform)
            return fail_plain(err, EINVAL, "FROM: unknown flag: %s", *f);
        if (!str_eq(platform, "linux/amd64") && !str_eq(platform, "wasi/wasm") &&
            !str_eq(platform, "wasip1/wasm") && !strchr(platform, '$'))
            return fail_plain(err, ENOTSUP, "FROM: platform %s is not supported", platform);
    }
    return 0;
}

/* --platform says what an image on scratch is for. */
static int set_platform(struct build *b, const struct instruction *i, struct stage *s,
                        struct error *err)
{
    autofree char *platform = NULL;
    const char *flag = instruction_flag(i, "platform");
    if (!flag)
        return 0;
    int r = dockerfile_expand(flag, b->file.escape, lookup_global, b, &platform, err);
    char *slash = r < 0 ? NULL : strchr(platform, '/');
    if (r < 0 || !slash)
        return r;
    *slash = 0;
    s->config.os = strdup(platform);
    s->config.architecture = strdup(slash + 1);
    return s->config.os && s->config.architecture ? 0 : fail(err, ENOMEM, "FROM");
}

static int run_from(struct build *b, const struct instruction *i, struct error *err)
{
    auto(strv) char **words = dockerfile_words(i->rest, b->file.escape);
    size_t n = strv_len(words);
    autofree char *name = NULL;
    if (n != 1 && !(n == 3 && strcasecmp(words[1], "AS") == 0))
        return fail_plain(err, EINVAL, "FROM requires either one or three arguments");
    if (b->stage_count == STAGES_MAX)
        return fail_plain(err, E2BIG, "there are more than %d stages", STAGES_MAX);
    int r = check_platform(i, err);
    if (!r)
        r = dockerfile_expand(words[0], b->file.escape, lookup_global, b, &name, err);
    if (!r && !*name)
        return fail_plain(err, EINVAL, "base name (%s) should not be blank", words[0]);
    struct stage *stages = r < 0 ? NULL : realloc(b->stages, (b->stage_count + 1) * sizeof *stages);
    if (r < 0 || !stages)
        return r < 0 ? r : fail(err, ENOMEM, "FROM");
    b->stages = stages;
    struct stage *s = &stages[b->stage_count++];
    *s = (struct stage){0};
    if (n == 3 && !(s->name = strdup(words[2])))
        return fail(err, ENOMEM, "FROM");
    for (size_t k = 0; k + 1 < b->stage_count; k++)
        if (stages[k].name && strcasecmp(stages[k].name, name) == 0) {
            r = from_stage(s, &stages[k]);
            return r < 0 ? fail(err, r, "FROM %s", name) : 0;
        }
    if (str_eq(name, "scratch"))
        return set_platform(b, i, s, err);
    r = from_image(b, s, name, err);
    if (!r && !b->options->quiet)
        say(b, " ---> %.12s\n", short_id(s->base));
    return r;
}

/* Running */

static int run_instruction(struct build *b, const struct instruction *i, struct error *err)
{
    size_t k = 0;
    if (str_eq(i->keyword, "FROM"))
        return run_from(b, i, err);
    if (!b->stage_count)
        return global_arg(b, i, err);
    while (!str_eq(instructions[k].keyword, i->keyword))
        k++;
    bool files = instructions[k].run == instruction_add || instructions[k].run == instruction_copy;
    if (i->flags && !files)
        return fail_plain(err, EINVAL, "%s: unknown flag: %s", i->keyword, i->flags[0]);
    size_t layers = build_stage(b)->layer_count;
    int r = instructions[k].run(b, i, err);
    if (r < 0)
        return r;
    struct stage *s = build_stage(b);
    r = add_history(s, i->text, s->layer_count == layers);
    return r < 0 ? fail(err, r, "%s", i->keyword) : 0;
}

static bool is_target(const struct build *b)
{
    const char *target = b->options->target;
    const char *name = b->stage_count ? build_stage((struct build *)b)->name : NULL;
    return !str_empty(target) && name && strcasecmp(name, target) == 0;
}

static int run_instructions(struct build *b, struct error *err)
{
    bool reached = false;
    for (size_t n = 0; n < b->file.count; n++) {
        const struct instruction *i = &b->file.instructions[n];
        if (reached && str_eq(i->keyword, "FROM"))
            break;
        if (!b->options->quiet)
            say(b, "Step %zu/%zu : %s\n", n + 1, b->file.count, i->text);
        struct error inner = {0};
        int r = run_instruction(b, i, &inner);
        if (r < 0)
            return fail_plain(err, r, "%s:%d: %s", b->file.name, i->line, inner.message);
        reached = reached || is_target(b);
    }
    if (!str_empty(b->options->target) && !reached)
        return fail_plain(err, ENOENT, "failed to reach build target %s in Dockerfile",
                          b->options->target);
    return 0;
}

/* A --build-arg that nothing took is told, as docker tells it. */
static void warn_unused(const struct build *b)
{
    for (char *const *a = b->options->args; a && *a; a++) {
        size_t n = strcspn(*a, "=");
        bool used = false;
        for (char **u = b->used_args; u && *u; u++)
            used = used || (strlen(*u) == n && strncmp(*u, *a, n) == 0);
        if (!used && !b->options->quiet)
            say(b, "[Warning] One or more build-args [%.*s] were not consumed\n", (int)n, *a);
    }
}

static int finish(struct build *b, struct image **ret, struct error *err)
{
    struct stage *s = build_stage(b);
    struct image_store *images = b->options->images;
    for (char *const *l = b->options->labels; l && *l; l++) {
        autofree char *key = strndup(*l, strcspn(*l, "="));
        const char *equals = strchr(*l, '=');
        if (!key || build_set(&s->config.labels, key, equals ? equals + 1 : "") < 0)
            return fail(err, ENOMEM, "label the image");
    }
    for (size_t i = 0; i < s->layer_count; i++)
        if (lseek(s->layers[i], 0, SEEK_SET) < 0)
            return fail(err, errno, "read a layer");
    auto(image) struct image *image = NULL;
    int r = image_create(images, s->base, s->layers, s->layer_count, s->history, s->history_count,
                         &s->config, &image, err);
    if (r < 0)
        return r;
    warn_unused(b);
    say_built(b, image);
    for (char *const *t = b->options->tags; t && *t; t++) {
        autofree char *full = NULL;
        r = image_tag(images, image, *t, err);
        if (!r)
            r = image_reference_expand(*t, &full, err);
        if (r < 0)
            return r;
        autofree char *familiar = image_reference_short(full);
        if (!b->options->quiet)
            say(b, "Successfully tagged %s\n", str_or_empty(familiar));
    }
    return image_find(images, image->id, ret, err);
}

static int check_tags(const struct build_options *o, struct error *err)
{
    for (char *const *t = o->tags; t && *t; t++) {
        autofree char *full = NULL;
        int r = image_reference_expand(*t, &full, err);
        if (!r && strchr(full, '@'))
            r = fail_plain(err, EINVAL, "a tag cannot have a digest");
        if (r < 0)
            return fail_in(err, r, "invalid tag '%s'", *t);
    }
    return 0;
}

int build_run(const struct build_options *options, struct image **ret, struct error *err)
{
    auto(build) struct build b = {.options = options, .dir = -1};
    char id[ID_LEN + 1];
    id_new(id);
    snprintf(b.pin, sizeof b.pin, "build %.12s", id);
    int r = check_tags(options, err);
    if (!r)
        r = open_context(&b, err);
    if (!r)
        r = read_files(&b, err);
    if (!r)
        r = check_instructions(&b, err);
    if (!r)
        r = run_instructions(&b, err);
    return r < 0 ? r : finish(&b, ret, err);
}
