/* SPDX-License-Identifier: Apache-2.0 */
/* Execs: another function of a container's module, or another module of its tree, as a guest of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "oci/spec.h"
#include "wasm/supervisor/cache.h"
#include "wasm/supervisor/choose.h"
#include "wasm/supervisor/supervisor.h"
#include "wasm/wire_create.h"
#include "wasm/wire_files.h"

static struct process *container_of_exec(const struct process *p)
{
    return sandboxer_find_process(p->sandbox->sandboxer, p->id, "");
}

/* The exec's streams are known to the files process from here on; the module too, where args[0] is one's path: else *ret_missing says why
 * not. */
static int add_files(struct holder *h, const struct process *p, const struct oci_process *o,
                     struct prepared *ret, int *ret_missing, struct error *err)
{
    auto(buffer) struct buffer frame = {0};
    auto(link_reply) struct link_reply reply = {0};
    const struct wire_files_exec f = {.of = files_number(container_of_exec(p)),
                                      .in = ret->files->in,
                                      .out = ret->files->out,
                                      .err = ret->files->err,
                                      .cwd = str_or_empty(o->cwd),
                                      .path = o->args[0]};
    uint32_t tag = link_tag(h->files);
    int r = wire_put_files_exec(&frame, tag, &f);
    r = r < 0 ? fail(err, r, "hand the exec's files to a worker")
              : link_call_for_fd(h->files, tag, &frame, &reply, &ret->module, err);
    if (r < 0)
        return r;
    struct wire_create *c = ret->create;
    c->files = (uint64_t)wire_number(&reply.reader);
    autofree char **preopens = wire_list(&reply.reader);
    *ret_missing = (int)wire_number(&reply.reader);
    if (!preopens || reply.reader.bad || (*ret_missing > 0) != (ret->module >= 0))
        return fail_plain(err, EPROTO, "a malformed reply of the files process");
    size_t n = strv_len(preopens);
    c->preopens = arena_array(&ret->arena, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        c->preopens[i] = arena_strdup(&ret->arena, preopens[i]);
    return 0;
}

static int choose_module(struct wasm *w, const char *name, struct prepared *p, struct error *err)
{
    static const struct oci_spec nothing_asked_for;
    struct module_info module;
    int r = cache_look(w->cache, p->module, name, &module, err);
    if (r < 0)
        return r;
    memcpy(p->create->module.digest, module.digest, SHA256_LEN);
    return choose_profile(&nothing_asked_for, module.memory, &p->create->module.profile, err);
}

/* A name without a slash is that of a function first. */
static int make_either(struct wasm *w, struct process *p, struct prepared *prepared, int missing,
                       struct error *err)
{
    struct wire_create *c = prepared->create;
    const char *name = c->args[0];
    bool path = strchr(name, '/');
    c->entry = name;
    int r = path ? -ENOENT : send_create(p, prepared, err);
    if (r != -ENOENT)
        return r;
    if (prepared->module < 0 && path)
        return fail(err, missing, "open '%s' in the container's tree", name);
    if (prepared->module < 0)
        return fail_in(err, r, "'%.64s' is no module in the container's tree, and no function",
                       name);
    c->entry = "";
    r = choose_module(w, name, prepared, err);
    return r < 0 ? r : make_in_worker(w, p, prepared, err);
}

int exec_make(struct wasm *w, struct process *p, const struct buffer *record, struct error *err)
{
    auto(prepared) struct prepared prepared = {.module = -1};
    struct arena *a = &prepared.arena;
    struct oci_process *o;
    struct holder *h = NULL;
    int missing = 0;
    int r = oci_process_parse(p->spec, p->spec_len, a, &o, err);
    if (!r && (!o->args || !o->args[0] || !*o->args[0]))
        r = fail_plain(err, EINVAL, "process.args: the exec has no command");
    if (!r)
        r = holder_of(p, &h, err);
    if (r < 0)
        return r;
    struct wire_files *f = prepared.files = arena_new(a, struct wire_files);
    *f = (struct wire_files){.in = str_or_empty(p->stdin_),
                             .out = str_or_empty(p->stdout_),
                             .err = str_or_empty(p->stderr_)};
    struct wire_create *c = prepared.create = arena_new(a, struct wire_create);
    *c = (struct wire_create){.sandbox_id = p->sandbox->id,
                              .id = p->key,
                              .of = p->id,
                              .record = record->data,
                              .record_len = record->len,
                              .args = o->args,
                              .env = o->env,
                              .streams = container_streams(f)};
    r = add_files(h, p, o, &prepared, &missing, err);
    if (!r)
        r = make_either(w, p, &prepared, missing, err);
    if (!r)
        process_set(p, c->files, false);
    else if (holder_of(p, &h, NULL) == 0)
        files_remove(h, c->files, NULL);
    return r;
}
