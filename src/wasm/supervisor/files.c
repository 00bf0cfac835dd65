/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's files process is told. It has a socket beside the worker's. */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "sandbox/server.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/wire_files.h"

int files_add(struct holder *h, const struct wire_files *files, uint64_t *ret_number,
              struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    auto(link_reply) struct link_reply reply = {0};
    uint32_t tag = link_tag(h->files);
    int r = wire_put_files(&frame, tag, files);
    r = r < 0 ? fail(err, r, "hand the container's files to a worker")
              : link_call(h->files, tag, &frame, &reply, err);
    if (!r)
        *ret_number = (uint64_t)wire_number(&reply.reader);
    return r;
}

static int tell(struct holder *h, enum wire_type type, uint64_t number, struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    uint32_t tag = link_tag(h->files);
    struct wire_writer w = wire_begin(&frame, type, tag);
    wire_put_number(&w, (int64_t)number);
    int r = wire_end(&w);
    return r < 0 ? fail(err, r, "tell a worker of files")
                 : link_call(h->files, tag, &frame, NULL, err);
}

int files_remove(struct holder *h, uint64_t number, struct error *err)
{
    return number ? tell(h, WIRE_FILES_REMOVE, number, err) : 0;
}

int files_reopen(struct holder *h, uint64_t number, struct error *err)
{
    return tell(h, WIRE_FILES_REOPEN, number, err);
}

/* Writes the number of each container of the holder (w NULL: of none); how many there are. */
static size_t each_number(struct holder *h, struct wire_writer *w)
{
    size_t count = 0;
    struct pod *pod;
    struct process *p;
    list_each(pod, &h->pods, link)
    {
        list_each(p, &pod->sandbox->processes, link)
        {
            if (w)
                wire_put_number(w, (int64_t)files_number(p));
            count++;
        }
    }
    return count;
}

int files_keep_held(struct holder *h, struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    uint32_t tag = link_tag(h->files);
    struct wire_writer w = wire_begin(&frame, WIRE_FILES_KEEP, tag);
    wire_put_number(&w, (int64_t)each_number(h, NULL));
    each_number(h, &w);
    int r = wire_end(&w);
    return r < 0 ? fail(err, r, "tell a worker of files")
                 : link_call(h->files, tag, &frame, NULL, err);
}
