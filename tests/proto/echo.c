/* SPDX-License-Identifier: Apache-2.0 */
#include "echo.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "loop/loop.h"

struct echo_counts echo_counts;

static int say(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Test__Words *q = request;
    Warren__Test__Words *a = response;
    (void)call, (void)err;
    echo_counts.calls++;
    a->text = q->text;
    a->number = q->number;
    a->data = q->data;
    return 0;
}

static int fail_so(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Test__Words *q = request;
    (void)call, (void)response;
    return fail_plain(err, (int)q->number, "%s", q->text);
}

static void woken(void *arg)
{
    co_wake(arg);
}

static int wait_for(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Test__Words *q = request;
    int64_t until = clock_mono_ns() + q->number * NSEC_PER_MSEC;
    (void)response;
    echo_counts.calls++;
    rpc_on_cancel(call, woken, co_self());
    while (!rpc_cancelled(call) && co_park_until(until))
        ;
    if (!rpc_cancelled(call))
        return 0;
    echo_counts.cancelled++;
    return fail_plain(err, ECANCELED, "cancelled");
}

static int count(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Test__Words *q = request;
    (void)response;
    for (int64_t i = 0; i < q->number; i++) {
        Warren__Test__Words a = WARREN__TEST__WORDS__INIT;
        a.text = q->text;
        a.number = i;
        a.data = q->data;
        int r = rpc_send(call, &a, err);
        if (r < 0) {
            echo_counts.cancelled++;
            return r;
        }
        echo_counts.sent++;
    }
    return str_eq(q->text, "fail") ? fail_plain(err, EBUSY, "at the end") : 0;
}

static int big(struct rpc_call *call, const void *request, void *response, struct error *err)
{
    const Warren__Test__Words *q = request;
    Warren__Test__Words *a = response;
    if (q->number < 0 || q->number > 64 << 20)
        return fail_plain(err, ERANGE, "number: expected 0 to %d", 64 << 20);
    a->data.len = (size_t)q->number;
    a->data.data = arena_alloc(rpc_arena(call), a->data.len);
    return 0;
}

static const struct rpc_method methods[] = {
    {"Say", say, false},    {"Fail", fail_so, false}, {"Wait", wait_for, false},
    {"Count", count, true}, {"Big", big, false},
};

const struct rpc_service echo_service = {.descriptor = &warren__test__echo__descriptor,
                                         .methods = methods,
                                         .method_count = ARRAY_SIZE(methods)};
