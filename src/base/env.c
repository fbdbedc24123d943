#include "base/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

static uint64_t system_monotonic_ns(void *context)
{
    struct timespec now;

    (void)context;
    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t system_wall_ms(void *context)
{
    struct timespec now;

    (void)context;
    check(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Secrets made from anything weaker would be worse than not starting. */
static void system_random(void *context, void *out, size_t size)
{
    unsigned char *next = out;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0) {
            check(errno == EINTR);
            continue;
        }
        next += got;
        size -= (size_t)got;
    }
}

static void system_sleep_ms(void *context, uint64_t duration_ms)
{
    struct timespec left = {
        .tv_sec = (time_t)(duration_ms / 1000),
        .tv_nsec = (long)(duration_ms % 1000) * 1000000,
    };

    (void)context;
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void env_system(struct env *env)
{
    *env = (struct env){
        .monotonic_ns = system_monotonic_ns,
        .wall_ms = system_wall_ms,
        .sleep_ms = system_sleep_ms,
        .random = system_random,
        .mem = mem_system(),
    };
}
