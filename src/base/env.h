/* env.h -- the world, as a role sees it.
 *
 * Time, randomness, memory and the network reach a role through this table and
 * in no other way, so a test can run whole clusters in one process, with a
 * clock it turns by hand and a network that lies.
 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct mem;
struct net;
struct log;

struct env {
    void *context;
    /* Nanoseconds that never jump; only differences mean something. */
    uint64_t (*monotonic_ns)(void *context);
    /* Milliseconds since 1970; may jump. */
    int64_t (*wall_ms)(void *context);
    /* Lets the calling thread rest: control threads only, never a loop. */
    void (*sleep_ms)(void *context, uint64_t duration_ms);
    /* Fills out with bytes nobody can guess. */
    void (*random)(void *context, void *out, size_t size);
    const struct mem *mem;
    const struct net *net; /* net/net.h */
    struct log *log;
};

/* The real clocks and getrandom(2); net and log are left NULL for the role's
 * main to fill in. */
void env_system(struct env *env);

static inline uint64_t env_monotonic_ms(const struct env *env)
{
    return env->monotonic_ns(env->context) / 1000000;
}

static inline int64_t env_wall_ms(const struct env *env)
{
    return env->wall_ms(env->context);
}

static inline void env_sleep_ms(const struct env *env, uint64_t duration_ms)
{
    env->sleep_ms(env->context, duration_ms);
}

static inline void env_random(const struct env *env, void *out, size_t size)
{
    env->random(env->context, out, size);
}

#endif
