/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wire_files.h"

#include <errno.h>
#include <stdlib.h>

enum { MOUNTS_MAX = 256, GROUPS_MAX = 65536 };

int wire_put_files_exec(struct buffer *out, uint32_t tag, const struct wire_files_exec *f)
{
    struct wire_writer w = wire_begin(out, WIRE_FILES_EXEC, tag);
    wire_put_number(&w, (int64_t)f->of);
    wire_put_text(&w, f->in);
    wire_put_text(&w, f->out);
    wire_put_text(&w, f->err);
    wire_put_text(&w, f->cwd);
    wire_put_text(&w, f->path);
    return wire_end(&w);
}

int wire_get_files_exec(struct wire_reader *r, struct wire_files_exec *f)
{
    f->of = (uint64_t)wire_number(r);
    f->in = wire_text(r);
    f->out = wire_text(r);
    f->err = wire_text(r);
    f->cwd = wire_text(r);
    f->path = wire_text(r);
    return r->bad ? -EPROTO : 0;
}

static void put_user(struct wire_writer *w, const struct wire_user *u)
{
    wire_put_text(w, u->name);
    wire_put_number(w, u->uid);
    wire_put_number(w, u->gid);
    wire_put_number(w, (int64_t)u->group_count);
    for (size_t i = 0; i < u->group_count; i++)
        wire_put_number(w, u->groups[i]);
}

static void get_user(struct wire_reader *r, struct wire_user *u)
{
    u->name = wire_text(r);
    u->uid = (uint32_t)wire_number(r);
    u->gid = (uint32_t)wire_number(r);
    uint64_t groups = (uint64_t)wire_number(r);
    r->bad |= groups > GROUPS_MAX || groups > r->left / sizeof(int64_t);
    if (r->bad || !groups)
        return;
    u->groups = calloc(groups, sizeof *u->groups);
    r->bad |= !u->groups;
    for (; !r->bad && u->group_count < groups; u->group_count++)
        u->groups[u->group_count] = (uint32_t)wire_number(r);
}

int wire_put_files(struct buffer *out, uint32_t tag, const struct wire_files *f)
{
    struct wire_writer w = wire_begin(out, WIRE_FILES_ADD, tag);
    wire_put_text(&w, f->in);
    wire_put_text(&w, f->out);
    wire_put_text(&w, f->err);
    put_user(&w, &f->user);
    wire_put_number(&w, (int64_t)f->mount_count);
    for (size_t i = 0; i < f->mount_count; i++) {
        const struct wire_mount *m = &f->mounts[i];
        wire_put_text(&w, m->destination);
        wire_put_list(&w, m->layers);
        wire_put_text(&w, m->upper);
        wire_put_text(&w, m->work);
        wire_put_list(&w, m->opaque);
        wire_put_number(&w, m->read_only);
    }
    return wire_end(&w);
}

int wire_get_files(struct wire_reader *r, struct wire_files *f)
{
    *f = (struct wire_files){.in = wire_text(r)};
    f->out = wire_text(r);
    f->err = wire_text(r);
    get_user(r, &f->user);
    uint64_t mounts = (uint64_t)wire_number(r);
    r->bad |= !mounts || mounts > MOUNTS_MAX; /* only an exec has none */
    if (!r->bad)
        f->mounts = calloc(mounts, sizeof *f->mounts);
    for (; f->mounts && f->mount_count < mounts; f->mount_count++) {
        struct wire_mount *m = &f->mounts[f->mount_count];
        m->destination = wire_text(r);
        m->layers = wire_list(r);
        m->upper = wire_text(r);
        m->work = wire_text(r);
        m->opaque = wire_list(r);
        m->read_only = wire_number(r);
    }
    if (!r->bad && f->mounts)
        return 0;
    wire_files_done(f);
    return -EPROTO;
}

void wire_files_done(struct wire_files *f)
{
    for (size_t i = 0; i < f->mount_count; i++) {
        free(f->mounts[i].layers);
        free(f->mounts[i].opaque);
    }
    free(f->mounts);
    free(f->user.groups);
    *f = (struct wire_files){0};
}
