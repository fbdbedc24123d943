#include "net/loop.h"

#include <stdatomic.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/wheel.h"

static const uint32_t LOOP_MAGIC = MAGIC('l', 'o', 'o', 'p');

/* Read when first asked for after the wait, so that handlers that run inside
 * poller_wait see this turn's time and a turn that asks for none pays none. */
struct loop_clock {
    uint64_t now_ns;  /* 0: not read since */
    uint64_t last_ns; /* what the turn before saw */
};

struct loop {
    uint32_t magic;
    const struct env *env;
    struct net_poller *poller;
    struct loop_clock *clock; /* apart: reading the time is const */
    struct task *tasks, **task_tail;
    struct task *running;
    /* Pushed by any thread, last first; taken whole by the loop's. */
    _Atomic(struct message *) messages;
    atomic_bool stopping;
    struct wheel wheel;
};

enum err loop_create(struct loop **out, const struct env *env)
{
    const struct net *net = env->net;
    struct loop *loop = mem_alloc_zeroed(env->mem, sizeof *loop);

    if (loop == NULL) {
        return ERR_NOMEM;
    }
    loop->clock = mem_alloc_zeroed(env->mem, sizeof *loop->clock);
    if (loop->clock == NULL) {
        goto fail_clock;
    }
    loop->poller = net->poller_create(net->context);
    if (loop->poller == NULL) {
        goto fail_poller;
    }
    loop->magic = LOOP_MAGIC;
    loop->env = env;
    loop->task_tail = &loop->tasks;
    *out = loop;
    return ERR_OK;

fail_poller:
    mem_free(env->mem, loop->clock);
fail_clock:
    mem_free(env->mem, loop);
    return ERR_NOMEM;
}

static void messages_run(struct loop *loop)
{
    struct message *newest = NULL;
    struct message *oldest = NULL;

    if (atomic_load_explicit(&loop->messages, memory_order_relaxed) != NULL) {
        newest = atomic_exchange_explicit(&loop->messages, NULL,
                                          memory_order_acquire);
    }
    while (newest != NULL) {
        struct message *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        /* run() may free the message. */
        struct message *next = oldest->next;

        oldest->run(oldest->context);
        oldest = next;
    }
}

void loop_destroy(struct loop **out)
{
    struct loop *loop = *out;

    if (loop == NULL) {
        return;
    }
    check(loop->magic == LOOP_MAGIC);
    messages_run(loop);
    check(loop->running == NULL);
    loop->env->net->poller_destroy(loop->env->net->context, loop->poller);
    loop->magic = MAGIC_DEAD;
    mem_free(loop->env->mem, loop->clock);
    mem_free(loop->env->mem, loop);
    *out = NULL;
}

void loop_defer(struct loop *loop, struct task *task)
{
    if (task->slot != NULL) {
        return;
    }
    task->next = NULL;
    task->slot = loop->task_tail;
    *loop->task_tail = task;
    loop->task_tail = &task->next;
}

void loop_cancel(struct loop *loop, struct task *task)
{
    if (task->slot == NULL) {
        return;
    }
    if (loop->task_tail == &task->next) {
        loop->task_tail = task->slot;
    }
    *task->slot = task->next;
    if (task->next != NULL) {
        task->next->slot = task->slot;
    }
    task->slot = NULL;
}

/* Only what was deferred before: what these defer has its turn in the next. */
static void tasks_run(struct loop *loop)
{
    if (loop->tasks == NULL) {
        return;
    }
    check(loop->running == NULL);
    loop->running = loop->tasks;
    loop->running->slot = &loop->running;
    loop->tasks = NULL;
    loop->task_tail = &loop->tasks;
    while (loop->running != NULL) {
        struct task *task = loop->running;

        loop_cancel(loop, task);
        task->run(task->context);
    }
}

static int64_t loop_wait_ms(struct loop *loop, int64_t timeout_ms)
{
    if (loop->tasks != NULL) {
        return 0;
    }
    uint64_t next_ms = wheel_next_ms(&loop->wheel);

    if (next_ms == UINT64_MAX) {
        return timeout_ms;
    }
    /* The time of the turn before is a little old, which makes a timer late by
     * at most the length of that turn and saves reading the clock twice. */
    uint64_t now_ns =
        loop->clock->last_ns != 0 ? loop->clock->last_ns : loop_now_ns(loop);
    uint64_t now_ms = now_ns / 1000000;
    int64_t wait_ms = next_ms <= now_ms ? 0 : (int64_t)(next_ms - now_ms);

    return timeout_ms < 0 || wait_ms < timeout_ms ? wait_ms : timeout_ms;
}

static void turn(struct loop *loop, int64_t timeout_ms)
{
    const struct net *net = loop->env->net;
    int64_t wait_ms = loop_wait_ms(loop, timeout_ms);

    loop->clock->now_ns = 0;
    net->poller_wait(net->context, loop->poller, wait_ms);
    if (loop->wheel.count > 0) {
        wheel_run(&loop->wheel, loop_now_ms(loop));
    }
    messages_run(loop);
    tasks_run(loop);
    loop->clock->last_ns = loop->clock->now_ns;
    loop->clock->now_ns = 0;
}

void loop_turn(struct loop *loop, int64_t timeout_ms)
{
    check(loop->magic == LOOP_MAGIC);
    /* Any time may have passed since the last turn. */
    loop->clock->last_ns = 0;
    turn(loop, timeout_ms);
}

void loop_run(struct loop *loop)
{
    check(loop->magic == LOOP_MAGIC);
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        turn(loop, -1);
    }
}

void loop_stop(struct loop *loop)
{
    const struct net *net = loop->env->net;

    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    net->poller_wake(net->context, loop->poller);
}

const struct env *loop_env(const struct loop *loop)
{
    return loop->env;
}

struct net_poller *loop_poller(const struct loop *loop)
{
    return loop->poller;
}

uint64_t loop_now_ns(const struct loop *loop)
{
    if (loop->clock->now_ns == 0) {
        loop->clock->now_ns = loop->env->monotonic_ns(loop->env->context);
    }
    return loop->clock->now_ns;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop_now_ns(loop) / 1000000;
}

void timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms)
{
    check(loop->magic == LOOP_MAGIC);
    wheel_set(&loop->wheel, timer, at_ms, loop_now_ms(loop));
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    wheel_clear(&loop->wheel, timer);
}

void loop_post(struct loop *loop, struct message *message)
{
    const struct net *net = loop->env->net;
    struct message *newest =
        atomic_load_explicit(&loop->messages, memory_order_relaxed);

    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(
        &loop->messages, &newest, message, memory_order_release,
        memory_order_relaxed));
    /* Whoever posted the first has woken the loop already. */
    if (newest == NULL) {
        net->poller_wake(net->context, loop->poller);
    }
}
