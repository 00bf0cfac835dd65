/* SPDX-License-Identifier: Apache-2.0 */
/* What workers tell. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "sandbox/server.h"
#include "wasm/supervisor/holder.h"

/* Of what a worker says it holds: a worker that was taken over would not end. */
enum { HELLO_MAX = 1 << 30 };

/* A worker may be taken over: it speaks of the pods that are on it, and of no others. */
static bool is_on(const struct sandbox *sb, const struct holder *h)
{
    const struct pod *pod = sb->technique;
    return pod && pod->holder == h;
}

static void tell_exit(struct holder *h, struct wire_reader *r)
{
    const char *id = wire_text(r);
    int64_t exited = wire_number(r);
    uint32_t status = (uint32_t)wire_number(r);
    const char *message = wire_text(r);
    const char *slash = strchr(id, '/'); /* an exec's is CONTAINER/EXEC */
    autofree char *container = slash ? strndup(id, (size_t)(slash - id)) : strdup(id);
    struct process *p = r->bad || !container ? NULL
                                             : sandboxer_find_process(h->wasm->sandboxer, container,
                                                                      slash ? slash + 1 : "");
    if (p && is_on(p->sandbox, h))
        process_exited(p, status, exited, false, *message ? message : NULL);
}

static int adopt_sandbox(struct holder *h, const char *id, struct wire_reader *r,
                         struct sandbox **ret, struct error *err)
{
    size_t len;
    struct sandbox *sb = NULL;
    const char *record = wire_bytes(r, &len);
    int e = r->bad ? fail_plain(err, EPROTO, "it is malformed")
                   : sandboxer_adopt_sandbox(h->wasm->sandboxer, record, len, SANDBOX_RUNNING, 0,
                                             &sb, err);
    if (e < 0)
        return e;
    if (!str_eq(id, sb->id)) {
        table_drop_sandbox(sb);
        return fail_plain(err, EINVAL, "its record is another one's");
    }
    *ret = sb;
    return 0;
}

static void adopt_pod(struct holder *h, struct wire_reader *r)
{
    struct error err = {0};
    const char *id = wire_text(r);
    struct sandbox *sb = NULL;
    struct pod *pod = calloc(1, sizeof *pod);
    if (!pod || adopt_sandbox(h, id, r, &sb, &err) < 0) {
        diag_warning("worker %d holds pod '%.130s', which cannot be adopted: %s", h->pid, id,
                     err.message);
        free(pod);
        auto(buffer) struct buffer frame = {0};
        struct wire_writer w = wire_begin(&frame, WIRE_SANDBOX_REMOVE, link_tag(h->connection));
        wire_put_text(&w, id);
        if (wire_end(&w) == 0)
            link_tell(h->connection, &frame);
        return;
    }
    *pod = (struct pod){.holder = h, .sandbox = sb};
    list_append(&h->pods, &pod->link);
    h->pod_count++;
    sb->technique = pod;
}

static void adopt_container(struct holder *h, struct wire_reader *r)
{
    size_t len;
    struct error err = {0};
    const char *pod = wire_text(r), *id = wire_text(r), *record = wire_bytes(r, &len);
    int64_t started = wire_number(r), exited = wire_number(r);
    uint32_t status = (uint32_t)wire_number(r);
    bool paused = wire_number(r);
    const char *message = wire_text(r);
    uint64_t number = (uint64_t)wire_number(r);
    struct sandbox *sb = r->bad ? NULL : sandboxer_find_sandbox(h->wasm->sandboxer, pod);
    struct process *p = NULL;
    if (!sb || !is_on(sb, h))
        return; /* said when its pod was not adopted */
    enum sandbox_state state = exited    ? SANDBOX_STOPPED
                               : paused  ? SANDBOX_PAUSED
                               : started ? SANDBOX_RUNNING
                                         : SANDBOX_CREATED;
    if (sandboxer_adopt_process(h->wasm->sandboxer, sb, record, len, state, 0, started, &p, &err) <
        0)
        diag_warning("container '%.130s' cannot be adopted: %s", id, err.message);
    else
        process_set(p, number, false);
    if (p && exited)
        process_exited(p, status, exited, false, *message ? message : NULL);
}

void holder_told(void *arg, struct wire_reader *r)
{
    struct holder *h = arg;
    if (h->recovering && (h->told += r->left + WIRE_HEAD) > HELLO_MAX) {
        diag_warning("worker '%s' tells more than a worker can hold", h->name);
        link_cut(h->connection);
        return;
    }
    if (r->type == WIRE_EXITED)
        tell_exit(h, r);
    else if (r->type == WIRE_SANDBOX && h->recovering)
        adopt_pod(h, r);
    else if (r->type == WIRE_PROCESS && h->recovering)
        adopt_container(h, r);
}
