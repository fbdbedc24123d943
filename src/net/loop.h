/* loop.h -- one thread's event loop: handles, timers, tasks, messages.
 *
 * A turn: wait, run what is ready, then the timers that are due, then messages
 * posted by other threads, then the tasks deferred by any of these.  Deferred
 * tasks are how requests of many clients leave in one write.
 *
 * The loop's clock is read once a turn: loop_now_ms() costs nothing.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "net/net.h"

struct loop;

enum err loop_create(struct loop **out, const struct env *env);
void loop_destroy(struct loop **loop);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);
/* One turn, waiting at most timeout_ms: for tests and simulations. */
void loop_turn(struct loop *loop, int64_t timeout_ms);
/* From any thread. */
void loop_stop(struct loop *loop);

const struct env *loop_env(const struct loop *loop);
struct net_poller *loop_poller(const struct loop *loop);
/* Monotonic; as of the beginning of this turn. */
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_ns(const struct loop *loop);

/* A piece of work within the loop's thread; embedded in its owner, which must
 * cancel it before it dies. */
struct task {
    void (*run)(void *context);
    void *context;
    struct task *next, **slot; /* the loop's own */
};

/* At the end of this turn (of the next one, if called from a deferred task
 * that is already running: a task that defers itself does not starve the rest;
 * the loop then does not wait).  Once, however often it is called. */
void loop_defer(struct loop *loop, struct task *task);
void loop_cancel(struct loop *loop, struct task *task);

/* Timers: a wheel of TIMER_TICK_MS, so arming and clearing are O(1) and a
 * timer may be up to a tick late, never early. */
enum { TIMER_TICK_MS = 10 };

struct timer {
    void (*run)(void *context);
    void *context;
    uint64_t at_ms; /* the rest is the loop's own */
    struct timer *next, **slot;
};

/* Re-arming moves it. */
void timer_set(struct loop *loop, struct timer *timer, uint64_t at_ms);
void timer_clear(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->slot != NULL;
}

/* From any thread: run(context) in the loop's thread.  The message is embedded
 * in the caller's memory and must live until it has run.  Messages run in the
 * order posted.  After loop_stop, what is still queued runs in loop_destroy. */
struct message {
    void (*run)(void *context);
    void *context;
    struct message *next;
};
void loop_post(struct loop *loop, struct message *message);

#endif
