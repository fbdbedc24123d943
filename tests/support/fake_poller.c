/* Pollers and watches of fake_net, and the delivery of bytes. */
#include "base/check.h"
#include "base/mem.h"
#include "support/fake_inside.h"

struct net_watch {
    struct net_poller *poller;
    struct net_watch *next;
    int handle;
    unsigned events;
    net_ready *ready;
    void *ready_context;
    bool is_dead; /* destroyed while its poller was calling */
};

struct net_poller {
    struct fake_net *fake;
    struct net_watch *watches;
    bool is_woken, is_calling;
};

uint64_t fake_delay_ns(struct fake_net *fake)
{
    return rand_below(&fake->rand, fake->options.delay_ms_max + 1) * 1000000;
}

/* One piece for every stream that is due one. */
static void deliver(struct fake_net *fake)
{
    for (size_t i = 0; i < fake->socket_count; i++) {
        struct fake_socket *at = fake->sockets[i];
        size_t under_way = at == NULL ? 0 : fake_socket_under_way(at);

        if (under_way == 0 || at->is_held || at->next_ns > fake->now_ns) {
            continue;
        }
        if (fake->options.piece_max > 0 &&
            under_way > fake->options.piece_max) {
            under_way = fake->options.piece_max;
        }
        at->visible += 1 + (size_t)rand_below(&fake->rand, under_way);
        at->next_ns = fake->now_ns + fake_delay_ns(fake);
    }
}

static struct net_poller *fake_poller_create(void *context)
{
    struct fake_net *fake = context;
    struct net_poller *poller = mem_alloc_zeroed(fake->mem, sizeof *poller);

    if (poller != NULL) {
        poller->fake = fake;
        fake->poller_count++;
    }
    return poller;
}

static void fake_poller_destroy(void *context, struct net_poller *poller)
{
    struct fake_net *fake = context;

    check(poller->watches == NULL && !poller->is_calling);
    fake->poller_count--;
    mem_free(fake->mem, poller);
}

static void fake_poller_wake(void *context, struct net_poller *poller)
{
    (void)context;
    poller->is_woken = true;
}

static unsigned events_of(const struct fake_net *fake,
                          const struct net_watch *watch)
{
    if (watch->is_dead || watch->events == 0) {
        return 0;
    }
    return fake_socket_events(fake_socket_at(fake, watch->handle), fake->now_ns,
                              fake->options.window) &
           watch->events;
}

static size_t count_ready(const struct net_poller *poller)
{
    size_t count = 0;

    for (const struct net_watch *watch = poller->watches; watch != NULL;
         watch = watch->next) {
        count += events_of(poller->fake, watch) != 0;
    }
    return count;
}

static void watches_sweep(struct net_poller *poller)
{
    for (struct net_watch **at = &poller->watches; *at != NULL;) {
        struct net_watch *watch = *at;

        if (watch->is_dead) {
            *at = watch->next;
            poller->fake->watch_count--;
            mem_free(poller->fake->mem, watch);
        } else {
            at = &watch->next;
        }
    }
}

/* Calls all that are ready, in an order of the seed; what a call changes is
 * looked at again before the next. */
static void call_ready(struct net_poller *poller, size_t count)
{
    struct fake_net *fake = poller->fake;
    struct net_watch **ready =
        mem_alloc(fake->mem, (count + 1) * sizeof(struct net_watch *));
    size_t filled = 0;

    check(ready != NULL);
    for (struct net_watch *watch = poller->watches; watch != NULL;
         watch = watch->next) {
        if (events_of(fake, watch) != 0) {
            size_t at = (size_t)rand_below(&fake->rand, filled + 1);

            ready[filled++] = ready[at];
            ready[at] = watch;
        }
    }
    check(filled == count && !poller->is_calling);
    poller->is_calling = true;
    for (size_t i = 0; i < filled; i++) {
        unsigned events = events_of(fake, ready[i]);

        if (events != 0) {
            ready[i]->ready(ready[i]->ready_context, events);
        }
    }
    poller->is_calling = false;
    mem_free(fake->mem, ready);
    watches_sweep(poller);
}

static void fake_poller_wait(void *context, struct net_poller *poller,
                             int64_t timeout_ms)
{
    struct fake_net *fake = context;

    deliver(fake);
    if (count_ready(poller) == 0 && !poller->is_woken && timeout_ms != 0) {
        uint64_t now_ms = fake->now_ns / 1000000;
        uint64_t until_ms = fake_net_next_ms(fake);

        if (timeout_ms > 0 && now_ms + (uint64_t)timeout_ms < until_ms) {
            until_ms = now_ms + (uint64_t)timeout_ms;
        }
        if (until_ms != UINT64_MAX && until_ms > now_ms) {
            fake->now_ns = until_ms * 1000000;
        }
        deliver(fake);
    }
    poller->is_woken = false;
    call_ready(poller, count_ready(poller));
}

static struct net_watch *
fake_watch_create(void *context, struct net_poller *poller, int handle,
                  unsigned events, net_ready *ready, void *ready_context)
{
    struct fake_net *fake = context;
    struct net_watch *watch = mem_alloc_zeroed(fake->mem, sizeof *watch);

    (void)fake_socket_at(fake, handle);
    if (watch == NULL) {
        return NULL;
    }
    *watch = (struct net_watch){.poller = poller,
                                .next = poller->watches,
                                .handle = handle,
                                .events = events,
                                .ready = ready,
                                .ready_context = ready_context};
    poller->watches = watch;
    fake->watch_count++;
    return watch;
}

static void fake_watch_change(void *context, struct net_watch *watch,
                              unsigned events)
{
    struct fake_net *fake = context;

    check(!watch->is_dead);
    fake->changes++;
    watch->events = events;
}

static void fake_watch_destroy(void *context, struct net_watch *watch)
{
    (void)context;
    check(!watch->is_dead);
    watch->is_dead = true;
    if (!watch->poller->is_calling) {
        watches_sweep(watch->poller);
    }
}

void fake_poller_table(struct net *table)
{
    table->poller_create = fake_poller_create;
    table->poller_destroy = fake_poller_destroy;
    table->poller_wait = fake_poller_wait;
    table->poller_wake = fake_poller_wake;
    table->watch_create = fake_watch_create;
    table->watch_change = fake_watch_change;
    table->watch_destroy = fake_watch_destroy;
}
