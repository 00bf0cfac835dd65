/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/wire_create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void wire_put_cpu(struct wire_writer *w, const struct wire_cpu *cpu)
{
    wire_put_number(w, (int64_t)cpu->shares);
    wire_put_number(w, cpu->quota);
    wire_put_number(w, (int64_t)cpu->period);
}

int wire_get_cpu(struct wire_reader *r, struct wire_cpu *cpu)
{
    cpu->shares = (uint64_t)wire_number(r);
    cpu->quota = wire_number(r);
    cpu->period = (uint64_t)wire_number(r);
    bool good = cpu->quota <= WIRE_QUOTA_MAX && cpu->period <= WIRE_PERIOD_MAX &&
                (cpu->quota <= 0 || cpu->quota >= WIRE_QUOTA_MIN) &&
                (!cpu->period || cpu->period >= WIRE_PERIOD_MIN);
    return good && !r->bad ? 0 : -EPROTO;
}

static void put_limits(struct wire_writer *w, const struct wire_limits *l)
{
    wire_put_number(w, (int64_t)l->memory);
    wire_put_cpu(w, &l->cpu);
    wire_put_number(w, (int64_t)l->cpu_time);
    wire_put_number(w, (int64_t)l->wall_time);
}

static int get_limits(struct wire_reader *r, struct wire_limits *l)
{
    l->memory = (uint64_t)wire_number(r);
    int e = wire_get_cpu(r, &l->cpu);
    l->cpu_time = (uint64_t)wire_number(r);
    l->wall_time = (uint64_t)wire_number(r);
    return l->cpu_time > WIRE_TIME_MAX || l->wall_time > WIRE_TIME_MAX ? -EPROTO : e;
}

int wire_put_create(struct buffer *out, uint32_t tag, const struct wire_create *c)
{
    struct wire_writer w = wire_begin(out, WIRE_CREATE, tag);
    wire_put_text(&w, c->sandbox_id);
    wire_put_text(&w, c->id);
    wire_put_bytes(&w, c->record, c->record_len);
    wire_put_bytes(&w, c->module.digest, sizeof c->module.digest);
    wire_put_number(&w, c->module.profile);
    wire_put_list(&w, c->args);
    wire_put_list(&w, c->env);
    wire_put_list(&w, c->preopens);
    wire_put_number(&w, (int64_t)c->files);
    wire_put_number(&w, c->streams);
    put_limits(&w, &c->limits);
    wire_put_text(&w, c->of);
    wire_put_text(&w, c->entry);
    wire_put_number(&w, c->sockets);
    wire_put_number(&w, c->start);
    return wire_end(&w);
}

int wire_get_create(struct wire_reader *r, struct wire_create *c)
{
    size_t len;
    *c = (struct wire_create){.sandbox_id = wire_text(r), .id = wire_text(r)};
    c->record = wire_bytes(r, &c->record_len);
    const char *digest = wire_bytes(r, &len);
    if (len != sizeof c->module.digest)
        return -EPROTO;
    memcpy(c->module.digest, digest, len);
    c->module.profile = wire_number(r) == WASM_BUSY ? WASM_BUSY : WASM_DENSE;
    c->args = wire_list(r);
    c->env = wire_list(r);
    c->preopens = wire_list(r);
    c->files = (uint64_t)wire_number(r);
    c->streams = (unsigned)wire_number(r);
    int limits = get_limits(r, &c->limits);
    c->of = wire_text(r);
    c->entry = wire_text(r);
    uint64_t sockets = (uint64_t)wire_number(r);
    c->sockets = (unsigned)sockets;
    c->start = wire_number(r);
    if (!limits && sockets <= WIRE_SOCKETS_MAX && !r->bad)
        return 0;
    wire_create_done(c);
    return -EPROTO;
}

void wire_create_done(struct wire_create *c)
{
    free(c->preopens);
    free(c->args);
    free(c->env);
    *c = (struct wire_create){0};
}
