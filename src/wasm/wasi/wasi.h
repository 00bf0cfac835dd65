/* SPDX-License-Identifier: Apache-2.0 */
/* WASI preview 1 for guests: Warren's own host code, since none of the C API's lets a call park its fiber.
 *
 * A host call is a function from struct wasi_call to a WASI errno. One that has to wait fills the guest's wait and returns
 * WASI_PARK; it is called again, with resumed set, when that is over. It runs on the guest's fiber, whose stack stays
 * resident: large buffers go elsewhere. Pointers into guest memory are good until it returns.
 *
 * Source: the published witx of wasi_snapshot_preview1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wasm/worker/console.h"

struct error;
struct guest;
struct wasmtime_linker;

enum wasi_errno {
    WASI_SUCCESS = 0,
    WASI_ACCES = 2,
    WASI_AGAIN = 6,
    WASI_BADF = 8,
    WASI_BUSY = 10,
    WASI_EXIST = 20,
    WASI_FAULT = 21,
    WASI_CONNABORTED = 13,
    WASI_CONNRESET = 15,
    WASI_FBIG = 22,
    WASI_ILSEQ = 25,
    WASI_INTR = 27,
    WASI_INVAL = 28,
    WASI_IO = 29,
    WASI_ISDIR = 31,
    WASI_LOOP = 32,
    WASI_MFILE = 33,
    WASI_MLINK = 34,
    WASI_NAMETOOLONG = 37,
    WASI_NOENT = 44,
    WASI_NOMEM = 48,
    WASI_NOSPC = 51,
    WASI_NOSYS = 52,
    WASI_NOTDIR = 54,
    WASI_NOTEMPTY = 55,
    WASI_NOTSOCK = 57,
    WASI_NOTSUP = 58,
    WASI_NOTCONN = 53,
    WASI_NXIO = 60,
    WASI_OVERFLOW = 61,
    WASI_PERM = 63,
    WASI_PIPE = 64,
    WASI_ROFS = 69,
    WASI_SPIPE = 70,
    WASI_TIMEDOUT = 73,
    WASI_XDEV = 75,
    WASI_NOTCAPABLE = 76,
};
#define WASI_PARK UINT32_MAX

enum { WASI_ARGS_MAX = 10, WASI_IOV_MAX = 1024 };

struct wasi_call {
    struct guest *guest;
    uint8_t *memory; /* the guest's, size bytes */
    size_t size;
    uint64_t args[WASI_ARGS_MAX];
    bool resumed;
};

/* NUL-terminated strings one after the other, as args_get and environ_get want them. */
struct wasi_strings {
    char *data;
    uint32_t len, count;
};

/* What reading and writing waits for. */
enum wasi_waiting { WASI_WAITS_NEVER, WASI_WAITS_FOR_DISK, WASI_WAITS_FOR_PEER };

enum wasi_fd_kind {
    WASI_FD_FREE,
    WASI_FD_CONSOLE,
    WASI_FD_DIR,
    WASI_FD_FILE,
    WASI_FD_SOCKET,   /* connected */
    WASI_FD_LISTENER, /* listening */
};

struct wasi_fd {
    uint8_t kind; /* enum wasi_fd_kind */
    uint8_t filetype;
    uint16_t flags; /* WASI fdflags */
    bool preopen;
    uint8_t waits; /* enum wasi_waiting, of a file */
    int fd;        /* of a file or socket; -1 else. Non-blocking where it waits for a peer */
    uint64_t rights, inheriting;
    char *path;                   /* of a directory: absolute, in the container; malloced */
    struct wasi_listing *listing; /* where fd_readdir is */
};

struct wasi {
    struct wasi_strings args, env;
    struct wasi_fd *fds;
    uint32_t fd_count;
    uint64_t files; /* the container's number in the files process */
    struct console console;
};

/* Listening sockets, before wasi_init(); taken over one after the other: *taken says how many were. */
int wasi_listen(struct wasi *w, const int *fds, unsigned count, unsigned *taken, struct error *err);
/* Descriptors 0 to 2 and the preopens, which are directories of the container's tree, the root ("") first. */
int wasi_init(struct wasi *w, char *const *preopens, struct error *err);
/* Closes the guest's descriptors: it has ended. */
void wasi_end(struct wasi *w);
void wasi_done(struct wasi *w);

/* Defines all 46 functions in l. */
int wasi_define(struct wasmtime_linker *l, struct error *err);

uint32_t wasi_errno_of(int code); /* of a positive or negative errno */

/* The guest's bytes [at, at + len), NULL where they are not all its memory. */
static inline void *wasi_bytes(const struct wasi_call *c, uint64_t at, uint64_t len)
{
    at = (uint32_t)at;
    return at <= c->size && len <= c->size - at ? c->memory + at : NULL;
}
/* Store a little-endian number; WASI_FAULT outside. */
uint32_t wasi_store32(const struct wasi_call *c, uint64_t at, uint32_t value);
uint32_t wasi_store64(const struct wasi_call *c, uint64_t at, uint64_t value);
/* The descriptor, with these rights, of this kind (WASI_FD_FREE: any); NULL with *ret_errno else. */
struct wasi_fd *wasi_fd_get(const struct wasi_call *c, uint64_t fd, enum wasi_fd_kind kind,
                            uint64_t rights, uint32_t *ret_errno);
/* A free descriptor's number, or -WASI_*. The table may move. */
int wasi_fd_new(struct wasi *w, uint32_t *ret);

struct iovec;
/* Reads the guest's vector of buffers into v, at most WASI_IOV_MAX; the count, or -WASI_*. */
int wasi_iovec(const struct wasi_call *c, uint64_t at, uint64_t count, struct iovec *v);

/* One function of a module's imports. */
typedef uint32_t wasi_function(struct wasi_call *c);
struct wasi_entry {
    const char *name;
    const char *params; /* a letter each: i for i32, l for i64 */
    wasi_function *fn;
    bool parks;
    bool ends; /* no result: its call ends the guest */
};
extern const struct wasi_entry wasi_process_entries[], wasi_fd_entries[], wasi_path_entries[],
    wasi_poll_entries[], wasi_sock_entries[]; /* each ends with a NULL name */
