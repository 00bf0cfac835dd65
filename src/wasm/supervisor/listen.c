/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "oci/spec.h"
#include "wasm/files/vfs.h"

void listening_done(struct listening *l)
{
    for (unsigned i = 0; i < l->count; i++)
        close(l->fds[i]);
    l->count = 0;
}

struct opening {
    const struct oci_spec *spec;
    const char *netns; /* NULL: the host's */
    char **addresses;
    struct listening *ret;
    struct error *err;
    int result;
};

static int bad(const char *address, const char *why, struct error *err)
{
    return fail_plain(err, EINVAL,
                      "annotation " ANNOTATION_LISTEN
                      ": '%.128s' %s (expected tcp://HOST:PORT or unix://PATH)",
                      address, why);
}

static int failed(const char *address, int code, struct error *err)
{
    return fail(err, code, "annotation " ANNOTATION_LISTEN ": listen on '%.128s'", address);
}

/* TCP */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int parse_tcp(const char *address, const char *text, union address *a, bool *ret_both,
                     struct error *err)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    char host[INET6_ADDRSTRLEN + 2] = "";
    *a = (union address){0};
    *ret_both = colon == text;
    if (!colon || str_parse_int(colon + 1, 1, UINT16_MAX, &port) < 0)
        return bad(address, "has no port of 1 to 65535", err);
    size_t len = (size_t)(colon - text);
    if (len >= sizeof host)
        return bad(address, "is no address", err);
    memcpy(host, text, len);
    bool brackets = len > 1 && host[0] == '[' && host[len - 1] == ']';
    if (brackets)
        host[len - 1] = 0;
    if (*ret_both || (brackets && inet_pton(AF_INET6, host + 1, &a->v6.sin6_addr) == 1)) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons((uint16_t)port);
        return 0;
    }
    if (inet_pton(AF_INET, host, &a->v4.sin_addr) != 1)
        return bad(address, "is no address", err);
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons((uint16_t)port);
    return 0;
}

static int open_tcp(const char *address, const char *text, int *ret, struct error *err)
{
    union address a;
    bool both;
    const int on = 1;
    int r = parse_tcp(address, text, &a, &both, err);
    if (r < 0)
        return r;
    const int v6_only = !both;
    autoclose int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && both && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = a.v6.sin6_port};
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    bool six = a.any.sa_family == AF_INET6;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) < 0) ||
        bind(fd, &a.any, six ? sizeof a.v6 : sizeof a.v4) < 0 || listen(fd, SOMAXCONN) < 0)
        return failed(address, errno, err);
    *ret = take_fd(&fd);
    return 0;
}

/* Unix: the path is the container's, and lies on a volume, since the rootfs is nobody's but its own. */

static const struct oci_mount *volume_of(const struct oci_spec *spec, const char *path,
                                         const char **ret_below)
{
    const struct oci_mount *best = NULL;
    for (size_t i = 0; i < spec->mounts_count; i++) {
        const struct oci_mount *m = &spec->mounts[i];
        const char *below = str_after(path, str_or_empty(m->destination));
        if (!below || *below != '/' || (best && strlen(m->destination) < strlen(best->destination)))
            continue;
        best = m;
        *ret_below = below + strspn(below, "/");
    }
    return best;
}

static bool can_be_written(const struct oci_mount *m)
{
    bool bind = str_eq(str_or_empty(m->type), "bind");
    for (char **o = m->options; o && *o; o++) {
        bind |= str_eq(*o, "bind") || str_eq(*o, "rbind");
        if (str_eq(*o, "ro") || str_eq(*o, "rro"))
            return false;
    }
    return bind && !str_empty(m->source);
}

/* A socket that nobody listens on any more is in the way of the next one. */
static int bind_in(int fd, int dir, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%.80s", dir, name);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return 0;
    if (errno != EADDRINUSE || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    autoclose int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (other < 0 || connect(other, (struct sockaddr *)&a, sizeof a) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    unlinkat(dir, name, 0);
    return bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
}

static int open_unix(const struct opening *o, const char *address, const char *path, int *ret,
                     struct error *err)
{
    const char *below = NULL;
    const struct oci_mount *m = volume_of(o->spec, path, &below);
    if (!m || !can_be_written(m))
        return bad(address, "is on no volume of the container that can be written to", err);
    const char *slash = strrchr(below, '/'), *name = slash ? slash + 1 : below;
    if (!*name || str_eq(name, ".") || str_eq(name, "..") || strlen(name) > 80)
        return bad(address, "ends with no name of 1 to 80 bytes", err);
    autofree char *parent = slash ? strndup(below, (size_t)(slash - below)) : strdup(".");
    autoclose int volume = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!parent || volume < 0)
        return failed(address, parent ? errno : ENOMEM, err);
    autoclose int dir = vfs_open_at(volume, parent, O_PATH | O_DIRECTORY, 0);
    autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (dir < 0 || fd < 0)
        return failed(address, dir < 0 ? -dir : errno, err);
    int r = bind_in(fd, dir, name);
    if (r < 0 || listen(fd, SOMAXCONN) < 0)
        return failed(address, r < 0 ? -r : errno, err);
    *ret = take_fd(&fd);
    return 0;
}

/* All, on a thread that ends after it: the network namespace is the thread's. */
static void *open_all(void *arg)
{
    struct opening *o = arg;
    int r = 0;
    if (o->netns) {
        autoclose int netns = open(o->netns, O_RDONLY | O_CLOEXEC);
        if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
            r = fail(o->err, errno, "enter the pod's network '%s'", o->netns);
    }
    for (char **a = o->addresses; !r && *a; a++) {
        int *fd = &o->ret->fds[o->ret->count];
        const char *rest;
        if ((rest = str_after(*a, "tcp://")))
            r = open_tcp(*a, rest, fd, o->err);
        else if ((rest = str_after(*a, "unix://")))
            r = open_unix(o, *a, rest, fd, o->err);
        else
            r = bad(*a, "is no address", o->err);
        o->ret->count += r == 0;
    }
    o->result = r;
    return NULL;
}

static int open_in_pool(void *arg, struct error *err)
{
    struct opening *o = arg;
    pthread_t thread;
    o->err = err;
    int r = pthread_create(&thread, NULL, open_all, o);
    if (r)
        return fail(err, r, "start a thread");
    pthread_join(thread, NULL);
    return o->result;
}

/* -ENONET where the pod is not on the host's network and has no namespace yet. */
static int network_of(const struct oci_spec *spec, const char *netns, const char **ret,
                      struct error *err)
{
    *ret = *netns ? netns : NULL;
    if (*ret || !spec->linux_)
        return 0;
    for (size_t i = 0; i < spec->linux_->namespaces_count; i++) {
        const struct oci_namespace *n = &spec->linux_->namespaces[i];
        if (!str_eq(n->type, "network"))
            continue;
        *ret = str_empty(n->path) ? NULL : n->path;
        return *ret ? 0
                    : fail_plain(err, ENONET,
                                 "annotation " ANNOTATION_LISTEN
                                 ": the pod has no network: let it use the host's "
                                 "(namespace_options.network NODE)");
    }
    return 0;
}

int listen_open(const struct oci_spec *spec, const char *netns, struct listening *ret,
                struct error *err)
{
    const char *text = oci_annotation(spec, ANNOTATION_LISTEN);
    struct opening o = {.spec = spec, .ret = ret};
    if (!text)
        return 0;
    auto(strv) char **addresses = str_split(text, ",");
    if (!addresses)
        return fail(err, ENOMEM, "listen for a container");
    if (strv_len(addresses) < 1 || strv_len(addresses) > WIRE_SOCKETS_MAX)
        return fail_plain(err, EINVAL,
                          "annotation " ANNOTATION_LISTEN ": expected 1 to %d addresses, found %zu",
                          WIRE_SOCKETS_MAX, strv_len(addresses));
    o.addresses = addresses;
    int r = network_of(spec, netns, &o.netns, err);
    return r < 0 ? r : co_pool(open_in_pool, &o, err);
}
