/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "fake_technique.h"
#include "sandbox/record.h"
#include "sandbox/tasks.h"

/* A test is a coroutine with a table of its own */

struct world {
    struct fake fake;
    struct sandboxer *s;
    void (*test)(struct world *w);
};

static void in_world(void *arg)
{
    struct world *w = arg;
    w->test(w);
    for (struct sandbox *sb; (sb = list_first(&w->s->all, struct sandbox, table));)
        assert_int_equal(sandboxer_shutdown(w->s, sb->id, NULL), 0);
    for (int i = 0; i < 10; i++) /* what still runs of the fake's ends */
        co_yield ();
    loop_stop();
}

static void with_world(void (*test)(struct world *w))
{
    struct world w = {.test = test};
    assert_int_equal(sandboxer_new(&w.s, &fake_technique, &w.fake, "ttrpc+unix:///x", NULL), 0);
    co_start(in_world, &w);
    loop_run();
    assert_int_equal(w.fake.broken, 0);
    sandboxer_free(w.s);
    buffer_done(&w.fake.last_sandbox_record);
    buffer_done(&w.fake.last_process_record);
}

static int make_sandbox(struct world *w, const char *id)
{
    struct sandbox_request request = {
        .id = id, .netns_path = "/run/netns/x", .config = "cfg", .config_len = 3};
    int r = sandboxer_create(w->s, &request, NULL);
    return r < 0 ? r : sandboxer_start(w->s, id, NULL, NULL);
}

static int make(struct world *w, const char *sandbox, const char *id, const char *exec_id,
                const char *spec, struct error *err)
{
    pid_t pid;
    struct process_request request = {.id = id,
                                      .exec_id = exec_id,
                                      .sandbox_id = sandbox,
                                      .stdin_ = "",
                                      .stdout_ = "log+cri:///l",
                                      .stderr_ = "log+cri:///l",
                                      .bundle = "",
                                      .spec = spec,
                                      .spec_len = strlen(spec)};
    int r = process_create(w->s, &request, &pid, err);
    return r < 0 ? r : process_start(w->s, id, exec_id, &pid, err);
}

static const char sleeps[] = "{\"process\":{\"args\":[\"daemon\"]}}";
static const char exits_3[] = "{\"process\":{\"args\":[\"exit\",\"3\"]}}";

/* One thing each */

static void check_exit(struct world *w)
{
    auto(process_unref) struct process *p = NULL;
    auto(process_unref) struct process *deleted = NULL;
    assert_int_equal(make_sandbox(w, "s"), 0);
    assert_int_equal(make(w, "s", "c", "", exits_3, NULL), 0);
    assert_int_equal(process_wait(w->s, "c", "", NULL, &p, NULL), 0);
    assert_int_equal(p->exit_status, 3);
    assert_true(p->started_ns > 0 && p->exited_ns >= p->started_ns);
    assert_int_equal(process_delete(w->s, "c", "", &deleted, NULL), 0);
    assert_ptr_equal(p, deleted);
    assert_int_equal(process_wait(w->s, "c", "", NULL, &p, NULL), -ENOENT);
    assert_int_equal(sandboxer_shutdown(w->s, "s", NULL), 0);
    assert_int_equal(w->fake.sandboxes + w->fake.processes, 0);
}

static void a_container_that_exits_with_3_reports_3(void **state)
{
    (void)state;
    with_world(check_exit);
}

static void check_missing(struct world *w)
{
    struct error err = {0};
    assert_int_equal(make_sandbox(w, "s"), 0);
    assert_int_equal(make(w, "s", "c", "", "{\"process\":{\"args\":[\"missing\"]}}", &err),
                     -ENOENT);
    assert_non_null(strstr(err.message, "not found in $PATH"));
    assert_int_equal(make(w, "s", "c", "", sleeps, NULL), 0); /* the id is free again */
    assert_int_equal(make(w, "s", "c", "", sleeps, &err), -EEXIST);
    assert_int_equal(sandboxer_shutdown(w->s, "s", NULL), 0);
}

static void a_container_whose_program_is_missing_leaves_nothing(void **state)
{
    (void)state;
    with_world(check_missing);
}

static void check_states(struct world *w)
{
    struct error err = {0};
    struct sandbox_request request = {.id = "s", .netns_path = ""};
    assert_int_equal(sandboxer_start(w->s, "s", NULL, &err), -ENOENT);
    assert_int_equal(sandboxer_stop(w->s, "s", 1, &err), 0);
    assert_int_equal(sandboxer_shutdown(w->s, "s", &err), 0);
    assert_int_equal(sandboxer_create(w->s, &request, &err), 0);
    assert_int_equal(sandboxer_create(w->s, &request, &err), -EEXIST);
    assert_int_equal(make(w, "s", "c", "", sleeps, &err), -EPROTO); /* not started */
    assert_int_equal(sandboxer_start(w->s, "s", NULL, &err), 0);
    assert_int_equal(sandboxer_start(w->s, "s", NULL, &err), -EPROTO);
    assert_int_equal(make(w, "s", "c", "e", sleeps, &err), -ENOENT);
    assert_int_equal(make(w, "s", "c", "", sleeps, &err), 0);
    assert_int_equal(process_delete(w->s, "c", "", NULL, &err), -EPROTO); /* it runs */
    assert_int_equal(process_pause(w->s, "c", &err), 0);
    assert_int_equal(process_resume(w->s, "c", &err), 0);
    assert_int_equal(process_update(w->s, "c", "{}", 2, &err), -EOPNOTSUPP);
    assert_string_equal(err.message, "the fake technique cannot change a container's resources");
    assert_int_equal(process_kill(w->s, "c", "", 99, false, &err), -EINVAL);
    assert_int_equal(make(w, "s", "c", "e", sleeps, &err), 0);
    assert_int_equal(process_kill(w->s, "c/e", "", SIGKILL, false, &err), -ENOENT);
    assert_int_equal(sandboxer_stop(w->s, "s", 0, &err), 0);
    assert_int_equal(make(w, "s", "d", "", sleeps, &err), -EPROTO);
    assert_int_equal(sandboxer_shutdown(w->s, "s", &err), 0);
    assert_int_equal(w->fake.sandboxes + w->fake.processes, 0);
    assert_int_equal(make_sandbox(w, "../s"), -EINVAL);
}

static void operations_out_of_order_are_refused(void **state)
{
    (void)state;
    with_world(check_states);
}

static void check_holder(struct world *w)
{
    auto(process_unref) struct process *p = NULL;
    auto(sandbox_unref) struct sandbox *sb = NULL;
    assert_int_equal(make_sandbox(w, "s"), 0);
    assert_int_equal(make_sandbox(w, "other"), 0);
    assert_int_equal(make(w, "s", "c", "", sleeps, NULL), 0);
    assert_int_equal(make(w, "other", "d", "", sleeps, NULL), 0);
    fake_kill_holder(sandboxer_find_sandbox(w->s, "s"));
    assert_int_equal(process_wait(w->s, "c", "", NULL, &p, NULL), 0);
    assert_int_equal(p->exit_status, 137);
    assert_int_equal(sandboxer_wait(w->s, "s", NULL, &sb, NULL), 0);
    assert_int_equal(sb->exit_status, 137);
    assert_int_equal(sandboxer_find_process(w->s, "d", "")->state, SANDBOX_RUNNING);
}

static void the_end_of_a_holder_ends_its_sandbox_and_no_other(void **state)
{
    (void)state;
    with_world(check_holder);
}

static void check_recovery(struct world *w)
{
    assert_int_equal(make_sandbox(w, "s"), 0);
    assert_int_equal(make(w, "s", "c", "", sleeps, NULL), 0);
    struct process *before = sandboxer_find_process(w->s, "c", "");
    struct fake fake = {.adopt_sandbox = &w->fake.last_sandbox_record,
                        .adopt_process = &w->fake.last_process_record};
    auto(sandboxer) struct sandboxer *again = NULL;
    assert_int_equal(sandboxer_new(&again, &fake_technique, &fake, "x", NULL), 0);
    assert_int_equal(fake_technique.recover(&fake, again, NULL), 0);
    struct sandbox *sb = sandboxer_find_sandbox(again, "s");
    struct process *p = sandboxer_find_process(again, "c", "");
    assert_string_equal(sb->netns_path, "/run/netns/x");
    assert_memory_equal(sb->config, "cfg", 3);
    assert_int_equal(p->created_ns, before->created_ns);
    assert_string_equal(p->stdout_, "log+cri:///l");
    assert_int_equal(p->pid, 77);
    assert_int_equal(process_kill(again, "c", "", SIGKILL, false, NULL), 0);
    assert_int_equal(sandboxer_shutdown(again, "s", NULL), 0);
    /* damaged ones are refused, wherever the damage is */
    struct buffer *record = &w->fake.last_process_record;
    for (size_t len = 0; len < record->len; len++) {
        auto(arena) struct arena arena = {0};
        struct record ret;
        assert_int_equal(record_read_process(record->data, len, &arena, &ret, NULL), -EINVAL);
    }
}

static void what_runs_is_found_again_by_its_record(void **state)
{
    (void)state;
    with_world(check_recovery);
}

static void check_events(struct world *w)
{
    struct event_watcher watcher, late;
    event_watch(&w->s->events, &watcher, 0);
    for (int i = 0; i < EVENTS_KEPT + 100; i++)
        event_log_add(&w->s->events, true, "s", false);
    assert_int_equal(event_take(&w->s->events, &watcher)->cursor, 1);
    assert_true(event_log_has(&w->s->events, 1)); /* the watcher has not taken what follows */
    while (event_take(&w->s->events, &watcher))
        ;
    assert_int_equal(watcher.cursor, EVENTS_KEPT + 100);
    event_log_add(&w->s->events, true, "s", false);
    assert_false(event_log_has(&w->s->events, 1));
    assert_false(event_log_has(&w->s->events, EVENTS_KEPT + 102));
    assert_true(event_log_has(&w->s->events, EVENTS_KEPT));
    event_watch(&w->s->events, &late, w->s->events.cursor);
    for (int i = 0; i < EVENTS_MAX + 10; i++) {
        event_log_add(&w->s->events, true, "s", false);
        while (event_take(&w->s->events, &watcher))
            ;
    }
    assert_true(late.dropped);
    assert_false(watcher.dropped);
    event_unwatch(&late);
    event_unwatch(&watcher);
}

static void a_watcher_loses_no_event_unless_it_is_far_behind(void **state)
{
    (void)state;
    with_world(check_events);
}

static void bad_tasks_are_refused_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } bad[] = {
        {"{\"tasks\":[{\"task_id\":\"../x\"}]}", "tasks[0]: task_id '../x' is not valid"},
        {"{\"tasks\":[{\"task_id\":\"a\"},{\"task_id\":\"b\",\"rootfs\":[{\"options\":[3]}]}]}",
         "tasks[1]: rootfs[0]: options[0]: a string is expected"},
        {"{\"tasks\":[{\"task_id\":\"a\",\"processes\":[{\"exec_id\":7}]}]}",
         "tasks[0]: processes[0]: exec_id: a string is expected"},
        {"{\"tasks\":", "cut off"},
        {"{\"tasks\":7}", "tasks: a list is expected"},
        {"[]", "an object is expected"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct sandbox_tasks *tasks;
        struct error err = {0};
        assert_true(sandbox_tasks_parse(bad[i].json, strlen(bad[i].json), &tasks, &err) < 0);
        if (!strstr(err.message, bad[i].says))
            print_message("%s\n", err.message);
        assert_non_null(strstr(err.message, bad[i].says));
    }
}

/* Simulation */

enum { ACTORS = 6, STEPS = 60, SEEDS = 300 };

static const char *const sandbox_ids[] = {"s0", "s1", "s2"};
static const char *const container_ids[] = {"c0", "c1", "c2", "c3"};
static const char *const exec_ids[] = {"", "", "e0", "e1"};

struct simulation {
    struct fake fake;
    struct sandboxer *s;
    unsigned actors;
    struct co_queue finished;
    struct event_watcher watcher;
    struct map seen; /* key -> state + 1, as a watcher knows it */
    char keys[64][16];
    size_t key_count;
    unsigned waits;
};

static void random_sandbox_step(struct simulation *m)
{
    const char *id = sandbox_ids[fake_random(&m->fake, 3)];
    struct sandbox_request request = {.id = id, .netns_path = ""};
    struct sandbox *sb;
    switch (fake_random(&m->fake, 8)) {
    case 0:
    case 1:
    case 2:
        sandboxer_create(m->s, &request, NULL);
        break;
    case 3:
    case 4:
        sandboxer_start(m->s, id, NULL, NULL);
        break;
    case 5:
        sandboxer_stop(m->s, id, 0, NULL);
        break;
    case 6:
        sandboxer_shutdown(m->s, id, NULL);
        break;
    default:
        sb = sandboxer_find_sandbox(m->s, id);
        if (sb)
            fake_kill_holder(sb);
    }
}

static void wait_for_one(void *arg)
{
    struct simulation *m = arg;
    auto(process_unref) struct process *p = NULL;
    process_wait(m->s, container_ids[fake_random(&m->fake, 4)], "", NULL, &p, NULL);
    assert_true(!p || p->exited_ns);
    m->waits--;
    co_queue_wake_all(&m->finished);
}

static void random_process_step(struct simulation *m)
{
    const char *id = container_ids[fake_random(&m->fake, 4)];
    const char *exec_id = exec_ids[fake_random(&m->fake, 4)];
    const char *sandbox_id = sandbox_ids[fake_random(&m->fake, 3)];
    struct process_request request = {.id = id,
                                      .exec_id = exec_id,
                                      .sandbox_id = sandbox_id,
                                      .stdin_ = "",
                                      .stdout_ = "",
                                      .stderr_ = "",
                                      .bundle = "",
                                      .spec = "{}",
                                      .spec_len = 2};
    struct process_stats stats;
    auto(buffer) struct buffer pids = {0};
    autofree char *address = NULL, *token = NULL;
    pid_t pid;
    switch (fake_random(&m->fake, 12)) {
    case 0:
    case 1:
    case 2:
        if (process_create(m->s, &request, &pid, NULL) == 0 && fake_random(&m->fake, 4))
            process_start(m->s, id, exec_id, &pid, NULL);
        break;
    case 3:
        process_start(m->s, id, exec_id, &pid, NULL);
        break;
    case 4:
    case 5:
        process_kill(m->s, id, exec_id, SIGKILL, fake_random(&m->fake, 2), NULL);
        break;
    case 6:
    case 7:
        process_delete(m->s, id, exec_id, NULL, NULL);
        break;
    case 8:
        process_get_stats(m->s, id, &stats, NULL);
        break;
    case 9:
        process_attach(m->s, id, exec_id, true, true, true, &address, &token, NULL);
        break;
    case 10:
        process_pause(m->s, id, NULL);
        process_pids(m->s, id, &pids, NULL);
        process_resume(m->s, id, NULL);
        break;
    default:
        m->waits++;
        co_start(wait_for_one, m);
    }
}

static void act(void *arg)
{
    struct simulation *m = arg;
    for (int i = 0; i < STEPS; i++) {
        if (fake_random(&m->fake, 3) == 0)
            random_sandbox_step(m);
        else
            random_process_step(m);
        if (fake_random(&m->fake, 4) == 0)
            co_yield ();
    }
    m->actors--;
    co_queue_wake_all(&m->finished);
}

static const char *stable_key(struct simulation *m, const char *key)
{
    for (size_t i = 0; i < m->key_count; i++)
        if (str_eq(m->keys[i], key))
            return m->keys[i];
    assert_true(m->key_count < ARRAY_SIZE(m->keys));
    snprintf(m->keys[m->key_count], sizeof m->keys[0], "%s", key);
    return m->keys[m->key_count++];
}

/* What a client of Watch would know: takes all events and looks states up. */
static void follow(struct simulation *m)
{
    const struct event *e;
    while ((e = event_take(&m->s->events, &m->watcher))) {
        const char *key = stable_key(m, e->key);
        struct sandbox *sb = e->sandbox ? map_get(&m->s->sandboxes, key) : NULL;
        struct process *p = e->sandbox ? NULL : map_get(&m->s->processes, key);
        map_remove(&m->seen, key);
        if (sb && !sb->making)
            map_add(&m->seen, key, (void *)((uintptr_t)sb->state + 1));
        if (p && !p->making)
            map_add(&m->seen, key, (void *)((uintptr_t)p->state + 1));
    }
}

static void check_view(struct simulation *m)
{
    size_t i = 0, n = 0;
    for (struct sandbox *sb; (sb = map_next(&m->s->sandboxes, &i)); n++)
        assert_int_equal((uintptr_t)map_get(&m->seen, sb->id), sb->state + 1);
    i = 0;
    for (struct process *p; (p = map_next(&m->s->processes, &i)); n++)
        assert_int_equal((uintptr_t)map_get(&m->seen, p->key), p->state + 1);
    assert_int_equal(n, m->seen.count);
}

static void simulate(void *arg)
{
    struct simulation *m = arg;
    co_queue_init(&m->finished);
    event_watch(&m->s->events, &m->watcher, 0);
    for (m->actors = 0; m->actors < ACTORS; m->actors++)
        co_start(act, m);
    while (m->actors)
        co_queue_wait(&m->finished, INT64_MAX);
    follow(m);
    check_view(m);
    m->fake.fail_percent = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sandbox_ids); i++)
        assert_int_equal(sandboxer_shutdown(m->s, sandbox_ids[i], NULL), 0);
    while (m->waits)
        co_queue_wait(&m->finished, INT64_MAX);
    follow(m);
    check_view(m);
    assert_int_equal(m->s->sandboxes.count + m->s->processes.count, 0);
    for (int i = 0; i < 300; i++) /* what still runs of the fake's ends */
        co_yield ();
    event_unwatch(&m->watcher);
    loop_stop();
}

static void whatever_the_order_nothing_is_lost_or_left(void **state)
{
    (void)state;
    const char *only = getenv("SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct simulation m = {.fake = {.random = seed * 0x9e3779b97f4a7c15u, .fail_percent = 5}};
        assert_int_equal(sandboxer_new(&m.s, &fake_technique, &m.fake, "x", NULL), 0);
        co_start(simulate, &m);
        loop_run();
        if (m.fake.broken || m.fake.sandboxes || m.fake.processes) {
            print_error("seed %llu\n", (unsigned long long)seed);
            assert_int_equal(m.fake.broken, 0);
            assert_int_equal(m.fake.sandboxes + m.fake.processes, 0);
        }
        sandboxer_free(m.s);
        map_done(&m.seen);
        buffer_done(&m.fake.last_sandbox_record);
        buffer_done(&m.fake.last_process_record);
    }
}

int main(void)
{
    diag_init("test", DIAG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_that_exits_with_3_reports_3),
        cmocka_unit_test(a_container_whose_program_is_missing_leaves_nothing),
        cmocka_unit_test(operations_out_of_order_are_refused),
        cmocka_unit_test(the_end_of_a_holder_ends_its_sandbox_and_no_other),
        cmocka_unit_test(what_runs_is_found_again_by_its_record),
        cmocka_unit_test(a_watcher_loses_no_event_unless_it_is_far_behind),
        cmocka_unit_test(bad_tasks_are_refused_with_the_place),
        cmocka_unit_test(whatever_the_order_nothing_is_lost_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
