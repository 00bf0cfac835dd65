/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs next: weighted fair queueing in two levels, and quotas. Knows neither guests nor time: the scheduler says what ran for how
 * long. No locks: the scheduler's.
 *
 * Model. A queue holds items: guests, and groups of guests (a pod with CPU resources of its own). An item's virtual time advances by
 * the CPU time that it used, divided by its weight; the least comes first. Weights are cgroup v1's CPU shares: they count against those
 * of siblings. What comes back after a while starts a little before the queue's own virtual time, so that it
 * runs next but has nothing saved up.
 *
 * A quota is so much CPU time in each period. What was used beyond it is owed in the next; what was not used is lost. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wasm/worker/heap.h"

enum { FAIR_WEIGHT = 1024, FAIR_WEIGHT_MIN = 2, FAIR_WEIGHT_MAX = 262144 };

struct fair_item {
    int64_t virtual; /* ns at FAIR_WEIGHT */
    uint32_t at;     /* place in its queue plus 1 */
    uint32_t weight : 31;
    uint32_t is_group : 1;
};

struct fair {
    struct heap items;
    int64_t virtual; /* the latest that was taken */
};

struct fair_quota {
    int64_t quota, period; /* ns; period 0: there is none */
    int64_t begun;         /* of the period, on the caller's clock */
    int64_t used;          /* in it; and reserved by what runs */
};

struct fair_group {
    struct fair_item item; /* in the queue while guests has some, unless held */
    struct fair guests;
    struct fair_quota quota;
    bool held; /* over its quota */
};

void fair_item_init(struct fair_item *i, uint32_t weight);

enum fair_comes {
    FAIR_TURN_OVER,
    FAIR_WOKEN,     /* it waited, and did not only lose its turn: it is next */
    FAIR_LONG_WOKEN /* the same, but behind those */
};
/* group: NULL for none. */
void fair_put(struct fair *f, struct fair_item *i, struct fair_group *group, enum fair_comes comes);
/* What fair_take() would give. */
struct fair_item *fair_first(const struct fair *f);
/* The next one, taken out; NULL where there is none that may run. */
struct fair_item *fair_take(struct fair *f);
/* Takes i out. Harmless where it is in no queue. */
void fair_remove(struct fair *f, struct fair_item *i, struct fair_group *group);
/* It ran for ns. It may be in the queue or not. */
void fair_charge(struct fair *f, struct fair_item *i, struct fair_group *group, int64_t ns);
/* The virtual time by which i competes: its group's, if it has one. */
int64_t fair_virtual(const struct fair_item *i, const struct fair_group *group);
int64_t fair_scale(int64_t ns, const struct fair_item *i);
/* A group over its quota stays out of the queue with all its guests. */
void fair_hold(struct fair *f, struct fair_group *group, bool held);

/* 0 where it may run, else when its next period begins. */
int64_t fair_quota_until(struct fair_quota *q, int64_t now);
/* Reserves at most ns of what is left: how much. fair_quota_until() was 0. */
int64_t fair_quota_reserve(struct fair_quota *q, int64_t ns);
/* ns were used of those reserved. */
void fair_quota_charge(struct fair_quota *q, int64_t reserved, int64_t ns);
