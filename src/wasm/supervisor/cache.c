/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "wasm/supervisor/memory.h"
#include "wasm/worker/compile.h"

enum { KNOWN_MAX = 4096, COMPILERS_MAX = 2, COMPILE_S = 300, MESSAGE_MAX = 8192 };

struct known { /* a file that has been looked at */
    struct cache_module module;
    char identity[];
};

struct compiling {
    struct list link;
    uint8_t digest[SHA256_LEN];
    enum wasm_profile profile;
    struct co_queue done;
    bool finished;
    struct error err;
    unsigned waiting;
};

struct cache {
    char *dir, *worker;
    struct map known;
    struct list compiling;
    unsigned compilers;
    struct co_queue room;
};

int cache_new(struct cache **ret, const char *dir, const char *worker, struct error *err)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c || !(c->dir = strdup(dir)) || !(c->worker = strdup(worker))) {
        cache_free(c);
        return fail(err, ENOMEM, "open the cache of compiled modules");
    }
    list_init(&c->compiling);
    co_queue_init(&c->room);
    int r = dir_make(AT_FDCWD, dir, 0700, err);
    struct stat st;
    if (!r && (stat(dir, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 022))
        r = fail_plain(err, EPERM,
                       "'%s' must be ours and writable for nobody else: what is in it is run", dir);
    if (r < 0) {
        cache_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void forget_all(struct cache *c)
{
    size_t i = 0;
    for (struct known *k; (k = map_next(&c->known, &i));)
        free(k);
    map_done(&c->known);
    c->known = (struct map){0};
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    forget_all(c);
    free(c->dir);
    free(c->worker);
    free(c);
}

/* Digests */

struct hashing {
    int fd;
    const char *name;
    struct cache_module module;
};

static int check_head(const uint8_t *p, ssize_t n, const char *name, struct error *err)
{
    static const uint8_t module[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    if (n < 8 || memcmp(p, module, 4) != 0)
        return fail_plain(err, ENOEXEC,
                          "'%s' is no WebAssembly module: it %s (a module begins with 00 61 73 6d)",
                          name, n < 8 ? "is too short" : "begins with something else");
    if (memcmp(p, module, 8) != 0)
        return fail_plain(err, ENOEXEC,
                          "'%s' is a WebAssembly component or of another version: only core "
                          "modules of version 1 can be run",
                          name);
    return 0;
}

static int hash(void *arg, struct error *err)
{
    struct hashing *h = arg;
    struct sha256 s;
    autofree uint8_t *block = malloc(128 << 10);
    if (!block)
        return fail(err, ENOMEM, "read '%s'", h->name);
    sha256_init(&s);
    for (off_t at = 0;;) {
        ssize_t n = pread(h->fd, block, 128 << 10, at);
        if (n < 0)
            return fail(err, errno, "read '%s'", h->name);
        int r = at == 0 ? check_head(block, n, h->name, err) : 0;
        if (r < 0)
            return r;
        if (n == 0)
            break;
        sha256_add(&s, block, (size_t)n);
        at += n;
    }
    sha256_end(&s, h->module.digest);
    h->module.memory = module_memory(h->fd);
    return 0;
}

int cache_look(struct cache *c, int fd, const char *name, struct cache_module *ret,
               struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fail(err, errno, "look at '%s'", name);
    /* a file that was changed in place has another change time */
    autofree char *identity = str_format(
        "%llx:%llx:%llx:%lld.%ld", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
        (unsigned long long)st.st_size, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    if (!identity)
        return fail(err, ENOMEM, "look at '%s'", name);
    struct known *k = map_get(&c->known, identity);
    if (!k) {
        struct hashing h = {.fd = fd, .name = name};
        int r = co_pool(hash, &h, err);
        if (r < 0)
            return r;
        *ret = h.module;
        if (c->known.count >= KNOWN_MAX)
            forget_all(c);
        k = malloc(sizeof *k + strlen(identity) + 1);
        if (k) {
            k->module = h.module;
            strcpy(k->identity, identity);
            if (map_add(&c->known, k->identity, k) < 0)
                free(k);
        }
        return 0;
    }
    *ret = k->module;
    return 0;
}

/* Compiling */

struct compiler {
    uv_process_t process;
    struct co *co;
    bool ended;
    int64_t status;
    int signal;
};

static void compiler_ended(uv_process_t *p, int64_t status, int signal)
{
    struct compiler *c = container_of(p, struct compiler, process);
    c->ended = true;
    c->status = status;
    c->signal = signal;
    if (c->co)
        co_wake(c->co);
}

static void compiler_closed(uv_handle_t *h)
{
    free(container_of((uv_process_t *)h, struct compiler, process));
}

static int spawn(struct compiler *c, const char *worker, enum wasm_profile profile,
                 const int fds[3], struct error *err)
{
    char *args[] = {(char *)(uintptr_t)worker, (char *)(uintptr_t) "--compile",
                    (char *)(uintptr_t)wasm_profile_name(profile), NULL};
    uv_stdio_container_t stdio[3];
    for (int i = 0; i < 3; i++)
        stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = fds[i]};
    uv_process_options_t options = {
        .file = worker, .args = args, .exit_cb = compiler_ended, .stdio = stdio, .stdio_count = 3};
    int r = uv_spawn(loop_uv(), &c->process, &options);
    return r < 0 ? fail(err, r, "start '%s' to compile", worker) : 0;
}

static int result_of(const struct compiler *c, int messages, const char *name, struct error *err)
{
    if (!c->signal && c->status == 0)
        return 0;
    autofree char *text = calloc(1, MESSAGE_MAX);
    ssize_t n = text ? pread(messages, text, MESSAGE_MAX - 1, 0) : 0;
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = 0;
    if (c->signal)
        return fail_plain(err, EIO, "compile '%s': the compiler was ended by signal %d", name,
                          c->signal);
    return fail_plain(err, c->status == COMPILE_INVALID ? ENOEXEC : EIO, "compile '%s': %s", name,
                      n > 0 ? text : "the compiler failed");
}

static int run_compiler(struct cache *cache, enum wasm_profile profile, int in, int out,
                        const char *name, struct error *err)
{
    autoclose int messages = memfd_create("warren-compile", MFD_CLOEXEC);
    struct compiler *c = calloc(1, sizeof *c);
    if (messages < 0 || !c || lseek(in, 0, SEEK_SET) < 0) {
        free(c);
        return fail(err, ENOMEM, "compile '%s'", name);
    }
    c->co = co_self();
    int r = spawn(c, cache->worker, profile, (const int[3]){in, out, messages}, err);
    int64_t deadline = clock_mono_ns() + COMPILE_S * NSEC_PER_SEC;
    while (!r && !c->ended)
        if (!co_park_until(deadline) && !c->ended) {
            uv_process_kill(&c->process, SIGKILL);
            deadline = INT64_MAX;
        }
    if (!r)
        r = result_of(c, messages, name, err);
    c->co = NULL;
    uv_close((uv_handle_t *)&c->process, compiler_closed);
    return r;
}

static int compile(struct cache *c, int fd, const char *name, enum wasm_profile profile,
                   const char *path, struct error *err)
{
    autofree char *part = str_format("%s.%d.part", path, getpid());
    autoclose int out = part ? open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (out < 0)
        return fail(err, part ? errno : ENOMEM, "make the compiled form of '%s'", name);
    while (c->compilers >= COMPILERS_MAX)
        co_queue_wait(&c->room, INT64_MAX);
    c->compilers++;
    int r = run_compiler(c, profile, fd, out, name, err);
    c->compilers--;
    co_queue_wake_one(&c->room);
    if (!r && rename(part, path) < 0)
        r = fail(err, errno, "keep the compiled form of '%s'", name);
    if (r < 0)
        unlink(part);
    return r;
}

static struct compiling *find_compiling(struct cache *c, const uint8_t digest[SHA256_LEN],
                                        enum wasm_profile profile)
{
    struct compiling *k;
    list_each(k, &c->compiling, link) if (k->profile == profile &&
                                          memcmp(k->digest, digest, SHA256_LEN) == 0) return k;
    return NULL;
}

static int wait_compiled(struct compiling *k, struct error *err)
{
    k->waiting++;
    while (!k->finished)
        co_queue_wait(&k->done, INT64_MAX);
    int r = fail_with(err, &k->err);
    if (--k->waiting == 0)
        free(k);
    return r;
}

static int compile_once(struct cache *c, int fd, const char *name, const uint8_t digest[SHA256_LEN],
                        enum wasm_profile profile, const char *path, struct error *err)
{
    struct compiling *k = find_compiling(c, digest, profile);
    if (k)
        return wait_compiled(k, err);
    k = calloc(1, sizeof *k);
    if (!k)
        return fail(err, ENOMEM, "compile '%s'", name);
    memcpy(k->digest, digest, SHA256_LEN);
    k->profile = profile;
    co_queue_init(&k->done);
    list_append(&c->compiling, &k->link);
    k->waiting = 1;
    compile(c, fd, name, profile, path, &k->err);
    list_remove(&k->link);
    k->finished = true;
    co_queue_wake_all(&k->done);
    int r = fail_with(err, &k->err);
    if (--k->waiting == 0)
        free(k);
    return r;
}

int cache_get(struct cache *c, int fd, const char *name, const struct cache_module *module,
              enum wasm_profile profile, char **ret_path, struct error *err)
{
    char hex[SHA256_HEX];
    sha256_hex(module->digest, hex);
    autofree char *path = str_format("%s/%s.%s.cwasm", c->dir, hex, wasm_profile_name(profile));
    if (!path)
        return fail(err, ENOMEM, "find the compiled form of '%s'", name);
    int r =
        access(path, R_OK) < 0 ? compile_once(c, fd, name, module->digest, profile, path, err) : 0;
    if (r < 0)
        return r;
    *ret_path = take_ptr(&path);
    return 0;
}
