/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest may have of the CPU: its group, its weight, its quota, its limits. */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "wasm/wire_create.h"
#include "wasm/worker/sched_own.h"

/* What the kernel has for CFS: 100 ms where a period is not said. */
enum { PERIOD_US = 100000 };

#define BURST_NS ((int64_t)SCHED_SLICE_MS * NSEC_PER_MSEC)

void share_ran(struct guest *g, int64_t ns)
{
    int64_t burst = g->burst + ns;
    g->burst = (uint32_t)(burst < 2 * BURST_NS ? burst : 2 * BURST_NS);
}

void share_waited(struct guest *g)
{
    int64_t back = (clock_mono_ns() - g->parked_ns) / 4;
    g->burst = back < g->burst ? g->burst - (uint32_t)back : 0;
}

bool share_is_long(const struct guest *g)
{
    return g->burst >= BURST_NS;
}

static uint32_t weight_of(uint64_t shares)
{
    if (shares < FAIR_WEIGHT_MIN)
        return FAIR_WEIGHT_MIN;
    return shares > FAIR_WEIGHT_MAX ? FAIR_WEIGHT_MAX : (uint32_t)shares;
}

static bool says_quota(const struct wire_cpu *cpu)
{
    return cpu->quota || cpu->period;
}

/* What is not said stays; a change begins a new period. */
static void set_quota(struct fair_quota *q, const struct wire_cpu *cpu)
{
    int64_t period = cpu->period ? (int64_t)cpu->period * 1000
                     : q->period ? q->period
                                 : PERIOD_US * INT64_C(1000);
    int64_t quota = cpu->quota ? cpu->quota * 1000 : q->quota;
    if (quota <= 0)
        *q = (struct fair_quota){0};
    else
        *q = (struct fair_quota){.quota = quota, .period = period};
}

struct sched_group *sched_group_new(const struct wire_cpu *cpu)
{
    struct sched_group *group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    fair_item_init(&group->fair.item, cpu->shares ? weight_of(cpu->shares) : FAIR_WEIGHT);
    group->fair.item.is_group = 1;
    group->refill.kind = TIMER_GROUP;
    group->users = 1;
    if (says_quota(cpu))
        set_quota(&group->fair.quota, cpu);
    return group;
}

static void unref(struct sched_group *group)
{
    if (!group || --group->users)
        return;
    heap_remove(&sched.timers, &group->refill.at);
    heap_done(&group->fair.guests.items);
    free(group);
}

void sched_group_free(struct sched_group *group)
{
    sched_lock();
    unref(group);
    sched_unlock();
}

static struct sched_control *control_of(struct guest *g)
{
    if (!g->control && (g->control = calloc(1, sizeof *g->control))) {
        g->control->wall.kind = TIMER_WALL;
        g->control->guest = g;
    }
    return g->control;
}

int sched_join(struct guest *g, struct sched_group *group, const struct wire_cpu *cpu)
{
    if (says_quota(cpu)) {
        if (!control_of(g))
            return -ENOMEM;
        set_quota(&g->control->quota, cpu);
    }
    fair_item_init(&g->fair, cpu->shares ? weight_of(cpu->shares) : FAIR_WEIGHT);
    sched_lock();
    g->group = group;
    if (group)
        group->users++;
    sched_unlock();
    return 0;
}

int sched_limit(struct guest *g, uint64_t cpu_ns, int64_t wall_ns)
{
    if (!cpu_ns && !wall_ns)
        return 0;
    if (!control_of(g))
        return -ENOMEM;
    g->control->cpu_limit = cpu_ns;
    g->control->wall_limit = wall_ns;
    return 0;
}

int sched_set_cpu(struct guest *g, const struct wire_cpu *cpu)
{
    int r = 0;
    sched_lock();
    if (cpu->shares)
        g->fair.weight = weight_of(cpu->shares) & INT32_MAX;
    if (says_quota(cpu) && !control_of(g))
        r = -ENOMEM;
    else if (says_quota(cpu))
        set_quota(&g->control->quota, cpu);
    if (g->state == GUEST_THROTTLED) {
        sched_stop_waiting(g);
        sched_make_ready(g, true);
    }
    sched_unlock();
    return r;
}

void sched_leave(struct guest *g)
{
    sched_lock();
    if (g->control)
        heap_remove(&sched.timers, &g->control->wall.at);
    unref(take_ptr(&g->group));
    sched_unlock();
    free(take_ptr(&g->control));
}
