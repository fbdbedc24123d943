/* err.h -- one error type for the whole program.
 *
 * Functions that can fail return enum err and hand results back through an out
 * pointer that is written only on ERR_OK.  Errors are expected events (a full
 * disk, a hostile peer); broken invariants are check()s, never errors.
 *
 * Where a person will read the refusal, a function also fills a struct why:
 * what failed, with which value, and what to do.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
#define ERR(name, words) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

enum { WHY_SIZE_MAX = 512 };

/* Words for a person.  Always terminated; cut when too long. */
struct why {
    char text[WHY_SIZE_MAX];
};

const char *err_text(enum err e);

/* Writes the words into *why (which may be NULL) and returns e, so that a
 * refusal is one statement: return err_why(why, ERR_RANGE, "...", ...). */
enum err err_why(struct why *why, enum err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
