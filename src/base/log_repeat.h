/* log_repeat.h -- which repeats of an event are withheld.
 *
 * An event, told by the addresses of its component and its words, may be
 * written LOG_BURST_MAX times in a second of the monotonic clock; what is
 * beyond is counted, and the count can be taken once that second is over.  Any
 * thread may ask; nobody waits.  A program has far fewer events than the table
 * has rows; should it be full, the rest goes unlimited.  Private to log.c.
 */
#ifndef BASE_LOG_REPEAT_H
#define BASE_LOG_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum { LOG_REPEAT_ROWS_MAX = 512 };

struct log_repeat {
    _Atomic uint64_t key;    /* of the two addresses; 0: a free row */
    _Atomic uint64_t second; /* upper bits the second, lower the count in it */
    _Atomic uint64_t withheld;
    /* What to say of those withheld; always the same for one key. */
    _Atomic(const char *) component;
    _Atomic(const char *) event;
    _Atomic(enum log_level) level;
};

struct log_repeats {
    _Atomic uint64_t waiting; /* rows with something withheld */
    struct log_repeat rows[LOG_REPEAT_ROWS_MAX];
};

/* What was withheld of one event. */
struct log_withheld {
    const char *component;
    const char *event;
    enum log_level level;
    uint64_t count;
};

enum log_verdict {
    LOG_ADMIT,
    LOG_WITHHOLD,       /* counted */
    LOG_WITHHOLD_FIRST, /* counted, and nothing was waiting before */
};

void log_repeats_init(struct log_repeats *repeats);

/* Whether one more may be written now.  If it is the first of its second,
 * *before is what was withheld of it earlier, else its count is 0. */
enum log_verdict log_repeats_ask(struct log_repeats *repeats, uint64_t second,
                                 enum log_level level, const char *component,
                                 const char *event,
                                 struct log_withheld *before);

bool log_repeats_waiting(const struct log_repeats *repeats);

/* Goes through the rows from *row on for one whose second is over (or any, if
 * second is UINT64_MAX) and takes its count; false when there is none left. */
bool log_repeats_take(struct log_repeats *repeats, uint64_t second, size_t *row,
                      struct log_withheld *out);

#endif
