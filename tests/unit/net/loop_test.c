/* The loop: timers, deferred tasks and messages, on a fake clock and on real
 * threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "net/loop.h"
#include "support/fake_net.h"
#include "support/torture.h"

struct fixture {
    struct fake_net *fake;
    struct env env;
    struct loop *loop;
};

static int fixture_setup(void **state)
{
    struct fixture *at = mem_alloc_zeroed(mem_system(), sizeof *at);
    const struct fake_net_options options = {.seed = 1};

    at->fake = fake_net_create(mem_system(), &options);
    fake_net_env(at->fake, mem_system(), &at->env);
    assert_int_equal(loop_create(&at->loop, &at->env), ERR_OK);
    *state = at;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *at = *state;

    loop_destroy(&at->loop);
    assert_null(at->loop);
    fake_net_destroy(&at->fake);
    mem_free(mem_system(), at);
    return 0;
}

/* --- timers --- */

enum { TIMERS = 3000 };

struct alarms;

struct alarm {
    struct alarms *all;
    struct timer timer;
    uint64_t wanted_ms;
    unsigned fired;
};

struct alarms {
    struct fixture *at;
    struct alarm each[TIMERS];
    uint64_t last_tick;
    unsigned fired;
};

static void alarm_run(void *context)
{
    struct alarm *alarm = context;
    struct alarms *all = alarm->all;
    uint64_t now_ms = loop_now_ms(all->at->loop);
    uint64_t tick = (alarm->wanted_ms + TIMER_TICK_MS - 1) / TIMER_TICK_MS;

    assert_false(timer_is_set(&alarm->timer));
    assert_true(now_ms >= alarm->wanted_ms);
    assert_true(now_ms <= alarm->wanted_ms + TIMER_TICK_MS);
    assert_true(tick >= all->last_tick);
    all->last_tick = tick;
    alarm->fired++;
    all->fired++;
}

static struct alarms *alarms_create(struct fixture *at)
{
    struct alarms *all = mem_alloc_zeroed(mem_system(), sizeof *all);

    all->at = at;
    for (size_t i = 0; i < TIMERS; i++) {
        all->each[i].all = all;
        all->each[i].timer.run = alarm_run;
        all->each[i].timer.context = &all->each[i];
    }
    return all;
}

static void alarm_set(struct alarm *alarm, uint64_t at_ms)
{
    alarm->wanted_ms = at_ms;
    timer_set(alarm->all->at->loop, &alarm->timer, at_ms);
    assert_true(timer_is_set(&alarm->timer));
}

static void a_timer_is_never_early_and_at_most_a_tick_late(void **state)
{
    struct fixture *at = *state;
    struct alarms *all = alarms_create(at);
    struct rand rand;

    rand_init(&rand, 7);
    for (size_t i = 0; i < TIMERS; i++) {
        /* From at once to half an hour, most of them soon. */
        uint64_t span_ms = UINT64_C(1) << (1 + rand_below(&rand, 20));

        alarm_set(&all->each[i],
                  fake_net_now_ms(at->fake) + 1 + rand_below(&rand, span_ms));
    }
    while (all->fired < TIMERS) {
        loop_turn(at->loop, -1);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(all->each[i].fired, 1);
    }
    mem_free(mem_system(), all);
}

static void a_cleared_timer_stays_silent_and_a_moved_one_moves(void **state)
{
    struct fixture *at = *state;
    struct alarms *all = alarms_create(at);
    uint64_t begin_ms = fake_net_now_ms(at->fake);
    struct rand rand;

    rand_init(&rand, 8);
    for (size_t i = 0; i < TIMERS; i++) {
        alarm_set(&all->each[i], begin_ms + rand_below(&rand, 20000));
    }
    for (size_t i = 0; i < TIMERS; i += 3) {
        timer_clear(at->loop, &all->each[i].timer);
        timer_clear(at->loop, &all->each[i].timer);
        assert_false(timer_is_set(&all->each[i].timer));
    }
    for (size_t i = 1; i < TIMERS; i += 3) {
        alarm_set(&all->each[i], begin_ms + 30000 - i * 10);
    }
    while (fake_net_now_ms(at->fake) < begin_ms + 40000) {
        loop_turn(at->loop, 500);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        assert_int_equal(all->each[i].fired, i % 3 != 0);
    }
    mem_free(mem_system(), all);
}

static void a_far_timer_costs_no_turns_before_it_is_due(void **state)
{
    struct fixture *at = *state;
    struct alarms *all = alarms_create(at);
    unsigned turns = 0;

    for (size_t i = 0; i < 1000; i++) {
        alarm_set(&all->each[i], fake_net_now_ms(at->fake) + 60000 + i);
    }
    while (all->fired == 0) {
        loop_turn(at->loop, -1);
        turns++;
    }
    /* One to refill the near wheel, one for the first tick. */
    assert_in_range(turns, 1, 3);
    while (all->fired < 1000) {
        loop_turn(at->loop, -1);
    }
    mem_free(mem_system(), all);
}

static void leap_run(void *context)
{
    struct alarm *alarm = context;
    struct alarms *all = alarm->all;

    assert_true(alarm->wanted_ms / TIMER_TICK_MS >= all->last_tick);
    all->last_tick = alarm->wanted_ms / TIMER_TICK_MS;
    all->fired++;
}

static void a_clock_that_leaps_fires_everything_once_and_in_order(void **state)
{
    struct fixture *at = *state;
    struct alarms *all = alarms_create(at);
    uint64_t begin_ms = fake_net_now_ms(at->fake);

    for (size_t i = 0; i < TIMERS; i++) {
        all->each[i].timer.run = leap_run;
        alarm_set(&all->each[i], begin_ms + 100 + (i * 7919 % TIMERS) * 100);
    }
    fake_net_advance(at->fake, UINT64_C(3600) * 1000);
    loop_turn(at->loop, 0);
    assert_int_equal(all->fired, TIMERS);
    mem_free(mem_system(), all);
}

struct repeater {
    struct loop *loop;
    struct timer timer;
    unsigned left;
};

static void repeater_run(void *context)
{
    struct repeater *repeater = context;

    if (--repeater->left > 0) {
        /* In the past: it must still let others have their turn. */
        timer_set(repeater->loop, &repeater->timer, 0);
    }
}

static void a_timer_that_arms_itself_in_the_past_does_not_spin(void **state)
{
    struct fixture *at = *state;
    struct repeater repeater = {
        .loop = at->loop,
        .timer = {.run = repeater_run, .context = &repeater},
        .left = 5};
    unsigned turns = 0;

    timer_set(at->loop, &repeater.timer, 0);
    while (repeater.left > 0) {
        loop_turn(at->loop, -1);
        turns++;
    }
    assert_int_equal(turns, 5);
}

/* --- tasks --- */

struct step {
    struct loop *loop;
    struct task task;
    char name;
    char *trace;
    bool again;
    struct task *cancels;
};

static void step_run(void *context)
{
    struct step *step = context;
    size_t size = strlen(step->trace);

    step->trace[size] = step->name;
    step->trace[size + 1] = '\0';
    if (step->again) {
        loop_defer(step->loop, &step->task);
    }
    if (step->cancels != NULL) {
        loop_cancel(step->loop, step->cancels);
    }
}

static void steps_init(struct step *steps, size_t count, struct loop *loop,
                       char *trace)
{
    for (size_t i = 0; i < count; i++) {
        steps[i] =
            (struct step){.loop = loop,
                          .task = {.run = step_run, .context = &steps[i]},
                          .name = (char)('a' + i),
                          .trace = trace};
    }
}

static void tasks_run_once_each_in_the_order_deferred(void **state)
{
    struct fixture *at = *state;
    char trace[64] = "";
    struct step steps[4];

    steps_init(steps, 4, at->loop, trace);
    for (size_t i = 0; i < 4; i++) {
        loop_defer(at->loop, &steps[i].task);
        loop_defer(at->loop, &steps[0].task);
    }
    loop_cancel(at->loop, &steps[3].task);
    loop_cancel(at->loop, &steps[1].task);
    loop_defer(at->loop, &steps[1].task);
    loop_turn(at->loop, 0);
    assert_string_equal(trace, "acb");
    loop_turn(at->loop, 0);
    assert_string_equal(trace, "acb");
}

static void a_task_that_defers_itself_has_its_turn_in_the_next(void **state)
{
    struct fixture *at = *state;
    char trace[64] = "";
    struct step steps[2];
    uint64_t begin_ms = fake_net_now_ms(at->fake);

    steps_init(steps, 2, at->loop, trace);
    steps[0].again = true;
    loop_defer(at->loop, &steps[0].task);
    loop_defer(at->loop, &steps[1].task);
    loop_turn(at->loop, 1000);
    assert_string_equal(trace, "ab");
    loop_turn(at->loop, 1000);
    loop_turn(at->loop, 1000);
    assert_string_equal(trace, "abaa");
    /* With work to do the loop does not wait. */
    assert_int_equal(fake_net_now_ms(at->fake), begin_ms);
    loop_cancel(at->loop, &steps[0].task);
    loop_turn(at->loop, 1000);
    assert_int_equal(fake_net_now_ms(at->fake), begin_ms + 1000);
}

static void a_task_may_cancel_one_that_would_run_after_it(void **state)
{
    struct fixture *at = *state;
    char trace[64] = "";
    struct step steps[4];

    steps_init(steps, 4, at->loop, trace);
    steps[0].cancels = &steps[1].task;
    steps[2].cancels = &steps[3].task;
    for (size_t i = 0; i < 4; i++) {
        loop_defer(at->loop, &steps[i].task);
    }
    loop_turn(at->loop, 0);
    assert_string_equal(trace, "ac");
    loop_defer(at->loop, &steps[1].task);
    loop_turn(at->loop, 0);
    assert_string_equal(trace, "acb");
}

/* --- one turn --- */

struct turn_order {
    struct fixture *at;
    struct step steps[4];
    struct timer timer;
    struct message message;
};

static void order_timer(void *context)
{
    struct turn_order *order = context;

    step_run(&order->steps[1]);
    loop_defer(order->at->loop, &order->steps[3].task);
}

static void order_message(void *context)
{
    struct turn_order *order = context;

    step_run(&order->steps[2]);
}

static void order_ready(void *context, unsigned events)
{
    struct turn_order *order = context;

    assert_int_equal(events, NET_READ);
    step_run(&order->steps[0]);
}

static void a_turn_is_handles_then_timers_then_messages_then_tasks(void **state)
{
    struct fixture *at = *state;
    const struct net *net = at->env.net;
    char trace[64] = "";
    struct turn_order order = {
        .at = at,
        .timer = {.run = order_timer, .context = &order},
        .message = {.run = order_message, .context = &order}};
    struct net_address address;

    steps_init(order.steps, 4, at->loop, trace);
    assert_int_equal(net->resolve(net->context, "host:1", &address, NULL),
                     ERR_OK);
    int listener = net->listen(net->context, &address, 1, false, 0);
    int client = net->connect(net->context, &address);
    struct net_watch *watch =
        net->watch_create(net->context, loop_poller(at->loop), listener,
                          NET_READ, order_ready, &order);

    loop_post(at->loop, &order.message);
    timer_set(at->loop, &order.timer, fake_net_now_ms(at->fake));
    fake_net_advance(at->fake, TIMER_TICK_MS);
    loop_turn(at->loop, 0);
    assert_string_equal(trace, "abcd");
    net->watch_destroy(net->context, watch);
    net->close(net->context, client);
    net->unlisten(net->context, listener);
}

static void time_stands_still_within_a_turn(void **state)
{
    struct fixture *at = *state;
    uint64_t before_ns = loop_now_ns(at->loop);

    fake_net_advance(at->fake, 5);
    assert_int_equal(loop_now_ns(at->loop), before_ns);
    loop_turn(at->loop, 0);
    assert_int_equal(loop_now_ns(at->loop), before_ns + 5000000);
    assert_int_equal(loop_now_ms(at->loop), fake_net_now_ms(at->fake));
}

/* --- several threads --- */

enum { POSTERS = 4, MESSAGES = 2000 };

struct posted {
    struct message message;
    struct poster *poster;
    unsigned number;
};

struct poster {
    struct loop *loop;
    pthread_t thread;
    unsigned next; /* the loop's thread only */
    struct posted each[MESSAGES];
};

static void posted_run(void *context)
{
    struct posted *posted = context;

    check(posted->number == posted->poster->next);
    posted->poster->next++;
    memset(posted, 0xee, sizeof *posted);
}

static void *poster_main(void *context)
{
    struct poster *poster = context;

    for (unsigned i = 0; i < MESSAGES; i++) {
        poster->each[i] = (struct posted){
            {.run = posted_run, .context = &poster->each[i]}, poster, i};
        loop_post(poster->loop, &poster->each[i].message);
    }
    return NULL;
}

static void *run_main(void *context)
{
    loop_run(context);
    return NULL;
}

static void messages_of_each_thread_run_in_the_order_posted(void **state)
{
    struct env env;
    struct loop *loop;
    struct poster *posters =
        mem_alloc_zeroed(mem_system(), POSTERS * sizeof *posters);
    pthread_t runner;

    (void)state;
    env_system(&env);
    env.net = net_system();
    assert_int_equal(loop_create(&loop, &env), ERR_OK);
    assert_int_equal(pthread_create(&runner, NULL, run_main, loop), 0);
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        assert_int_equal(
            pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]),
            0);
    }
    for (size_t i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
    }
    loop_stop(loop);
    pthread_join(runner, NULL);
    /* What was posted after the last turn runs at the latest here. */
    loop_destroy(&loop);
    for (size_t i = 0; i < POSTERS; i++) {
        assert_int_equal(posters[i].next, MESSAGES);
    }
    mem_free(mem_system(), posters);
}

struct late_stop {
    struct loop *loop;
    struct timer timer;
    atomic_bool fired;
};

static void late_stop_run(void *context)
{
    struct late_stop *stop = context;

    atomic_store(&stop->fired, true);
    loop_stop(stop->loop);
}

static void a_real_timer_waits_its_time_and_ends_the_wait(void **state)
{
    struct env env;
    struct late_stop stop = {.timer = {.run = late_stop_run, .context = &stop}};

    (void)state;
    env_system(&env);
    env.net = net_system();
    assert_int_equal(loop_create(&stop.loop, &env), ERR_OK);
    uint64_t begin_ms = env_monotonic_ms(&env);

    /* A shorter wait after a longer one must not sleep the longer one out. */
    timer_set(stop.loop, &stop.timer, begin_ms + 60000);
    loop_turn(stop.loop, 1);
    timer_set(stop.loop, &stop.timer, begin_ms + 50);
    loop_run(stop.loop);
    assert_true(atomic_load(&stop.fired));
    assert_in_range(env_monotonic_ms(&env) - begin_ms, 50, 1000);
    loop_destroy(&stop.loop);
}

static enum err scenario(const struct mem *mem, void *context)
{
    struct env env;
    struct loop *loop;

    (void)context;
    env_system(&env);
    env.net = net_system();
    env.mem = mem;
    enum err e = loop_create(&loop, &env);

    if (e == ERR_OK) {
        loop_destroy(&loop);
    }
    return e;
}

static void a_loop_without_memory_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    assert_in_range(torture_allocations(scenario, NULL), 1, 10);
}

int main(void)
{
#define ON_FAKE(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        ON_FAKE(a_timer_is_never_early_and_at_most_a_tick_late),
        ON_FAKE(a_cleared_timer_stays_silent_and_a_moved_one_moves),
        ON_FAKE(a_far_timer_costs_no_turns_before_it_is_due),
        ON_FAKE(a_clock_that_leaps_fires_everything_once_and_in_order),
        ON_FAKE(a_timer_that_arms_itself_in_the_past_does_not_spin),
        ON_FAKE(tasks_run_once_each_in_the_order_deferred),
        ON_FAKE(a_task_that_defers_itself_has_its_turn_in_the_next),
        ON_FAKE(a_task_may_cancel_one_that_would_run_after_it),
        ON_FAKE(a_turn_is_handles_then_timers_then_messages_then_tasks),
        ON_FAKE(time_stands_still_within_a_turn),
        cmocka_unit_test(messages_of_each_thread_run_in_the_order_posted),
        cmocka_unit_test(a_real_timer_waits_its_time_and_ends_the_wait),
        cmocka_unit_test(a_loop_without_memory_is_refused_and_leaves_nothing),
    };
#undef ON_FAKE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
