/* slice.h -- bytes somebody else owns. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *at;
    size_t size;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* Decimal digits only, no sign, no blank.  False: empty, another byte, or more
 * than max; *out is then unchanged. */
bool slice_read_u64(struct slice word, uint64_t max, uint64_t *out);

/* The same with an optional '-'. */
bool slice_read_i64(struct slice word, int64_t min, int64_t max, int64_t *out);

/* Writes value in decimal at out, which has room for 20 bytes, and returns how
 * many were written.  No terminator. */
size_t decimal_write(char out[static 20], uint64_t value);

#endif
