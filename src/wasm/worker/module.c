/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/wasi/wasi.h"
#include "wasm/worker/entry.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/interrupt.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

enum { UNUSED_MAX = 16, WASM_PAGE = 65536 };

static struct module *modules;
static unsigned unused;

static void module_free(struct module *m)
{
    interrupt_code_free(m->code);
    if (m->pre)
        wasmtime_instance_pre_delete(m->pre);
    if (m->module)
        wasmtime_module_delete(m->module);
    hibernate_free_references(m->references);
    free(m);
}

struct wasmtime_linker *module_linker(enum wasm_profile profile)
{
    static struct wasmtime_linker *linkers[WASM_PROFILES];
    if (!linkers[profile]) {
        struct error err = {0};
        linkers[profile] = wasmtime_linker_new(runtime_engine(profile));
        if (wasi_define(linkers[profile], &err) < 0)
            abort(); /* the same calls worked in every test: not a matter of input */
    }
    return linkers[profile];
}

static bool name_is(const struct wasm_byte_vec *name, const char *text)
{
    return name->size == strlen(text) && memcmp(name->data, text, name->size) == 0;
}

static int check_exports(struct module *m, struct error *err)
{
    struct wasm_exporttype_vec v;
    wasmtime_module_exports(m->module, &v);
    for (size_t i = 0; i < v.size; i++) {
        const struct wasm_externtype *t = wasm_exporttype_type(v.data[i]);
        const struct wasm_byte_vec *name = wasm_exporttype_name(v.data[i]);
        if (wasm_externtype_kind(t) == WASM_EXTERN_MEMORY && name_is(name, "memory"))
            m->memory_minimum =
                wasmtime_memorytype_minimum(wasm_externtype_as_memorytype_const(t)) * WASM_PAGE;
    }
    wasm_exporttype_vec_delete(&v);
    m->reactor = !entry_is_there(m->module, "_start");
    return !m->reactor || entry_is_there(m->module, "_initialize")
               ? 0
               : fail_plain(err, ENOEXEC,
                            "the module has neither a function '_start' nor '_initialize': it is a "
                            "library, not a program");
}

static int load(struct module *m, int fd, struct error *err)
{
    int r = runtime_load(fd, &m->key, &m->module, err);
    if (r < 0)
        return r;
    r = check_exports(m, err);
    if (r < 0)
        return r;
    if (m->key.profile == WASM_BUSY)
        m->code = interrupt_code_new(m->module);
    struct wasmtime_error *e =
        wasmtime_linker_instantiate_pre(module_linker(m->key.profile), m->module, &m->pre);
    if (!e)
        return 0;
    auto(buffer) struct buffer text = {0};
    runtime_describe(NULL, e, &text);
    return fail_plain(err, ENOEXEC, "link the module: %s", buffer_text(&text));
}

int module_new(int fd, const struct compiled_key *key, struct module **ret, struct error *err)
{
    struct module *m = calloc(1, sizeof *m);
    if (!m)
        return fail(err, ENOMEM, "load a compiled module");
    m->key = *key;
    int r = load(m, fd, err);
    if (r < 0)
        module_free(m);
    else
        *ret = m;
    return r;
}

static struct module *find(const struct compiled_key *key)
{
    struct module *m = modules;
    while (m && !compiled_key_eq(&m->key, key))
        m = m->next;
    return m;
}

struct module *module_get(const struct compiled_key *key)
{
    struct module *m = find(key);
    if (m)
        unused -= m->users++ == 0;
    return m;
}

/* The oldest goes where too many are unused: the one that was just added is about to be asked for. */
static void trim(void)
{
    struct module **oldest = NULL;
    if (unused <= UNUSED_MAX)
        return;
    for (struct module **at = &modules; *at; at = &(*at)->next)
        if (!(*at)->users)
            oldest = at;
    struct module *m = *oldest;
    *oldest = m->next;
    unused--;
    module_free(m);
}

void module_add(struct module *m)
{
    if (find(&m->key)) { /* loaded meanwhile */
        module_free(m);
        return;
    }
    m->next = modules;
    modules = m;
    unused++;
    trim();
}

void module_put(struct module *m)
{
    if (!m || --m->users)
        return;
    unused++;
    trim();
}
