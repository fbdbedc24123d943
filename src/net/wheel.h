/* wheel.h -- the timers of one loop, sorted by when they are due.
 *
 * Two wheels: a near one with a slot per tick, and a far one with a slot per
 * turn of the near one, whose timers move over when their turn comes.  So a
 * thousand connections that wait a minute wake nobody before the minute is
 * over, and arming and clearing are O(1).
 */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

enum {
    WHEEL_NEAR_BITS = 9,
    WHEEL_NEAR_SLOTS = 1 << WHEEL_NEAR_BITS, /* 5.12 s */
    WHEEL_FAR_SLOTS = 64,                    /* 5.5 minutes; later ones wait */
};

struct wheel {
    uint64_t tick; /* everything up to and with this one has run */
    size_t count;
    /* A bit may outlive its last timer; it is cleared when it is looked at. */
    uint64_t near_used[WHEEL_NEAR_SLOTS / 64];
    uint64_t far_used;
    struct timer *near[WHEEL_NEAR_SLOTS];
    struct timer *far[WHEEL_FAR_SLOTS];
};

/* now_ms tells an empty wheel where to begin. */
void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t at_ms,
               uint64_t now_ms);
void wheel_clear(struct wheel *wheel, struct timer *timer);
/* When there is something to do; UINT64_MAX: no timers. */
uint64_t wheel_next_ms(struct wheel *wheel);
/* Runs what is due, tick by tick, in the order armed within a tick. */
void wheel_run(struct wheel *wheel, uint64_t now_ms);

#endif
