/* check.h -- asserts that stay on.
 *
 * A failed check is a bug of ours, never a peer's doing: it prints the
 * condition, the place and the words, and aborts.  check_slow() is for what is
 * too dear to verify on every request; it is compiled in unless NDEBUG.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

_Noreturn void check_failed(const char *condition, const char *file, int line);

#define check(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0)) {          \
            check_failed(#condition, __FILE__, __LINE__); \
        }                                                 \
    } while (0)

#ifdef NDEBUG
#define check_slow(condition) ((void)sizeof(condition))
#else
#define check_slow(condition) check(condition)
#endif

/* Marks an object as alive; checked on entry, poisoned at its end. */
#define MAGIC(a, b, c, d)                                             \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
     (uint32_t)(d))
#define MAGIC_DEAD UINT32_C(0xdeadbeef)

#endif
