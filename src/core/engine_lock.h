/* engine_lock.h -- a lock of four bytes for sections of a few dozen
 * instructions.
 *
 * There are far too many buckets and pages for a pthread mutex each.  Whoever
 * waits gives the processor away now and then: with fewer processors than
 * threads, the holder may not be running.
 */
#ifndef CORE_ENGINE_LOCK_H
#define CORE_ENGINE_LOCK_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct spin {
    _Atomic uint32_t held;
};

enum { SPIN_ROUNDS_PER_YIELD = 128 };

static inline void spin_pause(unsigned *rounds)
{
    if (++*rounds % SPIN_ROUNDS_PER_YIELD == 0) {
        sched_yield();
    } else {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("yield");
#endif
    }
}

/* Locks are one bit of a word, so that a bucket can keep more in it. */
static inline bool bit_try_lock(_Atomic uint32_t *word)
{
    return (atomic_fetch_or_explicit(word, 1, memory_order_acquire) & 1) == 0;
}

static inline void bit_lock(_Atomic uint32_t *word)
{
    unsigned rounds = 0;

    while (!bit_try_lock(word)) {
        do {
            spin_pause(&rounds);
        } while (atomic_load_explicit(word, memory_order_relaxed) & 1);
    }
}

static inline void bit_unlock(_Atomic uint32_t *word)
{
    uint32_t value = atomic_load_explicit(word, memory_order_relaxed);

    atomic_store_explicit(word, value & ~UINT32_C(1), memory_order_release);
}

static inline bool spin_try_lock(struct spin *spin)
{
    return bit_try_lock(&spin->held);
}

static inline void spin_lock(struct spin *spin)
{
    bit_lock(&spin->held);
}

static inline void spin_unlock(struct spin *spin)
{
    bit_unlock(&spin->held);
}

#endif
