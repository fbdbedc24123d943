#include "base/log_repeat.h"

#include <stdatomic.h>

enum { COUNT_BITS = 8, PROBES_MAX = 32 };

_Static_assert(LOG_BURST_MAX < 1 << COUNT_BITS, "the count has its bits");

void log_repeats_init(struct log_repeats *repeats)
{
    atomic_init(&repeats->waiting, 0);
    for (size_t i = 0; i < LOG_REPEAT_ROWS_MAX; i++) {
        struct log_repeat *row = &repeats->rows[i];

        atomic_init(&row->key, 0);
        atomic_init(&row->second, 0);
        atomic_init(&row->withheld, 0);
        atomic_init(&row->component, NULL);
        atomic_init(&row->event, NULL);
        atomic_init(&row->level, LOG_ERROR);
    }
}

/* Both addresses in one word: 48 bits each, turned so that they overlap only
 * where addresses of one program's literals are alike. */
static uint64_t repeat_key(const char *component, const char *event)
{
    uint64_t key = (uint64_t)(uintptr_t)component << 32 ^
                   (uint64_t)(uintptr_t)component >> 32 ^
                   (uint64_t)(uintptr_t)event;

    return key != 0 ? key : 1;
}

/* The row of this key, made if need be; NULL: no room. */
static struct log_repeat *row_find(struct log_repeats *repeats, uint64_t key)
{
    uint64_t start = key * UINT64_C(0x9e3779b97f4a7c15) >> 32;

    for (uint64_t i = 0; i < PROBES_MAX; i++) {
        struct log_repeat *row =
            &repeats->rows[(start + i) % LOG_REPEAT_ROWS_MAX];
        uint64_t found = atomic_load_explicit(&row->key, memory_order_relaxed);

        if (found == 0 && atomic_compare_exchange_strong_explicit(
                              &row->key, &found, key, memory_order_relaxed,
                              memory_order_relaxed)) {
            return row;
        }
        if (found == key) {
            return row;
        }
    }
    return NULL;
}

static void withheld_take(struct log_repeats *repeats, struct log_repeat *row,
                          struct log_withheld *out)
{
    out->count =
        atomic_exchange_explicit(&row->withheld, 0, memory_order_acquire);
    if (out->count == 0) {
        return;
    }
    (void)atomic_fetch_sub_explicit(&repeats->waiting, 1, memory_order_relaxed);
    out->component =
        atomic_load_explicit(&row->component, memory_order_relaxed);
    out->event = atomic_load_explicit(&row->event, memory_order_relaxed);
    out->level = atomic_load_explicit(&row->level, memory_order_relaxed);
}

static enum log_verdict withhold(struct log_repeats *repeats,
                                 struct log_repeat *row, enum log_level level,
                                 const char *component, const char *event)
{
    atomic_store_explicit(&row->component, component, memory_order_relaxed);
    atomic_store_explicit(&row->event, event, memory_order_relaxed);
    atomic_store_explicit(&row->level, level, memory_order_relaxed);
    /* Whoever takes the count also sees the words stored above. */
    if (atomic_fetch_add_explicit(&row->withheld, 1, memory_order_release) >
        0) {
        return LOG_WITHHOLD;
    }
    return atomic_fetch_add_explicit(&repeats->waiting, 1,
                                     memory_order_relaxed) > 0
               ? LOG_WITHHOLD
               : LOG_WITHHOLD_FIRST;
}

enum log_verdict log_repeats_ask(struct log_repeats *repeats, uint64_t second,
                                 enum log_level level, const char *component,
                                 const char *event, struct log_withheld *before)
{
    struct log_repeat *row = row_find(repeats, repeat_key(component, event));

    before->count = 0;
    if (row == NULL) {
        return LOG_ADMIT;
    }
    uint64_t last = atomic_load_explicit(&row->second, memory_order_relaxed);
    uint64_t next;

    do {
        uint64_t count = last & ((1 << COUNT_BITS) - 1);

        /* Another thread may have read its clock a little later: its second is
         * then the one that counts. */
        if (last >> COUNT_BITS < second) {
            next = second << COUNT_BITS | 1;
        } else if (count < LOG_BURST_MAX) {
            next = last + 1;
        } else {
            return withhold(repeats, row, level, component, event);
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &row->second, &last, next, memory_order_relaxed, memory_order_relaxed));

    if (last >> COUNT_BITS != next >> COUNT_BITS) {
        withheld_take(repeats, row, before);
    }
    return LOG_ADMIT;
}

bool log_repeats_waiting(const struct log_repeats *repeats)
{
    return atomic_load_explicit(&repeats->waiting, memory_order_relaxed) > 0;
}

bool log_repeats_take(struct log_repeats *repeats, uint64_t second,
                      size_t *row_index, struct log_withheld *out)
{
    while (*row_index < LOG_REPEAT_ROWS_MAX) {
        struct log_repeat *row = &repeats->rows[(*row_index)++];
        uint64_t last =
            atomic_load_explicit(&row->second, memory_order_relaxed);

        if (last >> COUNT_BITS < second) {
            withheld_take(repeats, row, out);
            if (out->count > 0) {
                return true;
            }
        }
    }
    return false;
}
