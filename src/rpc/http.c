/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 on libmicrohttpd, which runs on this loop by its epoll descriptor.
 *
 * A request is suspended whenever it has nothing to do for libmicrohttpd: its handler works, its
 * body's piece is not read yet, its answer's next piece is not written yet. What a handler wants
 * done to the connection is put down in the request, and done by libmicrohttpd's callbacks after it
 * is resumed, since only there may an answer be queued. */
#include "rpc/http_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"
#include "rpc/server.h"

enum { HTTP_CONNECTIONS_MAX = 4096 };

/* Libmicrohttpd on the loop */

static void turn(struct http_server *h);

static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
    (void)status, (void)events;
    turn(p->data);
}

static void turn(struct http_server *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(h->daemon);
    if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
        uv_timer_start(&h->timer, on_timer, ms, 0);
    else
        uv_timer_stop(&h->timer);
}

static int descriptor_of(const struct http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static void hung_up(uv_poll_t *p, int status, int events)
{
    struct http_request *r = p->data;
    (void)status, (void)events;
    uv_poll_stop(p);
    if (!r->connection)
        return;
    /* a client that has only said all of its own still waits for the answer */
    struct pollfd fd = {.fd = descriptor_of(r)};
    if (poll(&fd, 1, 0) != 1 || !(fd.revents & (POLLHUP | POLLERR)))
        return;
    r->gone = true;
    co_queue_wake_all(&r->wait);
    http_resume(r);
}

void http_suspend(struct http_request *r)
{
    /* libmicrohttpd hands over all chunks that it has, suspended or not, and its lists do not bear a second time */
    if (r->suspended)
        return;
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    if (!r->watching && uv_poll_init(loop_uv(), &r->watch, descriptor_of(r)) == 0) {
        r->watching = true;
        r->watch.data = r;
    }
    if (r->watching)
        uv_poll_start(&r->watch, UV_DISCONNECT, hung_up);
}

void http_resume(struct http_request *r)
{
    if (!r->connection || !r->suspended || !r->server)
        return;
    r->suspended = false;
    if (r->watching)
        uv_poll_stop(&r->watch);
    MHD_resume_connection(r->connection);
    uv_timer_start(&r->server->timer, on_timer, 0, 0);
}

/* A request's life */

static void watch_closed(uv_handle_t *handle_)
{
    free(handle_->data);
}

static void request_free(struct http_request *r)
{
    list_remove(&r->link);
    while (r->headers) {
        struct header *next = r->headers->next;
        free(r->headers->name);
        free(r->headers->value);
        free(r->headers);
        r->headers = next;
    }
    if (r->response)
        MHD_destroy_response(r->response);
    buffer_done(&r->body);
    buffer_done(&r->out);
    free(r->method);
    free(r->path);
    if (r->watching)
        uv_close((uv_handle_t *)&r->watch, watch_closed);
    else
        free(r);
}

static void run(void *arg)
{
    struct http_request *r = arg;
    static const char missing[] = "{\"message\":\"this request was not answered\"}";
    if (r->server)
        r->server->handler(r, r->server->context);
    if (!r->response && r->connection)
        http_answer(r, 500, "application/json", missing, sizeof missing - 1, NULL);
    r->out_ended = true;
    r->running = false;
    if (r->connection)
        http_resume(r);
    else
        request_free(r);
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode why)
{
    struct http_request *r = *state;
    (void)context, (void)connection, (void)why;
    if (!r)
        return;
    *state = NULL;
    r->connection = NULL;
    if (r->watching)
        uv_poll_stop(&r->watch); /* the descriptor is about to be closed */
    co_queue_wake_all(&r->wait);
    if (!r->running)
        request_free(r);
}

static struct http_request *request_new(struct http_server *h, struct MHD_Connection *connection,
                                        const char *method, const char *path)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    list_init(&r->link);
    list_append(&h->requests, &r->link);
    r->server = h;
    r->connection = connection;
    co_queue_init(&r->wait);
    r->method = strdup(method);
    r->path = strdup(path);
    if (!r->method || !r->path) {
        request_free(r);
        return NULL;
    }
    r->running = true;
    co_start(run, r);
    return r;
}

static enum MHD_Result queue_answer(struct http_request *r)
{
    r->queued = true;
    return MHD_queue_response(r->connection, r->status, r->response);
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    struct http_request *r = *state;
    (void)version;
    if (!r) {
        *state = request_new(context, connection, method, path);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*size) {
        /* what comes after the answer, or after the handler, is thrown away */
        if (!r->response && r->running) {
            if (buffer_append(&r->body, data, *size) < 0)
                return MHD_NO;
            http_suspend(r);
        }
        *size = 0;
        co_queue_wake_all(&r->wait);
        return MHD_YES;
    }
    r->body_ended = true;
    co_queue_wake_all(&r->wait);
    if (r->gone)
        return MHD_NO;
    if (r->response)
        return r->queued ? MHD_YES : queue_answer(r);
    http_suspend(r);
    return MHD_YES;
}

/* The server */

static void handle_closed(uv_handle_t *handle_)
{
    struct http_server *h = handle_->data;
    if (--h->handles == 0)
        free(h);
}

int http_server_new(struct http_server **ret, http_handler *handler, void *context,
                    struct error *err)
{
    struct http_server *h = calloc(1, sizeof *h);
    if (!h)
        return fail(err, ENOMEM, "start the HTTP server");
    list_init(&h->requests);
    h->handler = handler;
    h->context = context;
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL,
        NULL, handle, h, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(64 << 10), MHD_OPTION_NOTIFY_COMPLETED,
        completed, h, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    int r = info ? uv_poll_init(loop_uv(), &h->poll, info->epoll_fd) : -ENOMEM;
    if (r < 0) {
        if (h->daemon)
            MHD_stop_daemon(h->daemon);
        free(h);
        return fail(err, r, "start the HTTP server");
    }
    uv_timer_init(loop_uv(), &h->timer);
    h->poll.data = h->timer.data = h;
    h->handles = 2;
    uv_poll_start(&h->poll, UV_READABLE, on_ready);
    *ret = h;
    return 0;
}

void http_server_free(struct http_server *h)
{
    struct http_request *r;
    if (!h)
        return;
    /* libmicrohttpd cannot end what is suspended */
    list_each(r, &h->requests, link)
    {
        http_resume(r);
        r->server = NULL;
    }
    MHD_stop_daemon(h->daemon);
    while ((r = list_first(&h->requests, struct http_request, link)))
        list_remove(&r->link);
    uv_close((uv_handle_t *)&h->poll, handle_closed);
    uv_close((uv_handle_t *)&h->timer, handle_closed);
}

void http_server_take(struct http_server *h, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* closes the descriptor itself where it fails */
    if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&address, sizeof address) == MHD_YES)
        turn(h);
}
