/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/wasi/wasi.h"
#include "wasm/worker/hibernate.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/wasmtime.h"

enum { UNUSED_MAX = 16, WASM_PAGE = 65536 };

static struct module *modules;
static unsigned unused;

static void module_free(struct module *m)
{
    if (m->pre)
        wasmtime_instance_pre_delete(m->pre);
    if (m->module)
        wasmtime_module_delete(m->module);
    hibernate_free_references(m->references);
    free(m);
}

static struct wasmtime_linker *linker(enum wasm_profile profile, struct error *err)
{
    static struct wasmtime_linker *linkers[WASM_PROFILES];
    if (!linkers[profile]) {
        linkers[profile] = wasmtime_linker_new(runtime_engine(profile));
        if (wasi_define(linkers[profile], err) < 0)
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
    bool start = false;
    wasmtime_module_exports(m->module, &v);
    for (size_t i = 0; i < v.size; i++) {
        const struct wasm_externtype *t = wasm_exporttype_type(v.data[i]);
        const struct wasm_byte_vec *name = wasm_exporttype_name(v.data[i]);
        if (wasm_externtype_kind(t) == WASM_EXTERN_FUNC && name_is(name, "_start"))
            start = true;
        if (wasm_externtype_kind(t) == WASM_EXTERN_MEMORY && name_is(name, "memory"))
            m->memory_minimum =
                wasmtime_memorytype_minimum(wasm_externtype_as_memorytype_const(t)) * WASM_PAGE;
    }
    wasm_exporttype_vec_delete(&v);
    return start
               ? 0
               : fail_plain(err, ENOEXEC,
                            "the module has no function '_start': it is a library, not a program");
}

static int load(struct module *m, const char *path, struct error *err)
{
    struct wasmtime_linker *l = linker(m->profile, err);
    int r = runtime_load(m->profile, path, m->digest, &m->module, err);
    if (r < 0)
        return r;
    r = check_exports(m, err);
    if (r < 0)
        return r;
    struct wasmtime_error *e = wasmtime_linker_instantiate_pre(l, m->module, &m->pre);
    if (!e)
        return 0;
    auto(buffer) struct buffer text = {0};
    runtime_describe(NULL, e, &text);
    return fail_plain(err, ENOEXEC, "link the module: %s", buffer_text(&text));
}

int module_get(enum wasm_profile profile, const char *path, const uint8_t digest[SHA256_LEN],
               struct module **ret, struct error *err)
{
    for (struct module *m = modules; m; m = m->next)
        if (m->profile == profile && memcmp(m->digest, digest, SHA256_LEN) == 0) {
            unused -= m->users++ == 0;
            *ret = m;
            return 0;
        }
    struct module *m = calloc(1, sizeof *m);
    if (!m)
        return fail(err, ENOMEM, "load the compiled module '%s'", path);
    memcpy(m->digest, digest, SHA256_LEN);
    m->profile = profile;
    int r = load(m, path, err);
    if (r < 0) {
        module_free(m);
        return r;
    }
    m->users = 1;
    m->next = modules;
    modules = m;
    *ret = m;
    return 0;
}

void module_put(struct module *m)
{
    if (!m || --m->users || ++unused <= UNUSED_MAX)
        return;
    unused--;
    struct module **at = &modules;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    module_free(m);
}
