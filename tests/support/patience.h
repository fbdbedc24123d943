/* patience.h -- waiting for what another thread does.
 *
 *   assert_true(eventually(atomic_load(&count) == 3));
 *
 * A condition that holds costs no more than it takes to come true; one that
 * does not fails after PATIENCE_MS.
 */
#ifndef TESTS_SUPPORT_PATIENCE_H
#define TESTS_SUPPORT_PATIENCE_H

#include <stdbool.h>
#include <time.h>

enum { PATIENCE_MS = 5000 };

static inline void patience_nap(void)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};

    (void)nanosleep(&millisecond, NULL);
}

#define eventually(condition)                           \
    __extension__({                                     \
        int left_ = PATIENCE_MS;                        \
        bool held_ = false;                             \
                                                        \
        while (!(held_ = (condition)) && left_-- > 0) { \
            patience_nap();                             \
        }                                               \
        held_;                                          \
    })

#endif
