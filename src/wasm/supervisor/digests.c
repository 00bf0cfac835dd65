/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "loop/loop.h"
#include "wasm/compiled.h"
#include "wasm/supervisor/memory.h"

enum { KNOWN_MAX = 4096, BLOCK = 128 << 10 };

struct known {
    struct module_info module;
    char identity[];
};

struct digests {
    struct map known;
};

struct digests *digests_new(void)
{
    return calloc(1, sizeof(struct digests));
}

static void forget_all(struct digests *d)
{
    size_t i = 0;
    for (struct known *k; (k = map_next(&d->known, &i));)
        free(k);
    map_done(&d->known);
    d->known = (struct map){0};
}

void digests_free(struct digests *d)
{
    if (d)
        forget_all(d);
    free(d);
}

struct reading {
    int fd, copy; /* copy: what is read is written there; -1 for nowhere */
    const char *name;
    struct module_info module;
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

static int read_module(void *arg, struct error *err)
{
    struct reading *h = arg;
    struct sha256 s;
    autofree uint8_t *block = malloc(BLOCK);
    if (!block)
        return fail(err, ENOMEM, "read '%s'", h->name);
    sha256_init(&s);
    for (off_t at = 0;;) {
        ssize_t n = pread(h->fd, block, BLOCK, at);
        if (n < 0)
            return fail(err, errno, "read '%s'", h->name);
        int r = at == 0 ? check_head(block, n, h->name, err) : 0;
        if (r < 0)
            return r;
        if (n == 0)
            break;
        if (at + n > COMPILE_MODULE_MAX)
            return fail_plain(err, ENOEXEC, "'%s' is too large: a module has at most %d bytes",
                              h->name, COMPILE_MODULE_MAX);
        sha256_add(&s, block, (size_t)n);
        r = h->copy < 0 ? 0 : fd_write_all(h->copy, block, (size_t)n);
        if (r < 0)
            return fail(err, r, "copy '%s'", h->name);
        at += n;
    }
    sha256_end(&s, h->module.digest);
    h->module.memory = module_memory(h->fd);
    return 0;
}

static void remember(struct digests *d, const char *identity, const struct module_info *module)
{
    if (d->known.count >= KNOWN_MAX)
        forget_all(d);
    struct known *k = malloc(sizeof *k + strlen(identity) + 1);
    if (!k)
        return;
    k->module = *module;
    strcpy(k->identity, identity);
    if (map_add(&d->known, k->identity, k) < 0)
        free(k);
}

int digests_get(struct digests *d, int fd, const char *name, struct module_info *ret,
                struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fail(err, errno, "look at '%s'", name);
    if (!S_ISREG(st.st_mode)) /* a FIFO would hold up a thread of the pool */
        return fail_plain(err, ENOEXEC, "'%s' is no regular file", name);
    /* a file that was changed in place has another change time */
    autofree char *identity = str_format(
        "%llx:%llx:%llx:%lld.%ld", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
        (unsigned long long)st.st_size, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
    if (!identity)
        return fail(err, ENOMEM, "look at '%s'", name);
    const struct known *k = map_get(&d->known, identity);
    if (k) {
        *ret = k->module;
        return 0;
    }
    struct reading h = {.fd = fd, .copy = -1, .name = name};
    int r = co_pool(read_module, &h, err);
    if (r < 0)
        return r;
    *ret = h.module;
    remember(d, identity, ret);
    return 0;
}

int digests_copy(int fd, const char *name, const uint8_t digest[SHA256_LEN], int *ret,
                 struct error *err)
{
    autoclose int copy = memfd_create("warren-module", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (copy < 0)
        return fail(err, errno, "copy '%s'", name);
    struct reading h = {.fd = fd, .copy = copy, .name = name};
    int r = co_pool(read_module, &h, err);
    if (r < 0)
        return r;
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return fail(err, errno, "seal the copy of '%s'", name);
    if (memcmp(h.module.digest, digest, SHA256_LEN) != 0)
        return fail_plain(err, EAGAIN, "'%s' is being changed", name);
    *ret = take_fd(&copy);
    return 0;
}
