/* SPDX-License-Identifier: Apache-2.0 */
/* A cookie of the guest's is the number of the entry that comes next. Of a directory one piece is here, as the files process sent it:
 * what comes after it is fetched from there, and a cookie before it begins at the directory's beginning again. */
#include "wasm/wasi/wasi_dir.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/files/request.h"
#include "wasm/wasi/wasi_fd.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"

enum { LISTINGS_MAX = 8 }; /* of a guest: each is up to FILES_PACKET_MAX bytes */

struct wasi_listing {
    uint64_t first;       /* number of the piece's first entry */
    uint64_t count;       /* in it */
    struct buffer piece;  /* struct files_entry and names */
    uint64_t next_offset; /* with next_stage: the cursor behind it */
    uint32_t next_stage;
    bool end; /* nothing comes behind it */
};

void wasi_listing_free(struct wasi_listing *l)
{
    if (l)
        buffer_done(&l->piece);
    free(l);
}

/* The entry at *at, which goes behind it; false at the end. */
static bool next_entry(const struct buffer *piece, size_t *at, struct files_entry *ret,
                       const char **ret_name)
{
    if (piece->len - *at < sizeof *ret)
        return false;
    memcpy(ret, piece->data + *at, sizeof *ret);
    if (piece->len - *at - sizeof *ret < ret->len)
        return false;
    *ret_name = (const char *)piece->data + *at + sizeof *ret;
    *at += sizeof *ret + ret->len;
    return true;
}

/* What a guest has open may be hundreds of directories: all listings but some begin anew. */
static void bound_listings(struct wasi *w, const struct wasi_fd *but)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < w->fd_count; i++)
        count += w->fds[i].listing && &w->fds[i] != but;
    for (uint32_t i = 0; count >= LISTINGS_MAX && i < w->fd_count; i++)
        if (w->fds[i].listing && &w->fds[i] != but) {
            wasi_listing_free(take_ptr(&w->fds[i].listing));
            count--;
        }
}

/* Asks for the piece behind the one that is there, which goes. */
static uint32_t fetch(struct wasi_call *c, struct wasi_fd *f)
{
    bound_listings(&c->guest->wasi, f);
    struct wasi_listing *l = f->listing;
    if (!l && !(l = f->listing = calloc(1, sizeof *l)))
        return WASI_NOMEM;
    l->first += l->count;
    l->count = 0;
    buffer_done(&l->piece);
    struct files_request q = {.op = FILES_LIST,
                              .base = f->path,
                              .path = ".",
                              .stage = l->next_stage,
                              .offset = l->next_offset};
    return wasi_ask(c, &q);
}

static uint32_t take_piece(struct wasi_call *c, struct wasi_listing *l)
{
    auto(job) struct job *j = NULL;
    struct files_entry e;
    const char *name;
    uint32_t r = wasi_answer(c, &j);
    if (r)
        return r;
    l->piece = j->bytes;
    j->bytes = (struct buffer){0};
    l->end = !j->code;
    for (size_t at = 0; next_entry(&l->piece, &at, &e, &name); l->count++) {
        l->next_stage = e.stage;
        l->next_offset = e.offset;
    }
    return l->count || l->end ? WASI_SUCCESS : WASI_IO;
}

/* Appends one entry, cut at the buffer's end as the witx wants it. */
static size_t put_entry(uint8_t *to, size_t room, const struct files_entry *e, const char *name,
                        uint64_t next)
{
    uint8_t head[24] = {0};
    uint32_t len = e->len;
    memcpy(head, &next, 8);
    memcpy(head + 8, &e->inode, 8);
    memcpy(head + 16, &len, 4);
    head[20] = wasi_filetype((uint32_t)e->type << 12); /* DT_* are the file type's bits of a mode */
    size_t n = sizeof head < room ? sizeof head : room;
    memcpy(to, head, n);
    size_t text = len < room - n ? len : room - n;
    memcpy(to + n, name, text);
    return n + text;
}

/* Puts the piece's entries from number at on into the guest's buffer. */
static void put_entries(struct wasi_call *c, const struct wasi_listing *l, uint64_t at, uint8_t *to,
                        size_t room)
{
    struct files_entry e;
    const char *name;
    size_t offset = 0, *used = &c->guest->progress;
    for (uint64_t i = l->first; *used < room && next_entry(&l->piece, &offset, &e, &name); i++)
        if (i >= at)
            *used += put_entry(to + *used, room - *used, &e, name, i + 1);
}

uint32_t wasi_fd_readdir(struct wasi_call *c)
{
    uint32_t r;
    struct wasi_fd *f = wasi_fd_get(c, c->args[0], WASI_FD_DIR, RIGHT_FD_READDIR, &r);
    size_t room = (uint32_t)c->args[2];
    uint8_t *to = wasi_bytes(c, c->args[1], room);
    uint64_t cookie = c->args[3];
    if (!f || !to)
        return f ? WASI_FAULT : r;
    if (c->resumed) {
        r = take_piece(c, f->listing);
        if (r)
            return r;
    } else {
        c->guest->progress = 0;
        if (f->listing && (!cookie || cookie < f->listing->first)) {
            wasi_listing_free(f->listing);
            f->listing = NULL;
        }
    }
    struct wasi_listing *l = f->listing;
    if (l)
        put_entries(c, l, c->guest->progress ? l->first : cookie, to, room);
    if (c->guest->progress < room && !(l && l->end))
        return fetch(c, f);
    return wasi_store32(c, c->args[4], (uint32_t)c->guest->progress);
}
