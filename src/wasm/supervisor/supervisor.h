/* SPDX-License-Identifier: Apache-2.0 */
/* Between the supervisor's files. Loop's thread. */
#pragma once

#include "wasm/supervisor/link.h"
#include "wasm/supervisor/listen.h"
#include "wasm/supervisor/program.h"
#include "wasm/wasm.h"

struct cache;
struct known;
struct opaque;
struct tmpfs;
struct wire_create;
struct wire_files;
struct vfs;
struct Runtime__V1__PodSandboxConfig;

struct wasm {
    struct wasm_options options; /* its strings are ours */
    struct program program;
    struct cache *cache;
    struct known *known;
    struct opaque *opaque;
    struct tmpfs *tmpfs;
    struct list holders;
    int sockets; /* DIR/w */
    unsigned serial;
    struct sandboxer *sandboxer; /* set by recover() */
};

/* A worker as the supervisor knows it. */
struct holder {
    struct list link; /* wasm.holders */
    struct wasm *wasm;
    struct link *connection; /* NULL until HELLO is under way */
    struct link *files;      /* to its files process; as long */
    char *key;
    char *name; /* of its socket in DIR/w */
    pid_t pid;
    struct list pods;
    unsigned pod_count; /* placed, or about to be */
    struct co_queue ready;
    struct list giving; /* modules that are being handed to it: once() */
    bool starting, retiring, dead;
    bool recovering; /* tells what it holds, */
    size_t told;     /* so many bytes by now */
    unsigned users;  /* coroutines that hold a pointer */
    uv_timer_t *idle;
};

/* What the technique keeps of a sandbox. */
struct pod {
    struct list link;      /* holder.pods */
    struct holder *holder; /* NULL: not started, or its worker has ended */
    struct sandbox *sandbox;
};

/* holders.c, holder.c */
/* The worker for this pod, described so (NULL: not at all): one of its tenant that has room, or a new one. The pod counts as placed on it;
 * -errno: it is not. */
int holder_place(struct wasm *w, struct pod *pod,
                 const struct Runtime__V1__PodSandboxConfig *config, struct error *err);
/* The pod is not on its worker any more. An empty worker is told to end after a while. */
void holder_leave(struct pod *pod);
/* Connects to the workers that DIR/w has sockets of, and adopts what they hold. */
int holders_recover(struct wasm *w, struct error *err);
void holders_free(struct wasm *w);
/* Gives up a use (holder.users) that kept the holder, be it dead, from being freed. */
void holder_release(struct holder *h);

/* One request about an id with up to one number. */
int holder_ask(struct holder *h, enum wire_type type, const char *id, int64_t number,
               struct link_reply *reply, struct error *err);

/* files.c: all park, and return -ENOTCONN where the worker has ended. A container is a number that files_add() gives. */
int files_add(struct holder *h, const struct wire_files *files, uint64_t *ret_number,
              struct error *err);
/* 0 is of no container. */
int files_remove(struct holder *h, uint64_t number, struct error *err);
int files_reopen(struct holder *h, uint64_t number, struct error *err);
/* Removes what none of the holder's containers is. */
int files_keep_held(struct holder *h, struct error *err);
/* A process' number lies in its technique pointer, with a mark beside it: "told of this stop". */
static inline uint64_t files_number(const struct process *p)
{
    return (uintptr_t)p->technique >> 1;
}
static inline bool process_is_marked(const struct process *p)
{
    return (uintptr_t)p->technique & 1;
}
static inline void process_set(struct process *p, uint64_t number, bool marked)
{
    p->technique = (void *)(uintptr_t)(number << 1 | marked);
}

/* technique.c */
/* The worker of the process's pod; -ESRCH where it has ended. */
int holder_of(const struct process *p, struct holder **ret, struct error *err);
struct prepared;
/* Hands the process to its worker, which has the module. */
int send_create(struct process *p, const struct prepared *prepared, struct error *err);
/* The same, and the module where the worker has it not. The files process knows the process by now. */
int make_in_worker(struct wasm *w, struct process *p, struct prepared *prepared, struct error *err);

/* exec.c: create() of an exec. */
int exec_make(struct wasm *w, struct process *p, const struct buffer *record, struct error *err);

/* container.c */
/* Which there are: WIRE_IN_FIFO and so on. */
unsigned container_streams(const struct wire_files *f);
struct prepared { /* arena: what create and files point to */
    struct arena arena;
    struct wire_create *create;
    struct wire_files *files;
    int module; /* the module's file, open, or -1 where it was known without */
    const char *cwd;
    bool layered; /* the rootfs is an overlay: its lower directories do not change */
    struct listening listening;
};
void prepared_done(struct prepared *p);
CLEANUP_DONE(prepared, struct prepared);
/* Opens the module where it is not. */
int container_open_module(struct prepared *p, struct error *err);
/* From the process' spec and rootfs to what the worker needs; *ret is initialised first. Parks. */
int container_prepare(struct wasm *w, const struct process *p, const struct buffer *record,
                      struct prepared *ret, struct error *err);
