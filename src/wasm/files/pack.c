/* SPDX-License-Identifier: Apache-2.0 */
/* Behind the stacks lie the strings: of each mount a letter (w, or r where it is read-only), its destination, the upper directory and the
 * work directory; then the three addresses. A string that begins as the one before it, as a work directory beside its upper one and
 * the log of both outputs do, is kept as the length that they share and the rest. */
#include "wasm/files/pack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "wasm/files/identity.h"
#include "wasm/files/table.h"
#include "wasm/files/vfs.h"
#include "wasm/wire_files.h"

/* Layers and opaque directories that many containers have. */
struct files_stack {
    unsigned users;
    char **layers, **opaque;
    char key[];
};

static struct {
    pthread_mutex_t lock;
    struct map stacks;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void stack_free(struct files_stack *s)
{
    if (s) {
        strv_free(s->layers);
        strv_free(s->opaque);
    }
    free(s);
}

static int put_list(struct buffer *key, char *const *v)
{
    int r = 0;
    for (; !r && v && *v; v++)
        r = buffer_printf(key, "%zu:%s,", strlen(*v), *v);
    return r ? r : buffer_puts(key, ";");
}

static struct files_stack *stack_new(const struct wire_mount *m, const char *key)
{
    struct files_stack *s = calloc(1, sizeof *s + strlen(key) + 1);
    if (!s)
        return NULL;
    strcpy(s->key, key);
    s->layers = strv_copy(m->layers);
    bool has_opaque = m->opaque && m->opaque[0];
    if (has_opaque)
        s->opaque = strv_copy(m->opaque);
    if (!s->layers || (has_opaque && !s->opaque) || map_add(&shared.stacks, s->key, s) < 0) {
        stack_free(s);
        return NULL;
    }
    return s;
}

/* With a reference; NULL where memory is out. */
static struct files_stack *stack_get(const struct wire_mount *m)
{
    auto(buffer) struct buffer key = {0};
    if (put_list(&key, m->layers) < 0 || put_list(&key, m->opaque) < 0)
        return NULL;
    pthread_mutex_lock(&shared.lock);
    struct files_stack *s = map_get(&shared.stacks, buffer_text(&key));
    if (!s)
        s = stack_new(m, buffer_text(&key));
    if (s)
        s->users++;
    pthread_mutex_unlock(&shared.lock);
    return s;
}

static void stack_put(struct files_stack *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&shared.lock);
    bool last = !--s->users;
    if (last)
        map_remove(&shared.stacks, s->key);
    pthread_mutex_unlock(&shared.lock);
    if (last)
        stack_free(s);
}

/* Strings */

struct packer {
    struct buffer text;
    const char *before;
};

static int put_string(struct packer *p, const char *s)
{
    uint16_t same = 0;
    while (same < UINT16_MAX && s[same] && s[same] == p->before[same])
        same++;
    p->before = s;
    int r = buffer_append(&p->text, &same, sizeof same);
    return r ? r : buffer_append(&p->text, s + same, strlen(s + same) + 1);
}

struct unpacker {
    const char *at;
    struct buffer before; /* the string that was read last */
};

/* Good until the next one. NULL where memory is out. */
static const char *get_string(struct unpacker *u)
{
    uint16_t same;
    memcpy(&same, u->at, sizeof same);
    u->at += sizeof same;
    u->before.len = same; /* no longer than the one before was */
    const char *rest = u->at;
    u->at += strlen(rest) + 1;
    return buffer_puts(&u->before, rest) < 0 ? NULL : buffer_text(&u->before);
}

static struct unpacker unpack(const struct files_container *c)
{
    return (struct unpacker){.at = (const char *)&c->stacks[c->stack_count]};
}

static int pack_text(struct packer *p, const struct wire_files *f)
{
    int r = 0;
    for (size_t i = 0; !r && i < f->mount_count; i++) {
        const struct wire_mount *m = &f->mounts[i];
        r = buffer_append(&p->text, m->read_only ? "r" : "w", 1);
        if (!r)
            r = put_string(p, m->destination);
        if (!r)
            r = put_string(p, m->upper);
        if (!r)
            r = put_string(p, m->work);
    }
    const char *addresses[] = {f->in, f->out, f->err};
    for (unsigned i = 0; !r && i < ARRAY_SIZE(addresses); i++)
        r = put_string(p, addresses[i]);
    return r;
}

static int check(const struct wire_files *f, struct error *err)
{
    const char *addresses[] = {f->in, f->out, f->err};
    struct stat st;
    for (size_t i = 0; i < f->mount_count; i++) {
        const struct wire_mount *m = &f->mounts[i];
        size_t layers = strv_len(m->layers) + (*m->upper != 0);
        if (m->destination[0] != '/' || !layers || layers > VFS_LAYERS_MAX ||
            strlen(m->upper) + strlen(m->work) > UINT16_MAX)
            return fail(err, EINVAL, "mount %zu directories at '%s'", layers, m->destination);
        if (layers == 1 && !*m->upper && stat(m->layers[0], &st) < 0)
            return fail(err, errno, "mount '%s' at '%s'", m->layers[0], m->destination);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++)
        if (addresses[i][0] == '/' && stat(addresses[i], &st) < 0)
            return fail(err, errno, "open '%s' for the container's %s", addresses[i],
                        i ? "output" : "input");
    return 0;
}

int pack_new(const struct wire_files *f, struct files_container **ret, struct error *err)
{
    struct packer p = {.before = ""};
    int r = f->mount_count > VFS_MOUNTS_MAX ? fail_plain(err, EINVAL, "%zu mounts", f->mount_count)
                                            : check(f, err);
    if (r < 0)
        return r;
    struct files_container *c = NULL;
    r = pack_text(&p, f);
    if (!r)
        c = calloc(1, sizeof *c + f->mount_count * sizeof *c->stacks + p.text.len);
    if (c) {
        list_init(&c->link);
        c->stack_count = (uint16_t)f->mount_count;
        memcpy(&c->stacks[c->stack_count], p.text.data, p.text.len);
    }
    buffer_done(&p.text);
    for (size_t i = 0; c && i < f->mount_count; i++)
        if (!(c->stacks[i] = stack_get(&f->mounts[i]))) {
            pack_free(c);
            c = NULL;
        }
    if (!c)
        return fail(err, ENOMEM, "hold a container's files");
    *ret = c;
    return 0;
}

void pack_free(struct files_container *c)
{
    for (unsigned i = 0; c && i < c->stack_count; i++)
        stack_put(c->stacks[i]);
    if (c)
        identity_put(c->who);
    free(c);
}

static int add_mount(struct vfs *v, const struct files_stack *s, struct unpacker *u,
                     struct error *err)
{
    bool read_only = *u->at++ == 'r';
    const char *text = get_string(u);
    autofree char *destination = text ? strdup(text) : NULL;
    text = destination ? get_string(u) : NULL;
    autofree char *upper = text ? strdup(text) : NULL;
    const char *work = upper ? get_string(u) : NULL;
    if (!work)
        return fail(err, ENOMEM, "make a container's tree");
    struct vfs_mount_spec spec = {.destination = destination,
                                  .layers = s->layers,
                                  .upper = *upper ? upper : NULL,
                                  .work = *work ? work : NULL,
                                  .opaque = s->opaque,
                                  .read_only = read_only};
    return vfs_add(v, &spec, err);
}

int pack_tree(const struct files_container *c, struct vfs **ret, struct error *err)
{
    if (!c->stack_count)
        return fail_plain(err, ENOENT, "an exec has its container's tree, and none by itself");
    auto(vfs) struct vfs *v = vfs_new();
    struct unpacker u = unpack(c);
    int r = v ? 0 : fail(err, ENOMEM, "make a container's tree");
    for (unsigned i = 0; !r && i < c->stack_count; i++)
        r = add_mount(v, c->stacks[i], &u, err);
    buffer_done(&u.before);
    if (r < 0)
        return r;
    v->who = c->who;
    *ret = take_ptr(&v);
    return 0;
}

char *pack_address(const struct files_container *c, unsigned stream)
{
    struct unpacker u = unpack(c);
    const char *text = "";
    for (unsigned i = 0; text && i < c->stack_count; i++) {
        u.at++;
        for (unsigned k = 0; text && k < 3; k++)
            text = get_string(&u);
    }
    for (unsigned i = 0; text && i <= stream; i++)
        text = get_string(&u);
    char *copy = text ? strdup(text) : NULL;
    buffer_done(&u.before);
    return copy;
}
