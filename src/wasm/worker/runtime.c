/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/runtime.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/compiled.h"
#include "wasm/worker/slots.h"
#include "wasm/worker/wasmtime.h"

enum { PAGE = 4096 };

static _Thread_local struct runtime_space *entered;

void runtime_enter(struct runtime_space *s)
{
    entered = s;
}

/* Stacks */

static struct slots stacks = SLOTS_INIT(RUNTIME_STACK, PAGE);

static uint8_t *stack_get(void *env, size_t *len)
{
    *len = RUNTIME_STACK - PAGE;
    return (uint8_t *)env + RUNTIME_STACK;
}

static void stack_put(void *env)
{
    slots_put(&stacks, env);
}

static struct wasmtime_error *stack_new(void *env, size_t size, bool zeroed,
                                        struct wasmtime_stack_memory *ret)
{
    (void)env;
    (void)zeroed; /* slots always are */
    if (size > RUNTIME_STACK)
        return wasmtime_error_new("a stack larger than Warren's was asked for");
    uint8_t *slot = slots_get(&stacks);
    if (!slot)
        return wasmtime_error_new("no address space for another stack");
    if (entered)
        entered->stack = slot;
    *ret = (struct wasmtime_stack_memory){slot, stack_get, stack_put};
    return NULL;
}

/* Linear memories */

/* A memory lives in the smallest class that holds it and moves up when it outgrows it: small slots keep page tables
 * small (338 bytes an instance at 128 KiB, 4 KiB from 2 MiB on). */
static struct slots classes[] = {
    SLOTS_INIT(128ul << 10, 0), SLOTS_INIT(512ul << 10, 0), SLOTS_INIT(2ul << 20, 0),
    SLOTS_INIT(8ul << 20, 0),   SLOTS_INIT(32ul << 20, 0),  SLOTS_INIT(128ul << 20, 0),
    SLOTS_INIT(512ul << 20, 0), SLOTS_INIT(4ul << 30, 0),
};

struct linear_memory {
    uint8_t *data;
    size_t size;
    struct slots *slots;
};

static struct slots *class_of(size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (size <= classes[i].size)
            return &classes[i];
    return NULL;
}

static uint8_t *memory_get(void *env, size_t *size, size_t *capacity)
{
    struct linear_memory *m = env;
    *size = m->size;
    *capacity = m->slots->size;
    return m->data;
}

/* Copies what is not zero, so that the new slot has no more pages than the old one. */
static void copy_pages(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t at = 0; at < len; at += PAGE) {
        const uint8_t *page = from + at;
        if (page[0] || memcmp(page, page + 1, PAGE - 1) != 0)
            memcpy(to + at, page, PAGE);
    }
}

static struct wasmtime_error *memory_grow(void *env, size_t size)
{
    struct linear_memory *m = env;
    if (size > m->slots->size) {
        struct slots *slots = class_of(size);
        uint8_t *data = slots ? slots_get(slots) : NULL;
        if (!data)
            return wasmtime_error_new("no address space for a larger memory");
        copy_pages(data, m->data, m->size);
        slots_put(m->slots, m->data);
        m->data = data;
        m->slots = slots;
    }
    m->size = size;
    return NULL;
}

static void memory_put(void *env)
{
    struct linear_memory *m = env;
    slots_put(m->slots, m->data);
    free(m);
}

static struct wasmtime_error *memory_new(void *env, const struct wasm_memorytype *type,
                                         size_t minimum, size_t maximum, size_t reserved,
                                         size_t guard, struct wasmtime_linear_memory *ret)
{
    (void)env;
    (void)type;
    (void)maximum;
    (void)reserved;
    (void)guard;
    struct linear_memory *m = calloc(1, sizeof *m);
    struct slots *slots = class_of(minimum);
    uint8_t *data = m && slots ? slots_get(slots) : NULL;
    if (!data) {
        free(m);
        return wasmtime_error_new("no address space for a memory");
    }
    *m = (struct linear_memory){data, minimum, slots};
    if (entered)
        entered->memory = m;
    *ret = (struct wasmtime_linear_memory){m, memory_get, memory_grow, memory_put};
    return NULL;
}

uint8_t *runtime_memory(const struct runtime_space *s)
{
    return s->memory ? s->memory->data : NULL;
}

size_t runtime_memory_size(const struct runtime_space *s)
{
    return s->memory ? s->memory->size : 0;
}

/* Engines */

/* What configure() sets, in words: part of a compiled file's identity. Change both together. */
static const char *const configurations[WASM_PROFILES] = {
    [WASM_DENSE] = "dense 1: epochs, wasm stack 131072, stack 262144, reservation 0, guard 0, "
                   "growth 0, may move, no cow, no concurrency",
    [WASM_BUSY] = "busy 2: wasm stack 131072, stack 262144, reservation 4 GiB, guard "
                  "32 MiB, growth 0, cow, no concurrency",
};

static void configure_dense(struct wasm_config *c)
{
    wasmtime_config_epoch_interruption_set(c, true);
    wasmtime_config_memory_may_move_set(c, true);
    wasmtime_config_memory_reservation_set(c, 0);
    wasmtime_config_memory_guard_size_set(c, 0);
    wasmtime_config_memory_reservation_for_growth_set(c, 0);
    wasmtime_config_memory_init_cow_set(c, false);
    struct wasmtime_memory_creator memory = {.new_memory = memory_new};
    wasmtime_config_host_memory_creator_set(c, &memory);
}

static void configure_busy(struct wasm_config *c)
{
    wasmtime_config_memory_reservation_set(c, RUNTIME_BUSY_RESERVATION);
    wasmtime_config_memory_guard_size_set(c, RUNTIME_BUSY_GUARD);
    wasmtime_config_memory_reservation_for_growth_set(c, 0);
    wasmtime_config_memory_init_cow_set(c, true);
}

static struct wasm_config *configure(enum wasm_profile profile)
{
    struct wasm_config *c = wasm_config_new();
    wasmtime_config_max_wasm_stack_set(c, RUNTIME_WASM_STACK);
    wasmtime_config_async_stack_size_set(c, RUNTIME_STACK);
    wasmtime_config_concurrency_support_set(c, false);
    wasmtime_config_parallel_compilation_set(c, false);
    struct wasmtime_stack_creator stack = {.new_stack = stack_new};
    wasmtime_config_host_stack_creator_set(c, &stack);
    if (profile == WASM_BUSY)
        configure_busy(c);
    else
        configure_dense(c);
    return c;
}

static struct wasm_engine *_Atomic engines[WASM_PROFILES];

struct wasm_engine *runtime_engine(enum wasm_profile profile)
{
    if (!engines[profile])
        engines[profile] = wasm_engine_new_with_config(configure(profile));
    return engines[profile];
}

void runtime_tick(void)
{
    if (engines[WASM_DENSE])
        wasmtime_engine_increment_epoch(engines[WASM_DENSE]);
}

/* Compiled files */

static void made_by(enum wasm_profile profile, uint8_t digest[SHA256_LEN])
{
    const char *configuration = configurations[profile];
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, WASMTIME_WHEEL_SHA256, sizeof WASMTIME_WHEEL_SHA256);
    sha256_add(&s, configuration, strlen(configuration));
    sha256_end(&s, digest);
}

static int fail_wasmtime(struct error *err, int code, struct wasmtime_error *e)
{
    auto(buffer) struct buffer text = {0};
    runtime_describe(NULL, e, &text);
    return fail_plain(err, code, "%s", buffer_text(&text));
}

static int read_all(int fd, struct buffer *b, struct error *err)
{
    for (;;) {
        if (b->len > COMPILE_MODULE_MAX)
            return fail(err, EFBIG, "read a module of more than %d bytes", COMPILE_MODULE_MAX);
        if (buffer_reserve(b, 64 << 10) < 0)
            return fail(err, ENOMEM, "read a module");
        ssize_t n = read(fd, b->data + b->len, 64 << 10);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? fail(err, errno, "read a module") : 0;
        b->len += (size_t)n;
    }
}

int runtime_compile(enum wasm_profile profile, int in, int out, struct error *err)
{
    auto(buffer) struct buffer wasm = {0};
    int r = read_all(in, &wasm, err);
    if (r < 0)
        return r;
    struct wasmtime_module *module = NULL;
    struct wasmtime_error *e =
        wasmtime_module_new(runtime_engine(profile), wasm.data, wasm.len, &module);
    if (e)
        return fail_wasmtime(err, ENOEXEC, e);
    struct wasm_byte_vec code = {0};
    e = wasmtime_module_serialize(module, &code);
    if (e)
        return fail_wasmtime(err, EIO, e);
    struct compiled_trailer t;
    memcpy(t.magic, COMPILED_MAGIC, sizeof t.magic);
    made_by(profile, t.made_by);
    sha256_of(wasm.data, wasm.len, t.digest);
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, code.data, code.size);
    sha256_add(&s, &t, offsetof(struct compiled_trailer, sum));
    sha256_end(&s, t.sum);
    r = fd_write_all(out, code.data, code.size);
    if (!r)
        r = fd_write_all(out, &t, sizeof t);
    wasm_byte_vec_delete(&code);
    wasmtime_module_delete(module);
    return r < 0 ? fail(err, r, "write the compiled module") : 0;
}

static int check_trailer(const struct compiled_key *key, const uint8_t *file, size_t len)
{
    struct compiled_trailer t;
    uint8_t ours[SHA256_LEN], sum[SHA256_LEN];
    if (len < sizeof t)
        return -EBADMSG;
    memcpy(&t, file + len - sizeof t, sizeof t);
    made_by(key->profile, ours);
    if (memcmp(t.magic, COMPILED_MAGIC, sizeof t.magic) != 0 ||
        memcmp(t.made_by, ours, sizeof ours) != 0 || memcmp(t.digest, key->digest, SHA256_LEN) != 0)
        return -EBADMSG;
    sha256_of(file, len - sizeof t.sum, sum);
    return memcmp(t.sum, sum, sizeof sum) == 0 ? 0 : -EBADMSG;
}

int runtime_load(int fd, const struct compiled_key *key, struct wasmtime_module **ret,
                 struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fail(err, errno, "look at a compiled module");
    void *file = st.st_size > 0 && st.st_size <= COMPILED_MAX
                     ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                     : MAP_FAILED;
    if (file == MAP_FAILED)
        return fail_plain(err, EBADMSG, "a compiled module of %lld bytes cannot be read",
                          (long long)st.st_size);
    int r = check_trailer(key, file, (size_t)st.st_size);
    if (r < 0) {
        fail_plain(err, r, "the compiled module is damaged or of another Warren");
    } else { /* a file's path would let workers share its pages, but they have no files */
        struct wasmtime_error *e = wasmtime_module_deserialize(runtime_engine(key->profile), file,
                                                               (size_t)st.st_size, ret);
        r = e ? fail_wasmtime(err, EBADMSG, e) : 0;
    }
    munmap(file, (size_t)st.st_size);
    return r;
}

static int drop_pages(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (!strstr(info->dlpi_name, "libwasmtime"))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = (info->dlpi_addr + p->p_vaddr) & ~(uintptr_t)(PAGE - 1);
        /* never what is written to: relocations would be lost */
        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
            madvise((void *)from, info->dlpi_addr + p->p_vaddr + p->p_filesz - from, MADV_DONTNEED);
    }
    return 1;
}

void runtime_drop_library_pages(void)
{
    dl_iterate_phdr(drop_pages, NULL);
}

void runtime_describe(struct wasm_trap *trap, struct wasmtime_error *error, struct buffer *text)
{
    struct wasm_byte_vec message = {0};
    if (trap)
        wasm_trap_message(trap, &message);
    else
        wasmtime_error_message(error, &message);
    /* the message is Wasmtime's own rendering, backtrace included; a trap's ends with a NUL */
    size_t len = message.size;
    while (len && (message.data[len - 1] == 0 || message.data[len - 1] == '\n'))
        len--;
    buffer_append(text, message.data, len);
    wasm_byte_vec_delete(&message);
    if (trap)
        wasm_trap_delete(trap);
    else
        wasmtime_error_delete(error);
}
