/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: chosen, let go, found again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "sandbox/server.h"
#include "wasm/supervisor/holder.h"

/* Placing */

static struct holder *choose(struct wasm *w, const char *key)
{
    struct holder *h, *best = NULL;
    list_each(h, &w->holders, link) if (str_eq(h->key, key) && !h->retiring &&
                                        h->pod_count < w->options.pods_per_worker &&
                                        (!best || h->pod_count < best->pod_count)) best = h;
    return best;
}

static int start_new(struct wasm *w, const char *key, struct holder **ret, struct error *err)
{
    autofree char *name = str_format("%d.%u", getpid(), ++w->serial);
    struct holder *h = name ? holder_new(w, key, name) : NULL;
    if (!h)
        return fail(err, ENOMEM, "start a worker");
    h->starting = true;
    h->users++;
    h->pod_count++;
    int r = holder_start(w, h, err);
    h->starting = false;
    co_queue_wake_all(&h->ready);
    if (r < 0 && !h->dead)
        holder_died(h);
    if (r < 0) {
        holder_release(h);
        return fail_in(err, r, "start a worker for '%s' (%s/workers.log has its messages)", key,
                       w->options.dir);
    }
    *ret = h;
    return 0;
}

static char *key_of(const struct wasm *w, const struct sandbox *sb,
                    const Runtime__V1__PodSandboxConfig *config)
{
    if (w->options.tenant == WASM_BY_NODE)
        return strdup("node");
    if (w->options.tenant == WASM_BY_POD)
        return str_format("pod/%s", sb->id);
    return str_format("namespace/%.253s",
                      config && config->metadata ? str_or_empty(config->metadata->namespace_) : "");
}

int holder_place(struct wasm *w, struct pod *pod, const Runtime__V1__PodSandboxConfig *config,
                 struct error *err)
{
    autofree char *key = key_of(w, pod->sandbox, config);
    if (!key)
        return fail(err, ENOMEM, "place the pod");
    struct holder *h = choose(w, key);
    int r = 0;
    if (!h) {
        r = start_new(w, key, &h, err);
    } else {
        h->users++;
        h->pod_count++;
        uv_timer_stop(h->idle);
        while (h->starting)
            co_queue_wait(&h->ready, INT64_MAX);
        if (h->dead)
            r = fail_plain(err, ENOTCONN, "the worker for '%s' has ended", key);
        if (r < 0)
            holder_release(h);
    }
    if (r < 0)
        return r;
    pod->holder = h;
    list_append(&h->pods, &pod->link);
    holder_release(h);
    return 0;
}

void holder_leave(struct pod *pod)
{
    struct holder *h = pod->holder;
    list_remove(&pod->link);
    pod->holder = NULL;
    if (h && --h->pod_count == 0)
        holder_idle(h);
}

/* Finding again */

static void recover_one(struct wasm *w, const char *name)
{
    struct error err = {0};
    struct holder *h = holder_new(w, "", name);
    if (!h)
        return;
    h->users++;
    h->recovering = true;
    int r = holder_recall_key(h, &err);
    if (!r)
        r = holder_connect(h, &err);
    if (!r)
        r = holder_say_hello(h, &err);
    h->recovering = false;
    if (!r)
        r = files_keep_held(h, &err);
    if (r < 0) {
        if (r != -ECONNREFUSED) /* else only a socket is left */
            diag_warning("worker '%s' is not taken over: %s", name, err.message);
        if (r == -EPROTO)
            h->name[0] = 0; /* it goes on, and so does its socket */
        if (!h->dead)
            holder_died(h);
    } else if (!h->pod_count) {
        holder_idle(h);
    }
    holder_release(h);
}

int holders_recover(struct wasm *w, struct error *err)
{
    auto(strv) char **names = NULL;
    int fd = openat(w->sockets, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return fail(err, errno, "read '%s/w'", w->options.dir);
    int r = 0;
    for (struct dirent *e; !r && (e = readdir(d));)
        if (e->d_name[0] != '.' && !str_ends(e->d_name, ".f") && !str_ends(e->d_name, ".k"))
            r = strv_add(&names, e->d_name);
    closedir(d);
    for (char **name = names; !r && name && *name; name++)
        recover_one(w, *name);
    return r < 0 ? fail(err, r, "find the workers") : 0;
}

void holders_free(struct wasm *w)
{
    struct holder *h;
    list_each(h, &w->holders, link)
    {
        list_remove(&h->link);
        struct pod *pod;
        list_each(pod, &h->pods, link)
        {
            list_remove(&pod->link);
            free(pod); /* the table that points to it is gone, or of no use without us */
        }
        h->dead = true;
        holder_free(h);
    }
}
