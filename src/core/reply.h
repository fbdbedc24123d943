/* reply.h -- the reply parser: what a shard (ours or a stock memcached)
 * answers to one request that had exactly one key, or one command.
 *
 * A shard is not trusted: wrong lengths, endless lines, another key's value
 * and unasked-for bytes are REPLY_BROKEN, and then the connection is useless.
 * Pure; allocates nothing; slices point into the input.
 */
#ifndef CORE_REPLY_H
#define CORE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* What kind of answer the request calls for. */
enum reply_expect {
    EXPECT_VALUE, /* get gets gat gats with one key: VALUE ... END, or END */
    EXPECT_LINE,  /* one line: STORED, NOT_FOUND, 42, OK, VERSION ... */
    EXPECT_META,  /* VA with a data block, or a line HD NF NS EX EN ME MN */
    EXPECT_STATS, /* STAT lines up to END, or one line (RESET, an error) */
};

enum reply_kind {
    REPLY_HIT,  /* VALUE, VA */
    REPLY_MISS, /* END alone, EN */
    REPLY_LINE, /* any other line that was expected, HD included */
    REPLY_STATS,
    REPLY_ERROR, /* ERROR, CLIENT_ERROR, SERVER_ERROR */
    REPLY_MOVED, /* SERVER_ERROR moved <epoch> */
};

enum reply_outcome {
    REPLY_DONE,
    REPLY_MORE,   /* out->needed: total size of input to wait for */
    REPLY_BROKEN, /* out->why says what is wrong with it */
};

struct reply {
    enum reply_kind kind;
    size_t consumed; /* the whole reply, endings included */
    size_t needed;
    struct slice whole; /* all its bytes */
    struct slice line;  /* its first line, without the ending */
    struct slice block; /* EXPECT_VALUE hit: the VALUE line, the data and their
                         * endings, without END: what a multi-get passes on */
    struct slice value; /* the data, without its ending */
    struct slice key;   /* EXPECT_VALUE hit: the key it says it answers; that it
                         * is the one asked for, the caller checks */
    uint64_t epoch;     /* REPLY_MOVED */
    const char *why;
};

struct reply_parser {
    uint64_t value_size_max; /* a larger value is REPLY_BROKEN */
    size_t scanned; /* the parser's own: where to look on; 0 to begin */
};

/* input starts at an answer's first byte and is whatever has arrived of it and
 * of what follows.  After MORE the caller calls again with the same bytes and
 * more behind them.  After a VALUE or VA line `needed` is exact.
 *
 * Lines end in "\r\n" and have at most REPLY_LINE_SIZE_MAX bytes, a list has
 * at most STATS_REPLY_SIZE_MAX. */
enum reply_outcome reply_parse(struct reply_parser *parser,
                               enum reply_expect expect, struct slice input,
                               struct reply *out);

#endif
