/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/worker/fair.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"

/* How far before the queue's virtual time one may come back: what has waited, and what is slow to get its turn
 * (it has more weight than there are cores for it). */
#define WOKEN_NS (2 * NSEC_PER_MSEC)
#define LAG_NS   (20 * NSEC_PER_MSEC)
/* The least that is worth a turn. */
#define RESERVE_NS (NSEC_PER_MSEC / 5)

void fair_item_init(struct fair_item *i, uint32_t weight)
{
    *i = (struct fair_item){.weight = (weight ? weight : FAIR_WEIGHT) & INT32_MAX};
}

int64_t fair_scale(int64_t ns, const struct fair_item *i)
{
    return ns * FAIR_WEIGHT / (int64_t)i->weight;
}

static void put(struct fair *f, struct fair_item *i, enum fair_comes comes)
{
    static const int64_t before[] = {
        [FAIR_TURN_OVER] = LAG_NS, [FAIR_WOKEN] = WOKEN_NS, [FAIR_LONG_WOKEN] = 0};
    int64_t least = f->virtual - before[comes];
    if (i->virtual - least < 0)
        i->virtual = least;
    heap_add(&f->items, i->virtual, &i->at);
}

void fair_put(struct fair *f, struct fair_item *i, struct fair_group *group, enum fair_comes comes)
{
    put(group ? &group->guests : f, i, comes);
    if (group && !group->held && !group->item.at)
        put(f, &group->item, comes);
}

static struct fair_item *first(const struct fair *f)
{
    return f->items.count ? container_of(f->items.entries[0].at, struct fair_item, at) : NULL;
}

struct fair_item *fair_first(const struct fair *f)
{
    struct fair_item *i = first(f);
    return i && i->is_group ? first(&container_of(i, struct fair_group, item)->guests) : i;
}

static struct fair_item *take(struct fair *f)
{
    struct fair_item *i = first(f);
    if (!i)
        return NULL;
    heap_remove(&f->items, &i->at);
    if (i->virtual - f->virtual > 0)
        f->virtual = i->virtual;
    return i;
}

struct fair_item *fair_take(struct fair *f)
{
    struct fair_item *i = take(f);
    if (!i || !i->is_group)
        return i;
    struct fair_group *group = container_of(i, struct fair_group, item);
    i = take(&group->guests);
    if (group->guests.items.count)
        heap_add(&f->items, group->item.virtual, &group->item.at);
    return i;
}

void fair_remove(struct fair *f, struct fair_item *i, struct fair_group *group)
{
    heap_remove(group ? &group->guests.items : &f->items, &i->at);
    if (group && !group->guests.items.count)
        heap_remove(&f->items, &group->item.at);
}

static void charge(struct fair *f, struct fair_item *i, int64_t ns)
{
    i->virtual += fair_scale(ns, i);
    if (i->at)
        heap_change(&f->items, i->virtual, &i->at);
}

void fair_charge(struct fair *f, struct fair_item *i, struct fair_group *group, int64_t ns)
{
    charge(group ? &group->guests : f, i, ns);
    if (group)
        charge(f, &group->item, ns);
}

int64_t fair_virtual(const struct fair_item *i, const struct fair_group *group)
{
    return group ? group->item.virtual : i->virtual;
}

void fair_hold(struct fair *f, struct fair_group *group, bool held)
{
    group->held = held;
    if (held)
        heap_remove(&f->items, &group->item.at);
    else if (group->guests.items.count && !group->item.at)
        put(f, &group->item, FAIR_WOKEN);
}

int64_t fair_quota_until(struct fair_quota *q, int64_t now)
{
    if (!q->period)
        return 0;
    if (!q->begun)
        q->begun = now;
    int64_t periods = (now - q->begun) / q->period;
    if (periods > 0) {
        q->begun += periods * q->period;
        q->used = periods > q->used / q->quota ? 0 : q->used - periods * q->quota;
    }
    return q->used < q->quota ? 0 : q->begun + q->period;
}

int64_t fair_quota_reserve(struct fair_quota *q, int64_t ns)
{
    if (!q->period)
        return ns;
    int64_t left = q->quota - q->used;
    ns = left < RESERVE_NS ? RESERVE_NS : left < ns ? left : ns;
    q->used += ns;
    return ns;
}

void fair_quota_charge(struct fair_quota *q, int64_t reserved, int64_t ns)
{
    if (!q->period)
        return;
    q->used += ns - reserved;
    if (q->used < 0) /* reserved in a period that is over */
        q->used = 0;
}
