/* SPDX-License-Identifier: Apache-2.0 */
/* container: from an OCI runtime spec to a running process, in two halves.
 *
 * recipe_build() is called where libraries are at hand (sandboxer, warren-runtime): it checks a
 * parsed spec and flattens it into a recipe, one relocatable, bounded, versioned block of bytes
 * that can be sent over a socket. container_clone() is called by who holds the container (keeper,
 * guest agent, warren-runtime): it reads no JSON, looks nothing up and links no library;
 * container_musl_sources in meson.build builds it static with musl. It clones a child that prepares
 * itself and waits:
 *
 *     struct container_child c;
 *     container_clone(recipe, &io, &c, &err);       the child makes its mounts, enters its cgroups,
 * drops its ids
 *     ... c.control readable: container_receive()   CONTAINER_READY, or CONTAINER_FAILED with the
 * child's whole error container_go(&c, &err);                       the child loads its seccomp
 * filter and calls exec
 *     ... c.control readable: container_receive()   CONTAINER_STARTED, or CONTAINER_FAILED
 *
 * The child is the caller's, in every case but a failed container_clone(): wait for it. A child
 * that failed exits with 127 where its program is not there, 126 where it cannot be executed, 125
 * otherwise. A child whose control descriptor is closed before container_go() ends by itself.
 *
 * Namespaces: one that the spec lists without a path is new, but where recipe_input.pod_namespaces
 * has it: that one is the caller's own, inherited at the clone. One with a path is joined. One that
 * the spec does not list is the caller's as well. The caller must hold the pod's net, ipc and uts
 * namespaces by being in them, and a shared pid namespace by unshare(CLONE_NEWPID), so that it is
 * its pid_for_children; its first child there is PID 1. User namespaces and time namespaces are
 * refused.
 *
 * User: process.user.username, where not empty, is looked up inside the rootfs (/etc/passwd,
 * /etc/group): "name", "uid", "name:group", "uid:gid", any mix; uid and gid are then taken from
 * there, and where no group was named the user's groups of /etc/group are added. Else uid and gid
 * stand as they are. HOME is set where env has none.
 *
 * Seccomp: linux.seccomp where the spec has it. Else the annotation "warren.seccomp": "default" is
 * the built-in profile, of docker's effect with the process' capabilities; "unconfined" or no
 * annotation is none.
 *
 * Security, for who holds containers: run from a sealed memfd (or a read-only bind), since a
 * process in a privileged container can reach its own /proc/self/exe for a moment before exec; the
 * child is not dumpable until then. No descriptor but 0, 1, 2 outlives exec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"

struct error;
struct oci_spec;
struct oci_process;
struct cgroup; /* linux/cgroup.h */
struct recipe; /* recipe.h: the block's layout */

enum {
    RECIPE_MAX = 8 << 20, /* bytes */
    CONTAINER_EXIT_FAILED = 125,
    CONTAINER_EXIT_CANNOT_EXECUTE = 126,
    CONTAINER_EXIT_NOT_FOUND = 127,
};

/* The sandboxer's half (build.c and its neighbours; json-c, libseccomp) */

/* What the container's root is: an overlay to be mounted by the child itself, or a directory. */
struct recipe_rootfs {
    char **lower;             /* NULL-terminated, the topmost first; NULL: not an overlay */
    const char *upper, *work; /* NULL, both: the overlay is read-only */
    const char *dir;          /* the directory, where it is no overlay */
    bool readonly;            /* beside the spec's root.readonly */
    bool unsynced;            /* overlay's volatile: its end does not wait for the whole disk to be
                                 synced; the upper directory is then good for one mount */
};

/* From a mount as it travels in Task.Create (containerd.types.Mount): type overlay (options
 * lowerdir=A:B, with \: for a colon, lowerdir+=A any number of times, upperdir=, workdir=, ro, volatile) or
 * bind (source). *ret and its strings live in a. */
int recipe_rootfs_parse(const char *type, const char *source, char *const *options, struct arena *a,
                        struct recipe_rootfs *ret, struct error *err);

struct recipe_input {
    const struct oci_spec *spec;
    const struct recipe_rootfs *rootfs; /* NULL: spec.root.path, which must then be absolute */
    unsigned pod_namespaces; /* CLONE_NEW*: those that the caller of container_clone() holds for its
                                pod */
    const struct cgroup *cgroup; /* made already (linux/cgroup.h); NULL: the caller's own cgroups */
    bool die_with_parent;        /* SIGKILL when the thread that called container_clone() ends */
};

/* Appends the recipe of a container to out. What the machine refuses and a container can do without
 * (a capability that we lack ourselves, ...) is told in warnings, one line each; NULL: not of
 * interest. -EINVAL names the place in the spec. */
int recipe_build(const struct recipe_input *in, struct buffer *out, struct buffer *warnings,
                 struct error *err);

/* The recipe of one more process in a running container: namespaces, rootfs and mounts are those of
 * the process that container_clone() is given. in->spec is the container's spec (for its seccomp),
 * in->cgroup the container's. */
int recipe_build_exec(const struct oci_process *process, const struct recipe_input *in,
                      struct buffer *out, struct buffer *warnings, struct error *err);

/* The keeper's half (run.c and its neighbours; no library, no heap in the parent) */

/* Checks a block from outside: version, every offset, every string. *ret points into data (aligned
 * to 8), which the caller keeps as long as it is used. -EINVAL, -EPROTO for another version. */
int recipe_open(const void *data, size_t len, const struct recipe **ret, struct error *err);
/* Whether the process wants a terminal, and whether it is an exec. */
bool recipe_terminal(const struct recipe *r);
bool recipe_is_exec(const struct recipe *r);

struct container_io {
    int in, out,
        err; /* the child's ends, for the caller to close; -1: /dev/null. Unused with a terminal */
    int target; /* of an exec: a pidfd of the container's first process; else -1 */
};

struct container_child {
    pid_t pid; /* in the caller's pid namespace */
    int pidfd;
    int control; /* a SOCK_SEQPACKET socket: poll it, call container_receive() */
    bool gone_on;
};

/* Must be called by a process of one thread. On success *ret is the caller's:
 * container_child_done() and wait for pid. Never waits. -errno where no child came to be. */
int container_clone(const struct recipe *r, const struct container_io *io,
                    struct container_child *ret, struct error *err);
/* Closes the descriptors; a child that has not been told to go on ends. */
void container_child_done(struct container_child *c);

enum container_event {
    CONTAINER_NOTHING, /* nothing to read yet */
    CONTAINER_WARNING, /* err has the text; the child goes on */
    CONTAINER_READY,   /* *ret_terminal: the terminal's controlling side, non-blocking, owned by the
                          caller; or -1 */
    CONTAINER_FAILED,  /* err has what failed; the child exits */
    CONTAINER_STARTED, /* exec has happened */
    CONTAINER_ENDED,   /* it was killed before it was ready; err says so */
};
/* One event; never waits. After FAILED, STARTED and ENDED the control descriptor is of no more use.
 */
enum container_event container_receive(struct container_child *c, int *ret_terminal,
                                       struct error *err);
/* Lets a ready child execute its program. */
int container_go(struct container_child *c, struct error *err);
