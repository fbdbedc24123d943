/* The timer wheels of a loop. */
#include "net/wheel.h"

#include "base/check.h"

static void list_push(struct timer **head, struct timer *timer)
{
    timer->next = *head;
    if (timer->next != NULL) {
        timer->next->slot = &timer->next;
    }
    timer->slot = head;
    *head = timer;
}

static void list_unlink(struct timer *timer)
{
    *timer->slot = timer->next;
    if (timer->next != NULL) {
        timer->next->slot = timer->slot;
    }
    timer->slot = NULL;
}

/* Empties *from into *to.  Pushing made the list last-in-first-out; moving it
 * one by one turns it round. */
static void list_turn(struct timer **to, struct timer **from)
{
    while (*from != NULL) {
        struct timer *timer = *from;

        list_unlink(timer);
        list_push(to, timer);
    }
}

/* Rounded up, so that no timer is early. */
static uint64_t tick_of(uint64_t at_ms)
{
    return at_ms / TIMER_TICK_MS + (at_ms % TIMER_TICK_MS != 0);
}

static void wheel_insert(struct wheel *wheel, struct timer *timer)
{
    uint64_t due = tick_of(timer->at_ms);

    if (due <= wheel->tick) {
        due = wheel->tick + 1;
    }
    if (due - wheel->tick <= WHEEL_NEAR_SLOTS) {
        size_t slot = due % WHEEL_NEAR_SLOTS;

        list_push(&wheel->near[slot], timer);
        wheel->near_used[slot / 64] |= UINT64_C(1) << (slot % 64);
    } else {
        size_t slot = (due >> WHEEL_NEAR_BITS) % WHEEL_FAR_SLOTS;

        list_push(&wheel->far[slot], timer);
        wheel->far_used |= UINT64_C(1) << slot;
    }
}

void wheel_set(struct wheel *wheel, struct timer *timer, uint64_t at_ms,
               uint64_t now_ms)
{
    wheel_clear(wheel, timer);
    if (wheel->count == 0) {
        wheel->tick = now_ms / TIMER_TICK_MS;
    }
    timer->at_ms = at_ms;
    wheel->count++;
    wheel_insert(wheel, timer);
}

void wheel_clear(struct wheel *wheel, struct timer *timer)
{
    if (timer->slot != NULL) {
        check(wheel->count > 0);
        wheel->count--;
        list_unlink(timer);
    }
}

/* The first bit set at or after `from` in a circle of `words` words; the
 * number of bits if none is. */
static size_t bits_next(const uint64_t *bits, size_t words, size_t from)
{
    size_t word = from / 64;
    uint64_t left = bits[word] & (UINT64_MAX << (from % 64));

    for (size_t i = 0; i <= words; i++) {
        if (left != 0) {
            return word * 64 + (size_t)__builtin_ctzll(left);
        }
        word = (word + 1) % words;
        left = bits[word];
    }
    return words * 64;
}

/* The next tick with a timer, counted in slots of one wheel; UINT64_MAX. */
static uint64_t slot_next(uint64_t *bits, struct timer *const *slots,
                          size_t count, uint64_t after)
{
    for (;;) {
        size_t from = (after + 1) % count;
        size_t slot = bits_next(bits, count / 64, from);

        if (slot == count) {
            return UINT64_MAX;
        }
        if (slots[slot] != NULL) {
            return after + 1 + (slot + count - from) % count;
        }
        bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
}

static uint64_t wheel_next_tick(struct wheel *wheel)
{
    uint64_t near =
        slot_next(wheel->near_used, wheel->near, WHEEL_NEAR_SLOTS, wheel->tick);
    uint64_t far = slot_next(&wheel->far_used, wheel->far, WHEEL_FAR_SLOTS,
                             wheel->tick >> WHEEL_NEAR_BITS);

    if (far != UINT64_MAX) {
        far <<= WHEEL_NEAR_BITS;
    }
    return near < far ? near : far;
}

uint64_t wheel_next_ms(struct wheel *wheel)
{
    if (wheel->count == 0) {
        return UINT64_MAX;
    }
    uint64_t tick = wheel_next_tick(wheel);

    check(tick > wheel->tick);
    return tick > UINT64_MAX / TIMER_TICK_MS ? UINT64_MAX
                                             : tick * TIMER_TICK_MS;
}

/* A turn of the near wheel begins: its timers come over from the far one. */
static void wheel_refill(struct wheel *wheel, uint64_t tick)
{
    struct timer *moving = NULL;

    list_turn(&moving,
              &wheel->far[(tick >> WHEEL_NEAR_BITS) % WHEEL_FAR_SLOTS]);
    while (moving != NULL) {
        struct timer *timer = moving;

        list_unlink(timer);
        wheel_insert(wheel, timer);
    }
}

static void wheel_step(struct wheel *wheel, uint64_t tick)
{
    struct timer *due = NULL;

    /* Refilling counts from the tick before, so that what is due in this very
     * tick is not pushed into the next. */
    wheel->tick = tick - 1;
    if (tick % WHEEL_NEAR_SLOTS == 0) {
        wheel_refill(wheel, tick);
    }
    wheel->tick = tick;
    list_turn(&due, &wheel->near[tick % WHEEL_NEAR_SLOTS]);
    while (due != NULL) {
        struct timer *timer = due;

        wheel_clear(wheel, timer);
        timer->run(timer->context);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t now = now_ms / TIMER_TICK_MS;

    while (wheel->count > 0) {
        uint64_t tick = wheel_next_tick(wheel);

        if (tick > now) {
            break;
        }
        wheel_step(wheel, tick);
    }
    if (wheel->tick < now) {
        wheel->tick = now;
    }
}
