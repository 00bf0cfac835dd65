/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/warren/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "docker/messages.h"
#include "image/json.h"

enum { COLLECTED_MAX = 64 << 20, ERROR_MAX = 1 << 20 };

struct exchange {
    CURL *curl;
    struct client_call *call;
    struct buffer error; /* the body of a status of 400 and above */
    bool aborted;        /* by the call's own functions */
};

static size_t on_read(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    ssize_t n = x->call->read(x->call->arg, data, size * count);
    x->aborted = n < 0;
    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400)
        return x->error.len > ERROR_MAX || buffer_append(&x->error, data, len) < 0 ? 0 : len;
    if (!x->call->write)
        return x->call->answer.len > COLLECTED_MAX || buffer_append(&x->call->answer, data, len) < 0
                   ? 0
                   : len;
    x->aborted = x->call->write(x->call->arg, data, len) != 0;
    return x->aborted ? 0 : len;
}

static int engine_error(long status, const struct buffer *body, struct error *err)
{
    auto(json) json_object *o = NULL;
    const char *message = NULL;
    if (json_parse("the answer", buffer_text(body), body->len, &o, NULL) == 0)
        message = error_read(o);
    if (!message)
        return fail_plain(err, EPROTO, "the engine answered with status %ld", status);
    return fail_plain(err, status == 404 ? ENOENT : EINVAL, "Error response from daemon: %s",
                      message);
}

static int transport_error(const char *host, CURLcode code, const struct exchange *x,
                           struct error *err)
{
    if (x->aborted)
        return -ECANCELED;
    if (code == CURLE_COULDNT_CONNECT)
        return fail_plain(err, ECONNREFUSED,
                          "Cannot connect to the Warren engine at %s. Is it running? Start it with "
                          "'warrend', or say where it is with -H unix://PATH or WARREN_HOST",
                          host);
    return fail_plain(err, EIO, "talk to the engine at %s: %s", host, curl_easy_strerror(code));
}

static int prepare(struct exchange *x, const char *socket, const char *url,
                   struct curl_slist *headers)
{
    CURL *c = x->curl;
    const struct client_call *call = x->call;
    bool ok = curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOPROXY, "*") == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_WRITEDATA, x) == CURLE_OK &&
              curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
    if (ok && call->read)
        ok = curl_easy_setopt(c, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
             curl_easy_setopt(c, CURLOPT_READDATA, x) == CURLE_OK;
    else if (ok && str_eq(call->method, "POST"))
        ok = curl_easy_setopt(c, CURLOPT_POSTFIELDS, "") == CURLE_OK;
    return ok && curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK ? 0 : -EINVAL;
}

static int perform(const char *host, const char *socket, struct exchange *x,
                   struct curl_slist *headers, struct error *err)
{
    autofree char *url = str_format("http://warren%s", x->call->path);
    if (!url || prepare(x, socket, url, headers) < 0)
        return fail_plain(err, EINVAL, "'%s' cannot be used as the engine's socket", host);
    CURLcode code = curl_easy_perform(x->curl);
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    /* an engine that refuses a body may answer before it has read all of it */
    if (status >= 400 && (code == CURLE_OK || x->error.len))
        return engine_error(status, &x->error, err);
    return code == CURLE_OK ? 0 : transport_error(host, code, x, err);
}

int client_do(const char *host, struct client_call *call, struct error *err)
{
    const char *socket = str_after(host, "unix://");
    if (!socket || *socket != '/')
        return fail_plain(err, EINVAL, "host '%s': only unix:///PATH is supported", host);
    struct exchange x = {.curl = curl_easy_init(), .call = call};
    struct curl_slist *headers =
        curl_slist_append(NULL, "Expect:"); /* the engine never refuses early */
    autofree char *type =
        call->content_type ? str_format("Content-Type: %s", call->content_type) : NULL;
    if (type)
        headers = curl_slist_append(headers, type);
    int r = x.curl && headers ? perform(host, socket, &x, headers, err)
                              : fail(err, ENOMEM, "talk to the engine");
    curl_slist_free_all(headers);
    curl_easy_cleanup(x.curl);
    buffer_done(&x.error);
    return r;
}

int client_json(const char *host, const char *method, const char *path, json_object **ret,
                struct error *err)
{
    struct client_call call = {.method = method, .path = path};
    int r = client_do(host, &call, err);
    *ret = NULL;
    if (!r && call.answer.len)
        r = json_parse("the engine's answer", call.answer.data, call.answer.len, ret, err);
    buffer_done(&call.answer);
    return r;
}

static int escape(struct buffer *out, const char *text, const char *keep)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("-._~", *text) || strchr(keep, *text);
        int r = plain ? buffer_append(out, text, 1)
                      : buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        if (r < 0)
            return r;
    }
    return 0;
}

int query_add(struct buffer *path, const char *name, const char *value)
{
    int r = buffer_printf(path, "%c%s=", strchr(buffer_text(path), '?') ? '&' : '?', name);
    return r < 0 ? r : escape(path, value, "");
}

char *path_escape(const char *text)
{
    auto(buffer) struct buffer out = {0};
    return escape(&out, text, "/:@") < 0 ? NULL : buffer_take_text(&out);
}
