/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that run guests. */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/worker/runtime.h"
#include "wasm/worker/sched_own.h"

/* SPARE: how many turns may be stuck before one has to end. SLOW_TURNS: how many in a row must end in time before a guest that
 * was stuck is as the others again. */
enum { SPARE = 16, SLOW_TURNS = 16, STEP_BACK = 5 };
/* The turn of a quick thread: longer, and the kernel would let it wait in the middle. */
#define QUICK_NS (NSEC_PER_MSEC * 3 / 10)

int64_t compute_clock(const struct compute *t)
{
    struct timespec now;
    clock_gettime(t->clock, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

void compute_interrupt(void)
{
    runtime_tick();
}

void compute_step_back(pid_t thread)
{
    setpriority(PRIO_PROCESS, (id_t)thread, sched.nice + STEP_BACK);
}

/* Work for threads */

static void *compute(void *arg);

/* Threads start when they are first needed: one that is idle costs 30 KB, most of it the kernel's. */
static int start(struct compute *t, struct error *err)
{
    int r = t->started ? 0 : sched_start_thread(compute, t, err);
    t->started = !r;
    return r;
}

bool compute_wake(enum compute_role role)
{
    struct compute *t = list_first(&sched.idle[role], struct compute, idle);
    struct error err = {0};
    if (!t)
        return false;
    if (start(t, &err) < 0) { /* those that there are go on */
        diag_warning("%s", err.message);
        return false;
    }
    list_remove(&t->idle);
    t->awake = true;
    sched.awake[role]++;
    if (sched.wake_count < SCHED_WAKES)
        sched.wakes[sched.wake_count++] = t;
    else
        pthread_cond_signal(&t->wake);
    return true;
}

/* Whether so many of the usual threads may compute. */
static bool wanted(unsigned awake)
{
    return awake <= sched.cores + sched.stuck;
}

/* The turn that has had the most, where g has had less; else NULL. */
static struct compute *worse_than(const struct guest *g)
{
    struct compute *worst = NULL;
    int64_t now = clock_mono_ns(), most = fair_virtual(&g->fair, g->group ? &g->group->fair : NULL);
    for (unsigned i = 0; i < sched.thread_count; i++) {
        struct compute *t = &sched.threads[i];
        if (!t->guest || t->role != COMPUTE_USUAL || t->stuck || atomic_load(&t->guest->yield))
            continue;
        const struct fair_item *item =
            t->guest->group ? &t->guest->group->fair.item : &t->guest->fair;
        int64_t v = item->virtual + fair_scale(now - t->began, item);
        if (v - most > 0) {
            worst = t;
            most = v;
        }
    }
    return worst;
}

void compute_offer(const struct guest *g, bool woken)
{
    bool brief = !share_is_long(g);
    if (g->slow) {
        compute_wake(COMPUTE_SLOW);
        return;
    }
    if (brief &&
        (!woken ||
         compute_wake(COMPUTE_QUICK))) /* not woken: who has just run it looks for the next */
        return;
    if (wanted(sched.awake[COMPUTE_USUAL] + 1)) {
        compute_wake(COMPUTE_USUAL);
        return;
    }
    struct compute *worst = woken ? worse_than(g) : NULL;
    if (!worst)
        return;
    atomic_store(&worst->guest->yield, true);
    compute_interrupt();
}

/* Turns */

/* Whether a quick thread is to take who comes next. */
static bool quick_is_wanted(void)
{
    const struct fair_item *i = fair_first(&sched.fair);
    const struct guest *g = i ? container_of(i, struct guest, fair) : NULL;
    return g && !share_is_long(g);
}

static struct guest *next(struct compute *self)
{
    int64_t now = clock_mono_ns();
    for (;;) {
        if (self->role == COMPUTE_QUICK && !quick_is_wanted())
            return NULL;
        struct fair_item *i = fair_take(self->role == COMPUTE_SLOW ? &sched.slow : &sched.fair);
        if (!i)
            return NULL;
        struct guest *g = container_of(i, struct guest, fair);
        /* other guests of the pod may have used its quota up meanwhile */
        int64_t until = g->group ? fair_quota_until(&g->group->fair.quota, now) : 0;
        if (!until)
            return g;
        if (self->role == COMPUTE_SLOW) {
            g->state = GUEST_THROTTLED;
            sched_timer_set(&g->timer, until);
        } else {
            fair_put(&sched.fair, &g->fair, &g->group->fair, FAIR_TURN_OVER);
            sched_hold_group(g->group, until);
        }
    }
}

static void begin_turn(struct compute *self, struct guest *g)
{
    g->state = GUEST_RUNNING;
    atomic_store(&g->yield, atomic_load(&g->kill) != 0);
    self->guest = g;
    self->reserved =
        g->control ? fair_quota_reserve(&g->control->quota, SCHED_SLICE_NS) : SCHED_SLICE_NS;
    if (g->group)
        self->reserved = fair_quota_reserve(&g->group->fair.quota, self->reserved);
    self->began = clock_mono_ns();
    self->until = self->began + (self->role == COMPUTE_QUICK ? QUICK_NS : self->reserved);
    if (!sched.running++)
        pthread_cond_signal(&sched.computing);
    sched.turns++;
}

static void charge(struct compute *self, struct guest *g, int64_t ns)
{
    struct sched_group *group = g->group;
    atomic_fetch_add(&g->cpu_ns, (uint64_t)ns);
    share_ran(g, ns);
    if (self->role == COMPUTE_SLOW)
        fair_charge(&sched.slow, &g->fair, NULL, ns);
    else
        fair_charge(&sched.fair, &g->fair, group ? &group->fair : NULL, ns);
    if (g->control)
        fair_quota_charge(&g->control->quota, self->reserved, ns);
    if (group)
        fair_quota_charge(&group->fair.quota, self->reserved, ns);
}

/* cpu: by the thread's clock. */
static void end_turn(struct compute *self, struct guest *g, int64_t cpu)
{
    int64_t ns = cpu - self->cpu_began;
    self->cpu_began = cpu;
    charge(self, g, ns);
    if (ns > SCHED_SLOW_NS)
        g->slow = SLOW_TURNS;
    else if (g->slow)
        g->slow--;
    if (g->control && g->control->cpu_limit && atomic_load(&g->cpu_ns) >= g->control->cpu_limit)
        guest_limit(g, GUEST_LIMIT_CPU);
    self->guest = NULL;
    sched.running--;
    sched.stuck -= self->stuck;
    self->stuck = false;
}

static void run_one(struct compute *self, struct guest *g)
{
    begin_turn(self, g);
    sched_unlock();
    enum guest_turn turn = guest_run(g, self->until);
    int64_t cpu = compute_clock(self);
    sched_lock();
    end_turn(self, g, cpu);
    sched_turn_ended(g, turn);
}

static void wait_to_be_awake(struct compute *self)
{
    while (!self->awake)
        sched_wait(&self->wake);
}

static void idle(struct compute *self)
{
    sched.awake[self->role]--;
    self->awake = false;
    list_append(sched.idle[self->role].next, &self->idle);
    wait_to_be_awake(self);
}

static void set_up(struct compute *self)
{
    self->clock = CLOCK_THREAD_CPUTIME_ID;
    pthread_getcpuclockid(pthread_self(), &self->clock);
    self->cpu_began = compute_clock(self);
    self->tid = gettid();
    if (self->role != COMPUTE_QUICK)
        compute_step_back(self->tid);
}

/* As many usual threads compute as there are cores, and one more for each that is stuck. */
static void *compute(void *arg)
{
    struct compute *self = arg;
    static const char *const names[] = {[COMPUTE_USUAL] = "compute",
                                        [COMPUTE_QUICK] = "compute-quick",
                                        [COMPUTE_SLOW] = "compute-slow"};
    sched_lock();
    set_up(self);
    pthread_setname_np(pthread_self(), names[self->role]);
    wait_to_be_awake(self);
    for (;;) {
        bool goes_on = self->role != COMPUTE_USUAL || wanted(sched.awake[COMPUTE_USUAL]);
        struct guest *g = goes_on ? next(self) : NULL;
        if (g)
            run_one(self, g);
        else
            idle(self);
    }
    return NULL;
}

int64_t compute_spent(const struct guest *g)
{
    for (unsigned i = 0; i < sched.thread_count; i++)
        if (sched.threads[i].guest == g)
            return compute_clock(&sched.threads[i]) - sched.threads[i].cpu_began;
    return busy_spent(g);
}

int compute_init(struct error *err)
{
    sched.nice = getpriority(PRIO_PROCESS, 0);
    sched.thread_count = 3 * sched.cores + SPARE;
    sched.threads = calloc(sched.thread_count, sizeof *sched.threads);
    if (!sched.threads)
        return fail(err, ENOMEM, "set up the scheduler");
    for (int role = 0; role < COMPUTE_ROLES; role++)
        list_init(&sched.idle[role]);
    int r = sched_start_thread(sched_tick, NULL, err);
    for (unsigned i = 0; !r && i < sched.thread_count; i++) {
        struct compute *t = &sched.threads[i];
        pthread_cond_init(&t->wake, NULL);
        list_init(&t->idle);
        t->role = i < sched.cores       ? COMPUTE_SLOW
                  : i < 2 * sched.cores ? COMPUTE_QUICK
                                        : COMPUTE_USUAL;
        list_append(&sched.idle[t->role], &t->idle);
        if (t->role == COMPUTE_QUICK) /* a thread begins with the nice value of who starts it */
            r = start(t, err);
    }
    return r;
}
