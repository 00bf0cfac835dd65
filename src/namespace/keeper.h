/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's own parts: a pod's one resident process (src/cmd/warren-keeper). Static, musl, no library.
 *
 * Model: one thread, one poll(2) loop. What waits is a struct watch; whoever owns it gets called. Nothing but a log file's disk is
 * ever waited for in place: FIFOs and attaches that do not take what they are given hold up their own container's pipe, and no other.
 *
 * struct kept is a container or an exec. It is there from its WIRE_CREATE until its WIRE_REMOVE, so that whoever comes
 * later still learns how it ended. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/list.h"
#include "container/container.h"
#include "log/log.h"
#include "namespace/wire.h"

struct error;

/* Keeper_loop.c */

struct watch {
    int fd;       /* -1: unused */
    short events; /* 0: not looked at, not even for its end */
    void (*ready)(struct watch *w, short revents);
    unsigned slot; /* the loop's */
    struct list link;
};
/* fd is the watch's from then on. */
void watch_begin(struct watch *w, int fd, short events,
                 void (*ready)(struct watch *w, short revents));
/* Closes fd; harmless on one that was never begun or has ended (fd -1). */
void watch_end(struct watch *w);
/* As watch_end, but the descriptor is the caller's. */
int watch_release(struct watch *w);
/* Runs until *leave. reap is called after children have ended. */
void keeper_loop(const bool *leave, void (*reap)(void));

/* Keeper_stdio.c */

struct stdio;
struct output { /* what the container writes: its stdout, its stderr, or its terminal (as stdout) */
    struct stdio *io;
    struct watch source;
    enum log_stream stream;
    struct log_writer *log; /* one of io->logs, or NULL */
    struct watch fifo;
    struct buffer unsent; /* what the FIFO has not taken yet */
};
struct input { /* what the container reads */
    struct stdio *io;
    struct watch to;
    struct watch fifo;
    struct buffer unsent;
    bool once, ending; /* ending: closed as soon as unsent is empty */
};
struct stdio {
    struct output out[2];
    struct input in;
    struct log_writer logs[2];
    struct list attaches; /* struct attach.link */
    bool terminal;
};

void stdio_init(struct stdio *io, bool terminal);
/* Opens what the addresses say and makes the child's ends (for the caller to close; -1 where it has none). */
int stdio_open(struct stdio *io, const struct wire_create *c, struct container_io *ret_child,
               struct error *err);
/* With a terminal: its controlling side, once the child has made it; taken over. */
void stdio_terminal(struct stdio *io, int fd);
/* The process has ended: takes what it had written, as far as that can be had without waiting. */
void stdio_drain(struct stdio *io);
void stdio_done(struct stdio *io);
int stdio_resize(struct stdio *io, uint32_t columns, uint32_t rows, struct error *err);
void stdio_close_input(struct stdio *io);
int stdio_reopen_log(struct stdio *io, struct error *err);

bool input_full(const struct input *in);
/* Gives data to the container's stdin; the rest that it does not take is kept, see input_full(). */
void input_write(struct input *in, const void *data, size_t len);
/* Reads on after a slow reader has caught up. */
void outputs_resume(struct stdio *io);
/* Whether nothing more will come. */
bool outputs_ended(const struct stdio *io);

/* Keeper_attach.c */

struct attach {
    struct stdio *io;
    struct watch socket; /* fd -1 until its client came */
    char token[WIRE_TOKEN_LEN + 1];
    bool in, out, err;
    struct buffer unsent;
    struct list link;
};
/* Makes a token for a client to come. */
int attach_expect(struct stdio *io, bool in, bool out, bool err_, char token[WIRE_TOKEN_LEN + 1],
                  struct error *err);
/* Hands a client that said token its attach in io: true where io has it; socket is then taken over. rest is what the client
 * sent after its token's newline. */
bool attach_begin(struct stdio *io, const char *token, int socket, const void *rest,
                  size_t rest_len);
/* What the container wrote, as a frame for each that wants it. */
void attaches_send(struct stdio *io, enum log_stream stream, const void *data, size_t len);
bool attaches_full(const struct stdio *io);
/* The container reads again: so may they. */
void attaches_resume(struct stdio *io);
/* The outputs have ended: closes those that have got everything. */
void attaches_finish(struct stdio *io);
void attaches_done(struct stdio *io);

/* Keeper_process.c */

struct control;
struct kept {
    char *id, *exec_id, *procs, *oom;
    void *record;
    size_t record_len;
    uint32_t flags;
    enum wire_state state;
    pid_t pid;
    bool reaped;
    bool refused; /* its creation failed; forgotten when it is reaped */
    uint32_t columns, rows;
    int64_t started_ns, exited_ns;
    uint32_t status;
    bool oom_killed;
    char *message;
    struct container_child child;
    struct watch child_control; /* on a duplicate-free child.control; ends with it */
    struct stdio io;
    struct control *asker; /* who waits for create or start; NULL: nobody */
    uint64_t serial;
    struct list link;
};

extern struct list kept_all;

struct kept *kept_find(const char *id, const char *exec_id);
/* Answers by control_reply when the child is ready, or here where it fails at once. */
void kept_create(struct control *asker, uint64_t serial, const struct wire_create *c);
void kept_start(struct kept *k, struct control *asker, uint64_t serial);
int kept_signal(struct kept *k, int signal, bool all, struct error *err);
void kept_free(struct kept *k);
void kept_reap(void);
/* Kills everything; true where nothing runs any more. */
bool kept_kill_all(void);
void kept_forget_asker(struct control *c);

/* Keeper_pod.c */

/* Enters the pod's namespaces as WIRE_INIT asks. *ret_init: the shared pid namespace's init, or 0. */
int pod_enter(uint32_t flags, const char *hostname, struct wire_reader *sysctls, const char *netns,
              pid_t *ret_init, struct error *err);
pid_t pod_init(void);
/* A child has been reaped that may have been it. */
void pod_reaped(pid_t pid);
/* At rest the keeper acts with two capabilities alone: to signal and to write logs where their user wants them. It must
 * be able to have the others again, since a container may be given any; they are raised where one is made, so that a
 * mistake anywhere else does not have them by accident. */
void pod_privileges(bool raised);
/* Makes children be born in the pod's shared pid namespace, or in our own again. */
int pod_pid_enter(struct error *err);
int pod_pid_return(struct error *err);

/* Keeper_control.c */

/* Serves the sandboxer on its first connection and all that come to listener, until it is told to leave or has nothing to keep
 * and nobody who could ask. */
void control_run(int first, int listener);
void control_reply(struct control *c, uint64_t serial, const struct buffer *payload);
void control_fail(struct control *c, uint64_t serial, const struct error *err);
/* To every sandboxer that is connected. */
void control_tell(enum wire_type type, const struct buffer *payload);
void control_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
