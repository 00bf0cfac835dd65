/* SPDX-License-Identifier: Apache-2.0 */
/* Pages as differences to others: what hibernation keeps. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "wasm/worker/delta.h"

static uint64_t random_state = 1;

static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* The delta in a buffer of exactly its size, so that a read past it is seen. */
static size_t round_trip(const uint8_t *page, const uint8_t *reference, uint64_t moved)
{
    static uint8_t out[DELTA_MAX];
    uint8_t back[DELTA_PAGE];
    size_t len = delta_pack(out, page, reference, moved);
    if (!len)
        return 0;
    autofree uint8_t *exact = malloc(len);
    memcpy(exact, out, len);
    memset(back, 0xa5, sizeof back);
    assert_int_equal(delta_unpack(back, exact, len, reference, moved), len);
    assert_memory_equal(back, page, DELTA_PAGE);
    return len;
}

static void a_page_like_its_reference_takes_nothing(void **state)
{
    uint8_t page[DELTA_PAGE] = {0}, reference[DELTA_PAGE] = {0};
    (void)state;
    assert_int_equal(round_trip(page, NULL, 0), 0);
    assert_int_equal(round_trip(page, reference, 4096), 0);
    memset(page, 7, sizeof page);
    memset(reference, 7, sizeof reference);
    assert_int_equal(round_trip(page, reference, 0), 0);
}

static void pointers_that_moved_with_their_stack_take_two_bits(void **state)
{
    uint64_t page[DELTA_PAGE / 8] = {0}, reference[DELTA_PAGE / 8] = {0};
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        reference[8 * i] = 0x7f0000001000 + 8 * i;
        page[8 * i] = reference[8 * i] + 0x40000;
    }
    assert_int_equal(round_trip((uint8_t *)page, (uint8_t *)reference, 0x40000), 8 + 40 + 10);
    assert_true(round_trip((uint8_t *)page, (uint8_t *)reference, 0) > 40 * 8);
}

static void any_page_comes_back_as_it_was(void **state)
{
    uint64_t page[DELTA_PAGE / 8], reference[DELTA_PAGE / 8];
    (void)state;
    for (int round = 0; round < 2000; round++) {
        unsigned density = (unsigned)(random_number() % 9);
        uint64_t moved = round % 3 ? random_number() & ~UINT64_C(0xfff) : 0;
        for (size_t i = 0; i < ARRAY_SIZE(page); i++) {
            reference[i] = random_number() % 2 ? random_number() : 0;
            page[i] = reference[i];
            if (random_number() % 8 < density)
                page[i] = random_number() % 3   ? random_number()
                          : random_number() % 2 ? reference[i] + moved
                                                : 0;
        }
        round_trip((uint8_t *)page, round % 5 ? (uint8_t *)reference : NULL, moved);
    }
}

static void a_damaged_delta_is_refused_and_never_read_past_its_end(void **state)
{
    uint8_t page[DELTA_PAGE], back[DELTA_PAGE], out[DELTA_MAX];
    (void)state;
    for (size_t i = 0; i < DELTA_PAGE; i++)
        page[i] = (uint8_t)random_number();
    size_t len = delta_pack(out, page, NULL, 0);
    for (size_t cut = 0; cut < len; cut += 13) {
        autofree uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, out, cut);
        assert_int_equal(delta_unpack(back, exact, cut, NULL, 0), 0);
    }
    for (int round = 0; round < 2000; round++) {
        size_t n = random_number() % 300;
        autofree uint8_t *noise = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++)
            noise[i] = (uint8_t)(random_number() & random_number());
        assert_true(delta_unpack(back, noise, n, NULL, 0) <= n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_like_its_reference_takes_nothing),
        cmocka_unit_test(pointers_that_moved_with_their_stack_take_two_bits),
        cmocka_unit_test(any_page_comes_back_as_it_was),
        cmocka_unit_test(a_damaged_delta_is_refused_and_never_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
