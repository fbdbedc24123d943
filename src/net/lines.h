/* lines.h -- cuts a stream of bytes into lines.
 *
 * Pure: bytes come in whatever pieces the network made of them, whole lines go
 * out, and what is kept between two calls is bounded.  Lines that arrive whole
 * are handed on without being copied.
 */
#ifndef NET_LINES_H
#define NET_LINES_H

#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"

enum {
    /* Room kept for the next unfinished line; a larger one is given back once
     * its line is out, because documents are large and rare. */
    LINES_KEPT_SIZE_MAX = 64 << 10,
};

struct lines {
    const struct mem *mem;
    char *at;
    size_t size, capacity;
    size_t size_max;
};

/* The line without its ending; borrowed for the call. */
typedef void lines_take(void *context, struct slice line);

/* size_max: of one line, without its ending. */
void lines_init(struct lines *lines, const struct mem *mem, size_t size_max);
void lines_fini(struct lines *lines);

/* Forgets an unfinished line: the next bytes come from another stream. */
void lines_reset(struct lines *lines);

/* Calls take for each line that these bytes complete.  Ends in "\n" or "\r\n";
 * empty lines are skipped.  ERR_LIMIT: a line over size_max, ERR_NOMEM: the
 * stream is of no use any more; reset before feeding another. */
enum err lines_feed(struct lines *lines, struct slice bytes, lines_take *take,
                    void *context);

#endif
