/* SPDX-License-Identifier: Apache-2.0 */
/* The wasm worker's run queue by itself: whole days of it in a moment. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "wasm/worker/fair.h"

enum { SLICE = 2 * NSEC_PER_MSEC };

struct one {
    struct fair_item item; /* first */
    struct fair_group *group;
    int64_t had;
};

static struct one *take(struct fair *f)
{
    struct fair_item *i = fair_take(f);
    return i ? container_of(i, struct one, item) : NULL;
}

/* Lets the next one run for ns, and puts it back. */
static struct one *run_next(struct fair *f, int64_t ns)
{
    struct one *o = take(f);
    assert_non_null(o);
    o->had += ns;
    fair_charge(f, &o->item, o->group, ns);
    fair_put(f, &o->item, o->group, FAIR_TURN_OVER);
    return o;
}

static void add(struct fair *f, struct one *o, uint32_t weight, struct fair_group *group)
{
    fair_item_init(&o->item, weight);
    o->group = group;
    fair_put(f, &o->item, group, FAIR_WOKEN);
}

static void assert_share(int64_t had, int64_t sum, double wanted)
{
    double got = (double)had / (double)sum;
    if (got < wanted - 0.01 || got > wanted + 0.01)
        print_error("%f where %f was wanted\n", got, wanted);
    assert_true(got >= wanted - 0.01 && got <= wanted + 0.01);
}

static void the_cpu_goes_by_weight(void **state)
{
    (void)state;
    struct fair f = {0};
    struct one o[3] = {0};
    static const uint32_t weights[] = {FAIR_WEIGHT_MIN, 1024, 3072};
    for (int i = 0; i < 3; i++)
        add(&f, &o[i], weights[i], NULL);
    for (int i = 0; i < 100000; i++)
        run_next(&f, SLICE - i % 7 * 1000);
    int64_t sum = o[0].had + o[1].had + o[2].had;
    assert_true(o[0].had > 0);
    assert_share(o[1].had, sum, 0.25);
    assert_share(o[2].had, sum, 0.75);
    heap_done(&f.items);
}

static struct fair_group *group_new(uint32_t weight)
{
    struct fair_group *g = calloc(1, sizeof *g);
    fair_item_init(&g->item, weight);
    g->item.is_group = 1;
    return g;
}

static void a_pods_weight_is_shared_by_its_containers(void **state)
{
    (void)state;
    struct fair f = {0};
    struct one o[4] = {0};
    struct fair_group *a = group_new(1024), *b = group_new(3072);
    add(&f, &o[0], 1024, a);
    add(&f, &o[1], 3072, a);
    add(&f, &o[2], 0, b);
    add(&f, &o[3], 1024, NULL);
    for (int i = 0; i < 100000; i++)
        run_next(&f, SLICE);
    int64_t sum = o[0].had + o[1].had + o[2].had + o[3].had;
    assert_share(o[0].had, sum, 0.05);
    assert_share(o[1].had, sum, 0.15);
    assert_share(o[2].had, sum, 0.6);
    assert_share(o[3].had, sum, 0.2);
    fair_hold(&f, b, true); /* over its quota */
    o[2].had = 0;
    for (int i = 0; i < 1000; i++)
        run_next(&f, SLICE);
    assert_int_equal(o[2].had, 0);
    fair_hold(&f, b, false);
    assert_ptr_equal(take(&f), &o[2]);
    fair_remove(&f, &o[0].item, a);
    fair_remove(&f, &o[1].item, a);
    assert_ptr_equal(take(&f), &o[3]);
    assert_null(take(&f));
    heap_done(&a->guests.items);
    heap_done(&b->guests.items);
    heap_done(&f.items);
    free(a);
    free(b);
}

static void who_wakes_comes_next_and_has_nothing_saved_up(void **state)
{
    (void)state;
    struct fair f = {0};
    struct one o[101] = {0};
    for (int i = 0; i < 100; i++)
        add(&f, &o[i], 0, NULL);
    for (int i = 0; i < 10000; i++)
        run_next(&f, SLICE);
    add(&f, &o[100], 0, NULL); /* as one that has slept since ever */
    assert_ptr_equal(run_next(&f, SLICE), &o[100]);
    int turns = 0;
    for (int i = 0; i < 100; i++)
        turns += run_next(&f, SLICE) == &o[100];
    assert_in_range(turns, 0, 2);
    heap_done(&f.items);
}

static void who_computes_for_long_wakes_behind_who_does_not(void **state)
{
    (void)state;
    struct fair f = {0};
    struct one spins = {0}, writes[10] = {0}, sleeps = {0};
    add(&f, &spins, FAIR_WEIGHT, NULL);
    for (int i = 0; i < 100; i++)
        run_next(&f, SLICE);
    for (int i = 0; i < 10; i++) {
        fair_item_init(&writes[i].item, FAIR_WEIGHT);
        fair_put(&f, &writes[i].item, NULL, FAIR_LONG_WOKEN);
    }
    add(&f, &sleeps, FAIR_WEIGHT, NULL);
    assert_ptr_equal(fair_first(&f), &sleeps.item);
    assert_ptr_equal(take(&f), &sleeps);
    heap_done(&f.items);
}

static void a_queue_of_100000_is_as_quick_as_a_small_one(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct fair f = {0};
    struct one *o = calloc(MANY, sizeof *o);
    for (int i = 0; i < MANY; i++)
        add(&f, &o[i], 0, NULL);
    int64_t before = clock_mono_ns();
    for (int i = 0; i < MANY; i++)
        run_next(&f, SLICE);
    int64_t took = clock_mono_ns() - before;
    printf("# %lld ns a turn of %d\n", (long long)took / MANY, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(o[i].had, SLICE); /* each had its turn */
    for (int i = 0; i < MANY; i += 3)
        fair_remove(&f, &o[i].item, NULL);
    int left = 0;
    for (struct one *x; (x = take(&f)); left++)
        assert_int_not_equal((x - o) % 3, 0);
    assert_int_equal(left, MANY - (MANY + 2) / 3);
    heap_done(&f.items);
    free(o);
}

static void a_quota_is_kept_without_drift(void **state)
{
    (void)state;
    struct fair_quota q = {.quota = 10 * NSEC_PER_MSEC, .period = 100 * NSEC_PER_MSEC};
    int64_t now = 12345, used = 0, until;
    for (int turn = 0; now < 1000 * NSEC_PER_SEC; turn++) {
        while ((until = fair_quota_until(&q, now)))
            now = until + turn % 5 * 100000; /* waking is late */
        int64_t reserved = fair_quota_reserve(&q, SLICE);
        int64_t ran = reserved + turn % 3 * 900000; /* and so is the end of a turn */
        fair_quota_charge(&q, reserved, ran);
        now += ran;
        used += ran;
    }
    assert_share(used, now, 0.1);
    /* what was not used in a long while is lost */
    now += 100 * NSEC_PER_SEC;
    for (used = 0; !fair_quota_until(&q, now); used += SLICE)
        fair_quota_charge(&q, fair_quota_reserve(&q, SLICE), SLICE);
    assert_in_range(used, 10 * NSEC_PER_MSEC, 12 * NSEC_PER_MSEC);
    struct fair_quota none = {0};
    assert_int_equal(fair_quota_until(&none, now), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cpu_goes_by_weight),
        cmocka_unit_test(a_pods_weight_is_shared_by_its_containers),
        cmocka_unit_test(who_wakes_comes_next_and_has_nothing_saved_up),
        cmocka_unit_test(who_computes_for_long_wakes_behind_who_does_not),
        cmocka_unit_test(a_queue_of_100000_is_as_quick_as_a_small_one),
        cmocka_unit_test(a_quota_is_kept_without_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
