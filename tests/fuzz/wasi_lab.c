/* SPDX-License-Identifier: Apache-2.0 */
#include "wasi_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/request.h"
#include "wasm/files/serve.h"
#include "wasm/files/table.h"
#include "wasm/wasi/wasi.h"
#include "wasm/wire_create.h"
#include "wasm/wire_files.h"
#include "wasm/worker/ask.h"
#include "wasm/worker/guest.h"
#include "wasm/worker/job.h"
#include "wasm/worker/wasmtime.h"

enum { FUNCTIONS_MAX = 64, WATCHES_MAX = 8, WAIT_TRIES = 20000 };

struct lab lab;

#define MUST(is)                                                                                   \
    do {                                                                                           \
        if (!(is)) {                                                                               \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #is, strerror(errno));         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Wasmtime */

static struct function {
    char name[32];
    const char *params;
    wasmtime_unchecked_callback *sync;
    wasmtime_async_callback *async;
    void *env;
} functions[FUNCTIONS_MAX];
static size_t function_count;
static struct wasmtime_async_continuation continuation;
static struct wasmtime_val results[1];

static struct function *add_function(const char *name, size_t len, void *env)
{
    struct function *f = &functions[function_count++];
    MUST(function_count <= FUNCTIONS_MAX && len < sizeof f->name);
    memcpy(f->name, name, len);
    f->env = env;
    f->params = ((const struct wasi_entry *)env)->params;
    return f;
}

struct wasmtime_error *wasmtime_linker_define_func_unchecked(
    struct wasmtime_linker *l, const char *module, size_t module_len, const char *name,
    size_t name_len, const struct wasm_functype *type, wasmtime_unchecked_callback *callback,
    void *env, void (*finalizer)(void *env))
{
    (void)l, (void)module, (void)module_len, (void)type, (void)finalizer;
    add_function(name, name_len, env)->sync = callback;
    return NULL;
}

struct wasmtime_error *wasmtime_linker_define_async_func(struct wasmtime_linker *l,
                                                         const char *module, size_t module_len,
                                                         const char *name, size_t name_len,
                                                         const struct wasm_functype *type,
                                                         wasmtime_async_callback *callback,
                                                         void *env, void (*finalizer)(void *env))
{
    (void)l, (void)module, (void)module_len, (void)type, (void)finalizer;
    add_function(name, name_len, env)->async = callback;
    return NULL;
}

struct wasmtime_context *wasmtime_caller_context(struct wasmtime_caller *caller)
{
    return (struct wasmtime_context *)caller;
}

void *wasmtime_context_get_data(const struct wasmtime_context *c)
{
    (void)c;
    return lab.guest;
}

bool wasmtime_caller_export_get(struct wasmtime_caller *caller, const char *name, size_t len,
                                struct wasmtime_extern *ret)
{
    (void)caller, (void)name, (void)len;
    *ret = (struct wasmtime_extern){.kind = WASMTIME_EXTERN_MEMORY};
    return true;
}

uint8_t *wasmtime_memory_data(struct wasmtime_context *c, const struct wasmtime_memory *m)
{
    (void)c, (void)m;
    return lab.memory;
}

size_t wasmtime_memory_data_size(const struct wasmtime_context *c, const struct wasmtime_memory *m)
{
    (void)c, (void)m;
    return LAB_MEMORY;
}

struct wasm_trap *wasmtime_trap_new(const char *message, size_t len)
{
    (void)message, (void)len;
    return (struct wasm_trap *)&lab;
}

struct wasm_valtype *wasm_valtype_new(uint8_t kind)
{
    (void)kind;
    return NULL;
}

void wasm_valtype_vec_new(struct wasm_valtype_vec *out, size_t n, struct wasm_valtype *const *v)
{
    (void)out, (void)n, (void)v;
}

struct wasm_functype *wasm_functype_new(struct wasm_valtype_vec *params,
                                        struct wasm_valtype_vec *out)
{
    (void)params, (void)out;
    return NULL;
}

void wasm_functype_delete(struct wasm_functype *t)
{
    (void)t;
}

void wasmtime_error_delete(struct wasmtime_error *e)
{
    (void)e;
}

/* The scheduler */

static struct sched_watch *watches[WATCHES_MAX];
static _Atomic bool woken;

int sched_watch_add(struct sched_watch *w)
{
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (!watches[i]) {
            watches[i] = w;
            return 0;
        }
    return -ENOMEM;
}

void sched_watch_change(struct sched_watch *w, uint32_t events)
{
    w->events = events;
}

void sched_watch_remove(struct sched_watch *w)
{
    for (size_t i = 0; i < WATCHES_MAX; i++)
        watches[i] = watches[i] == w ? NULL : watches[i];
}

void sched_free_later(void *p)
{
    free(p);
}

/* Disk's threads as well. */
void sched_wake(struct guest *g)
{
    g->woken = true; /* seen where it has gone */
    woken = true;
}

/* What would wait for a disk */

static void check_vector(const struct iovec *v, int count)
{
    for (int i = 0; i < count; i++) {
        const uint8_t *base = v[i].iov_base;
        MUST(base >= lab.memory && base <= lab.memory + LAB_MEMORY &&
             v[i].iov_len <= (size_t)(lab.memory + LAB_MEMORY - base));
    }
}

ssize_t preadv2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
    check_vector(v, count);
    if (lab.cold && flags & RWF_NOWAIT && (lab.half = !lab.half)) {
        errno = EAGAIN;
        return -1;
    }
    if (lab.cold && flags & RWF_NOWAIT && count > 1)
        count = 1; /* the rest is not in memory */
    return syscall(SYS_preadv2, fd, v, count, offset, 0,
                   flags & ~RWF_NOWAIT); /* tmpfs has it not */
}

/* No file system is memory. */
int fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    *fs = (struct statfs){0};
    return 0;
}

ssize_t pwritev2(int fd, const struct iovec *v, int count, off_t offset, int flags)
{
    check_vector(v, count);
    if (lab.cold && flags & RWF_NOWAIT) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_pwritev2, fd, v, count, offset, 0, flags & ~RWF_NOWAIT);
}

/* The files process */

static int requests = -1, records = -1;

static void send_answer(const struct buffer *answer, int fd)
{
    struct iovec v = {answer->data, answer->len};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
    }
    MUST(sendmsg(requests, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)answer->len);
}

static bool serve_one(void)
{
    static uint8_t packet[FILES_PACKET_MAX];
    struct iovec v = {packet, sizeof packet};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    auto(buffer) struct buffer answer = {0};
    autoclose int received = -1, fd = -1;
    ssize_t n = recvmsg(requests, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return false;
    fd_received(&m, &received, 1);
    serve_request(packet, (size_t)n, received, &answer, &fd);
    send_answer(&answer, fd);
    return true;
}

/* Takes what was printed, and says that it is written. */
static void take_records(void)
{
    static uint64_t position;
    uint8_t bytes[4096];
    ssize_t n;
    uint64_t was = position;
    while ((n = recv(records, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        position += (uint64_t)n;
    if (position != was)
        MUST(send(records, &position, sizeof position, MSG_DONTWAIT) == sizeof position);
}

static void acknowledged(void)
{
}

/* All others have their turn. */
static void serve(void)
{
    while (serve_one())
        ;
    take_records();
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (watches[i])
            watches[i]->ready(watches[i], EPOLLIN | EPOLLOUT);
    take_records();
}

/* The tree */

static char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", lab.dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    MUST(file_replace(AT_FDCWD, path_of(name), text, strlen(text), 0644, false, NULL) == 0);
}

static void make_dir(const char *name)
{
    MUST(dir_make(AT_FDCWD, path_of(name), 0755, NULL) == 0);
}

static void make_tree(void)
{
    strcpy(lab.dir, "/dev/shm/warren-wasi-lab.XXXXXX"); /* thousands of times made and removed */
    MUST(mkdtemp(lab.dir));
    make_dir("base/dir/deep");
    put("secret", "secret\n");
    put("base/file", "of the image\n");
    put("base/dir/other", "of the image, too\n");
    MUST(symlink("file", path_of("base/link")) == 0);
    MUST(symlink("../../../secret", path_of("base/dir/out")) == 0);
    MUST(symlink("/../../secret", path_of("base/absolute")) == 0);
    MUST(symlink("loop", path_of("base/loop")) == 0);
    MUST(mkfifo(path_of("input"), 0600) == 0);
}

static void remove_tree(void)
{
    dir_remove(AT_FDCWD, lab.dir, NULL);
}

/* What a guest changes is new for each. */
static void make_volume(void)
{
    dir_remove(AT_FDCWD, path_of("up"), NULL);
    dir_remove(AT_FDCWD, path_of("volume"), NULL);
    make_dir("volume/sub");
    put("volume/file", "of the volume\n");
    MUST(symlink("../secret", path_of("volume/out")) == 0);
    MUST(mkfifo(path_of("volume/fifo"), 0600) == 0);
}

static void add_container(void)
{
    char base[128], volume[128], up[128], work[128], input[128], log[128];
    snprintf(base, sizeof base, "%s/base", lab.dir);
    snprintf(volume, sizeof volume, "%s/volume", lab.dir);
    snprintf(up, sizeof up, "%s/up/upper", lab.dir);
    snprintf(work, sizeof work, "%s/up/work", lab.dir);
    snprintf(input, sizeof input, "%s/input", lab.dir);
    snprintf(log, sizeof log, "log+cri://%s/log?max-size=65536&max-files=2", lab.dir);
    char *lower[] = {base, NULL}, *bind[] = {volume, NULL};
    struct wire_mount mounts[] = {{"/", lower, up, work, NULL, false},
                                  {"/data", bind, "", "", NULL, false}};
    struct wire_files f = {
        .in = input, .out = log, .err = log, .mounts = mounts, .mount_count = ARRAY_SIZE(mounts)};
    MUST(table_add(&f, &lab.container, NULL) == 0);
}

static void set_up(void)
{
    int r[2], s[2];
    struct rlimit size = {16 << 20, 16 << 20}; /* of a file: what is allocated is */
    setrlimit(RLIMIT_FSIZE, &size);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    make_tree();
    atexit(remove_tree);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r) == 0);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
    requests = r[0];
    records = s[0];
    MUST(ask_init(r[1], NULL) == 0 && outbox_init(s[1], acknowledged, NULL) == 0);
    MUST(wasi_define(NULL, NULL) == 0);
    make_volume();
    add_container();
}

/* The guest */

static int make_listener(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, LAB_PEERS) == 0);
    len = sizeof a;
    MUST(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    for (int i = 0; i < LAB_PEERS; i++) {
        lab.peers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        MUST(connect(lab.peers[i], (struct sockaddr *)&a, len) == 0);
    }
    return fd;
}

static void give_strings(struct wasi_strings *s, const char *text, uint32_t len, uint32_t count)
{
    *s = (struct wasi_strings){malloc(len), len, count};
    MUST(s->data);
    memcpy(s->data, text, len);
}

void lab_begin(void)
{
    static char root[] = "", data[] = "/data", *preopens[] = {root, data, NULL};
    unsigned taken = 0;
    if (!*lab.dir)
        set_up();
    make_volume();
    struct guest *g = lab.guest = calloc(1, sizeof *g);
    lab.memory = calloc(1, LAB_MEMORY);
    MUST(g && lab.memory);
    list_init(&g->link);
    give_strings(&g->wasi.args, "prog\0arg\0", 9, 2);
    give_strings(&g->wasi.env, "A=1\0", 4, 1);
    g->wasi.files = lab.container;
    console_init(&g->wasi.console, g, lab.container, WIRE_LOG | WIRE_IN_FIFO);
    int listener = make_listener();
    MUST(wasi_listen(&g->wasi, &listener, 1, &taken, NULL) == 0);
    MUST(wasi_init(&g->wasi, preopens, NULL) == 0);
    while (!console_opened(&g->wasi.console, g))
        serve();
    lab.input = open(path_of("input"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    MUST(lab.input >= 0);
    lab.parked = lab.cold = lab.half = false;
}

void lab_check(int fd)
{
    struct stat secret, st;
    MUST(stat(path_of("secret"), &secret) == 0);
    MUST(fd < 0 || fstat(fd, &st) == 0);
    MUST(fd < 0 || st.st_ino != secret.st_ino || st.st_dev != secret.st_dev);
}

static void check_descriptors(const struct wasi *w)
{
    for (uint32_t i = 0; i < w->fd_count; i++)
        if (w->fds[i].kind == WASI_FD_FILE)
            lab_check(w->fds[i].fd);
}

static void check_file(const char *name, const char *text)
{
    auto(buffer) struct buffer b = {0};
    MUST(file_read(AT_FDCWD, path_of(name), 4096, &b, NULL) == 0);
    MUST(str_eq(buffer_text(&b), text));
}

void lab_end(void)
{
    struct guest *g = lab.guest;
    check_descriptors(&g->wasi);
    free(take_ptr(&g->wait.fds));
    job_drop(g);
    wasi_end(&g->wasi);
    console_end(&g->wasi.console);
    serve();
    wasi_done(&g->wasi);
    free(take_ptr(&lab.guest));
    free(take_ptr(&lab.memory));
    for (int i = 0; i < LAB_PEERS; i++)
        close_fd(&lab.peers[i]);
    close_fd(&lab.input);
    check_file("secret", "secret\n");
    check_file("base/file", "of the image\n");
    check_file("base/dir/other", "of the image, too\n");
}

/* Calls */

size_t lab_functions(void)
{
    return function_count;
}

const char *lab_name(size_t function)
{
    return functions[function].name;
}

const char *lab_params(size_t function)
{
    return functions[function].params;
}

size_t lab_function(const char *name)
{
    size_t i = 0;
    while (i < function_count && !str_eq(functions[i].name, name))
        i++;
    MUST(i < function_count);
    return i;
}

/* As a future is polled: a call that has just parked is asked at once. */
static void poll_call(void)
{
    struct guest *g = lab.guest;
    lab.parked = !continuation.callback(continuation.env);
    MUST(lab.parked == g->parking);
    if (!lab.parked) {
        lab.result = (uint32_t)results[0].of.i32;
        MUST(!g->job && !g->wait.fds);
    }
    g->parking = false;
}

/* What the scheduler does with a wait. */
static void check_wait(void)
{
    struct guest *g = lab.guest;
    for (unsigned i = 0; i < g->wait.count; i++) {
        MUST(fcntl(g->wait.fds[i].fd, F_GETFD) >= 0);
        for (unsigned k = 0; k < i; k++)
            MUST(g->wait.fds[i].fd != g->wait.fds[k].fd);
    }
}

static void call_async(const struct function *f, const uint64_t *args)
{
    struct wasmtime_val in[WASI_ARGS_MAX] = {0};
    struct wasm_trap *trap = NULL;
    size_t n = strlen(f->params);
    for (size_t i = 0; i < n; i++)
        in[i].of.i64 = (int64_t)args[i];
    results[0].of.i32 = 0;
    f->async(f->env, NULL, in, n, results, 1, &trap, &continuation);
    poll_call();
    if (lab.parked)
        check_wait();
}

static void call_sync(const struct function *f, const uint64_t *args)
{
    union wasmtime_val_raw raw[WASI_ARGS_MAX] = {0};
    for (size_t i = 0; f->params[i]; i++)
        raw[i].i64 = (int64_t)args[i];
    f->sync(f->env, NULL, raw, WASI_ARGS_MAX);
    lab.guest->exited = false; /* it goes on: ending it is lab_end()'s */
    lab.result = (uint32_t)raw[0].i32;
}

void lab_call(size_t function, const uint64_t *args)
{
    const struct function *f = &functions[function];
    woken = false;
    if (f->async)
        call_async(f, args);
    else
        call_sync(f, args);
}

void lab_resume(bool early)
{
    struct guest *g = lab.guest;
    if (!early)
        serve();
    /* a disk's thread is at it */
    for (int i = 0; !early && g->job && !woken; i++) {
        MUST(i < WAIT_TRIES);
        usleep(50);
        serve();
    }
    free(take_ptr(&g->wait.fds));
    g->wait.count = 0;
    woken = false;
    poll_call();
    if (lab.parked)
        check_wait();
}
