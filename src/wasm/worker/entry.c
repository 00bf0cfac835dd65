/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/entry.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "wasm/worker/wasmtime.h"

static bool can_be_called(const struct wasm_exporttype *e)
{
    const struct wasm_functype *f =
        wasm_externtype_as_functype_const(wasm_exporttype_type(e)); /* NULL: no function */
    return f && !wasm_functype_params(f)->size && !wasm_functype_results(f)->size;
}

bool entry_is_there(const struct wasmtime_module *m, const char *name)
{
    struct wasm_exporttype_vec v;
    bool found = false;
    size_t len = strlen(name);
    wasmtime_module_exports(m, &v);
    for (size_t i = 0; !found && i < v.size; i++) {
        const struct wasm_byte_vec *n = wasm_exporttype_name(v.data[i]);
        found = n->size == len && memcmp(n->data, name, len) == 0 && can_be_called(v.data[i]);
    }
    wasm_exporttype_vec_delete(&v);
    return found;
}

static void list(const struct wasmtime_module *m, struct buffer *out)
{
    enum { LIST_MAX = 512 };
    struct wasm_exporttype_vec v;
    wasmtime_module_exports(m, &v);
    for (size_t i = 0; i < v.size && out->len < LIST_MAX; i++) {
        const struct wasm_byte_vec *n = wasm_exporttype_name(v.data[i]);
        if (can_be_called(v.data[i]))
            buffer_printf(out, "%s'%.*s'", out->len ? ", " : "", (int)(n->size < 64 ? n->size : 64),
                          n->data);
    }
    wasm_exporttype_vec_delete(&v);
}

int entry_check(const struct wasmtime_module *m, const char *name, struct error *err)
{
    auto(buffer) struct buffer others = {0};
    if (entry_is_there(m, name))
        return 0;
    list(m, &others);
    return fail_plain(
        err, ENOENT,
        "the module exports no function '%.64s' without parameters and results; those "
        "it exports: %s",
        name, others.len ? buffer_text(&others) : "none");
}
