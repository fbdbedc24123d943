#include "net/poller.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/check.h"
#include "base/mem.h"

enum { POLLER_WAIT_MS_MAX = 24 * 60 * 60 * 1000 };

struct net_poller {
    struct event_base *base;
    struct event wake;
    int wake_fd;
    /* One timeout for all waits.  It stays armed from wait to wait, and is
     * moved only when a wait must end sooner: most waits end by an event, and
     * waking once too often is cheaper than re-arming each time. */
    struct event alarm;
    int64_t alarm_ms; /* INT64_MAX: not armed */
};

struct net_watch {
    struct event event;
    struct net_poller *poller;
    net_ready *ready;
    void *ready_context;
};

_Static_assert(sizeof(struct net_watch) <= 160, "an idle watch stays small");

/* Coarse is what libevent uses, and the cheapest clock there is. */
static int64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    eventfd_t count;

    (void)what;
    (void)context;
    (void)eventfd_read(fd, &count);
}

static void on_alarm(evutil_socket_t fd, short what, void *context)
{
    struct net_poller *poller = context;

    (void)fd;
    (void)what;
    poller->alarm_ms = INT64_MAX;
}

/* No locks: a base belongs to one thread.  No time cache: a base with one
 * timeout reads the clock more often to fill it than it is read. */
static struct event_base *base_create(void)
{
    struct event_base *base = NULL;
    struct event_config *config = event_config_new();

    if (config == NULL) {
        return NULL;
    }
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
                                          EVENT_BASE_FLAG_IGNORE_ENV |
                                          EVENT_BASE_FLAG_NO_CACHE_TIME) == 0) {
        base = event_base_new_with_config(config);
    }
    event_config_free(config);
    return base;
}

struct net_poller *poller_create(void *context)
{
    const struct mem *mem = mem_system();
    struct net_poller *poller = mem_alloc_zeroed(mem, sizeof *poller);

    (void)context;
    if (poller == NULL) {
        return NULL;
    }
    poller->alarm_ms = INT64_MAX;
    poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->wake_fd < 0) {
        goto fail_eventfd;
    }
    poller->base = base_create();
    if (poller->base == NULL) {
        goto fail_base;
    }
    if (event_assign(&poller->wake, poller->base, poller->wake_fd,
                     EV_READ | EV_PERSIST, on_wake, poller) != 0 ||
        event_assign(&poller->alarm, poller->base, -1, 0, on_alarm, poller) !=
            0 ||
        event_add(&poller->wake, NULL) != 0) {
        goto fail_event;
    }
    return poller;

fail_event:
    event_base_free(poller->base);
fail_base:
    (void)close(poller->wake_fd);
fail_eventfd:
    mem_free(mem, poller);
    return NULL;
}

void poller_destroy(void *context, struct net_poller *poller)
{
    (void)context;
    event_del(&poller->alarm);
    event_del(&poller->wake);
    event_base_free(poller->base);
    (void)close(poller->wake_fd);
    mem_free(mem_system(), poller);
}

static void alarm_arm(struct net_poller *poller, int64_t timeout_ms)
{
    int64_t wait_ms =
        timeout_ms < POLLER_WAIT_MS_MAX ? timeout_ms : POLLER_WAIT_MS_MAX;
    int64_t at_ms = coarse_ms() + wait_ms;

    if (at_ms >= poller->alarm_ms) {
        return;
    }
    struct timeval wait = {.tv_sec = wait_ms / 1000,
                           .tv_usec = wait_ms % 1000 * 1000};

    if (event_add(&poller->alarm, &wait) == 0) {
        poller->alarm_ms = at_ms;
    }
}

void poller_wait(void *context, struct net_poller *poller, int64_t timeout_ms)
{
    int flags = EVLOOP_ONCE;

    (void)context;
    if (timeout_ms == 0) {
        flags = EVLOOP_NONBLOCK;
    } else if (timeout_ms > 0) {
        alarm_arm(poller, timeout_ms);
    }
    (void)event_base_loop(poller->base, flags);
}

void poller_wake(void *context, struct net_poller *poller)
{
    (void)context;
    (void)eventfd_write(poller->wake_fd, 1);
}

static void on_ready(evutil_socket_t fd, short what, void *context)
{
    struct net_watch *watch = context;
    unsigned events = (what & EV_READ ? (unsigned)NET_READ : 0) |
                      (what & EV_WRITE ? (unsigned)NET_WRITE : 0);

    (void)fd;
    watch->ready(watch->ready_context, events);
}

static short wanted(unsigned events)
{
    return (short)(EV_PERSIST | (events & NET_READ ? EV_READ : 0) |
                   (events & NET_WRITE ? EV_WRITE : 0));
}

struct net_watch *watch_create(void *context, struct net_poller *poller,
                               int handle, unsigned events, net_ready *ready,
                               void *ready_context)
{
    const struct mem *mem = mem_system();
    struct net_watch *watch = mem_alloc_zeroed(mem, sizeof *watch);

    (void)context;
    if (watch == NULL) {
        return NULL;
    }
    watch->poller = poller;
    watch->ready = ready;
    watch->ready_context = ready_context;
    if (event_assign(&watch->event, poller->base, handle, wanted(events),
                     on_ready, watch) != 0 ||
        (events != 0 && event_add(&watch->event, NULL) != 0)) {
        mem_free(mem, watch);
        return NULL;
    }
    return watch;
}

/* The kernel has the handle already, so this adds no memory and can fail only
 * for a handle that is not open. */
void watch_change(void *context, struct net_watch *watch, unsigned events)
{
    int handle = event_get_fd(&watch->event);

    (void)context;
    event_del(&watch->event);
    event_assign(&watch->event, watch->poller->base, handle, wanted(events),
                 on_ready, watch);
    if (events != 0) {
        check(event_add(&watch->event, NULL) == 0);
    }
}

void watch_destroy(void *context, struct net_watch *watch)
{
    (void)context;
    event_del(&watch->event);
    mem_free(mem_system(), watch);
}
