/* words.h -- taking words off a line.  For the parsers of core only.
 *
 * Inline, because a request is three or four words and is parsed in some tens
 * of nanoseconds.
 */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/slice.h"
#include "proto/limits.h"

struct words {
    const char *at;    /* where to look on */
    const char *end;   /* of the line */
    const char *start; /* of the line; what lies before `at` may be reread */
};

static inline void words_skip_blanks(struct words *words)
{
    while (words->at < words->end && *words->at == ' ') {
        words->at++;
    }
}

/* False at the end of the line. */
static inline bool words_next(struct words *words, struct slice *word)
{
    words_skip_blanks(words);

    const char *stop = words->at;

    while (stop < words->end && *stop != ' ') {
        stop++;
    }
    *word = (struct slice){words->at, (size_t)(stop - words->at)};
    words->at = stop;
    return word->size > 0;
}

/* What is left of the line, without the blanks around it. */
static inline struct slice words_rest(struct words *words)
{
    words_skip_blanks(words);

    const char *end = words->end;

    while (end > words->at && end[-1] == ' ') {
        end--;
    }
    return (struct slice){words->at, (size_t)(end - words->at)};
}

/* No key holds these: blank and the control bytes.  What is above 0x7f is
 * fine. */
static inline bool byte_ends_key(char byte)
{
    return (unsigned char)byte <= ' ' || byte == 0x7f;
}

#ifdef __SSE2__

/* A bit for each of the 16 bytes that ends a key. */
static inline unsigned key_stops(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const void *)at);
    __m128i blank = _mm_set1_epi8(' ');
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, blank), bytes);
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, del));
}

static inline const char *key_end(const struct words *words)
{
    const char *at = words->at;

    for (; words->end - at >= 16; at += 16) {
        unsigned stops = key_stops(at);

        if (stops != 0) {
            return at + __builtin_ctz(stops);
        }
    }
    /* The last few bytes: the line's last 16, less those already seen.
     * Nothing after the line is read. */
    if (words->end - words->start >= 16) {
        unsigned stops = key_stops(words->end - 16) >> (16 - (words->end - at));

        return stops != 0 ? at + __builtin_ctz(stops) : words->end;
    }
    while (at < words->end && !byte_ends_key(*at)) {
        at++;
    }
    return at;
}

#else

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* May be true wrongly, but only together with a byte for which it is right. */
static inline bool key_stops(const char *at)
{
    uint64_t bytes;

    memcpy(&bytes, at, sizeof bytes);
    uint64_t del = bytes ^ EACH_BYTE(0x7f);
    uint64_t low = (bytes - EACH_BYTE(0x21)) & ~bytes;

    return ((low | ((del - EACH_BYTE(1)) & ~del)) & EACH_BYTE(0x80)) != 0;
}

static inline const char *key_end(const struct words *words)
{
    const char *at = words->at;

    while (words->end - at >= 8 && !key_stops(at)) {
        at += 8;
    }
    while (at < words->end && !byte_ends_key(*at)) {
        at++;
    }
    return at;
}

#endif

/* Takes a word that must be a key.  False: there is none, it is too long or
 * holds a control byte; the word is then skipped all the same. */
static inline bool words_key(struct words *words, struct slice *key)
{
    words_skip_blanks(words);

    const char *stop = key_end(words);

    *key = (struct slice){words->at, (size_t)(stop - words->at)};
    words->at = stop;
    if (__builtin_expect(stop < words->end && *stop != ' ', 0)) {
        struct slice tail;

        (void)words_next(words, &tail);
        return false;
    }
    return key->size > 0 && key->size <= KEY_SIZE_MAX;
}

#endif
