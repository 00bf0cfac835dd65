/* SPDX-License-Identifier: Apache-2.0 */
/* GetContainerEvents: each watcher has a bounded queue of packed events that its own coroutine
 * sends. A watcher that does not read loses its stream, not the engine its memory: kubelet then
 * lists and watches anew. */
#include "base/base.h"
#include "cri/services.h"

enum { QUEUE_MAX = 10000 };

struct queued {
    struct list link;
    size_t len;
    uint8_t data[];
};

struct watcher {
    struct cri *cri;
    struct rpc_call *call;
    struct engine_observer observer;
    struct list queue;
    size_t length;
    bool overrun;
    struct co *co;
};

static Runtime__V1__ContainerEventType event_type(enum engine_event_type type)
{
    switch (type) {
    case EVENT_CREATED:
        return RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT;
    case EVENT_STARTED:
        return RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT;
    case EVENT_STOPPED:
        return RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT;
    case EVENT_DELETED:
        break;
    }
    return RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT;
}

static void on_event(void *arg, const struct engine_event *event)
{
    struct watcher *w = arg;
    if (w->length >= QUEUE_MAX) {
        w->overrun = true;
        co_wake(w->co);
        return;
    }
    auto(arena) struct arena a = {0};
    Runtime__V1__ContainerEventResponse m = RUNTIME__V1__CONTAINER_EVENT_RESPONSE__INIT;
    m.container_id = (char *)(event->container ? event->container->id : event->pod->id);
    m.container_event_type = event_type(event->type);
    m.created_at = event->at_ns;
    m.pod_sandbox_status = cri_pod_status(&a, event->pod);
    m.n_containers_statuses =
        cri_container_statuses(&a, w->cri->engine, event->pod, &m.containers_statuses);
    size_t len = protobuf_c_message_get_packed_size(&m.base);
    struct queued *q = malloc(sizeof *q + len);
    if (!q) {
        w->overrun = true;
        co_wake(w->co);
        return;
    }
    q->len = protobuf_c_message_pack(&m.base, q->data);
    list_append(&w->queue, &q->link);
    w->length++;
    co_wake(w->co);
}

static void on_cancel(void *arg)
{
    struct watcher *w = arg;
    co_wake(w->co);
}

static int send_first(struct watcher *w, struct error *err)
{
    struct queued *q = list_first(&w->queue, struct queued, link);
    auto(arena) struct arena a = {0};
    void *m = rpc_unpack(&runtime__v1__container_event_response__descriptor, &a, q->data, q->len);
    list_remove(&q->link);
    w->length--;
    free(q);
    return m ? rpc_send(w->call, m, err)
             : fail_plain(err, EIO, "an event that cannot be read back");
}

CRI_HANDLER(cri_get_container_events)
{
    (void)request, (void)response;
    struct watcher w = {.cri = rpc_context(call), .call = call, .co = co_self()};
    w.observer = (struct engine_observer){.event = on_event, .arg = &w};
    list_init(&w.queue);
    engine_observe(w.cri->engine, &w.observer);
    rpc_on_cancel(call, on_cancel, &w);
    int r = 0;
    while (r == 0 && !rpc_cancelled(call)) {
        if (w.overrun)
            r = fail_plain(err, ENOMEM,
                           "more than %d events are waiting for this watcher: read faster, "
                           "list, and watch again",
                           QUEUE_MAX);
        else if (list_empty(&w.queue))
            co_park();
        else
            r = send_first(&w, err);
    }
    engine_unobserve(&w.observer);
    rpc_on_cancel(call, NULL, NULL);
    struct queued *q;
    list_each(q, &w.queue, link)
    {
        list_remove(&q->link);
        free(q);
    }
    return r;
}
