/* SPDX-License-Identifier: Apache-2.0 */
/* poll and not epoll: a pod has a handful of descriptors, and poll keeps no kernel memory while it sleeps. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "namespace/keeper.h"

static struct list watches = LIST_INIT(watches);
static struct pollfd *polled;
static struct watch **owners; /* of polled, NULL where it has ended meanwhile */
static unsigned polled_size, polled_count;
static volatile sig_atomic_t children;

void watch_begin(struct watch *w, int fd, short events, void (*ready)(struct watch *, short))
{
    *w = (struct watch){.fd = fd, .events = events, .ready = ready, .slot = UINT32_MAX};
    list_init(&w->link);
    list_append(&watches, &w->link);
}

int watch_release(struct watch *w)
{
    if (w->fd < 0)
        return -1;
    list_remove(&w->link);
    if (w->slot < polled_count && owners[w->slot] == w)
        owners[w->slot] = NULL;
    return take_fd(&w->fd);
}

void watch_end(struct watch *w)
{
    int fd = watch_release(w);
    if (fd >= 0)
        close(fd);
}

static void child_ended(int signal)
{
    (void)signal;
    children = 1;
}

static bool grow(unsigned count)
{
    if (count <= polled_size)
        return true;
    struct pollfd *p = realloc(polled, count * 2 * sizeof *p);
    if (p)
        polled = p;
    struct watch **o = realloc(owners, count * 2 * sizeof *o);
    if (o)
        owners = o;
    if (!p || !o)
        return false;
    polled_size = count * 2;
    return true;
}

static void gather(void)
{
    unsigned count = 0;
    struct watch *w;
    list_each(w, &watches, link) count++;
    if (!grow(count)) /* those that fit are served; they end, and there is room */
        count = polled_size;
    polled_count = 0;
    list_each(w, &watches, link)
    {
        w->slot = UINT32_MAX;
        if (!w->events || polled_count == count)
            continue;
        w->slot = polled_count++;
        polled[w->slot] = (struct pollfd){.fd = w->fd, .events = w->events};
        owners[w->slot] = w;
    }
}

void keeper_loop(const bool *leave, void (*reap)(void))
{
    sigset_t sigchld, open;
    sigemptyset(&open);
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sigchld, NULL);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = child_ended}, NULL);
    children = 1; /* what ended before the handler was there */
    while (!*leave) {
        gather();
        struct timespec none = {0};
        int n = ppoll(polled, polled_count, children ? &none : NULL, &open);
        for (unsigned i = 0; n > 0 && i < polled_count; i++)
            if (polled[i].revents && owners[i])
                owners[i]->ready(owners[i], polled[i].revents);
        if (children) {
            children = 0;
            reap();
        }
    }
}
