/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/record.h"

void engine_cursor_init(struct engine_cursor *c, struct engine *e)
{
    c->next = e->pod_list.next;
    c->end = &e->pod_list;
    list_append(&e->cursors, &c->link);
}

void engine_cursor_done(struct engine_cursor *c)
{
    list_remove(&c->link);
}

struct pod *engine_cursor_next(struct engine_cursor *c)
{
    if (c->next == c->end)
        return NULL;
    struct pod *p = container_of(c->next, struct pod, in_engine);
    c->next = c->next->next;
    return p;
}

void cursors_leave(struct engine *e, const struct pod *p)
{
    struct engine_cursor *c;
    list_each(c, &e->cursors, link) if (c->next == &p->in_engine) c->next = c->next->next;
}
