/* conn.h -- a byte stream with bounded buffers, on one loop.
 *
 * Used for clients, and by the router for its shards.  The owner is told when
 * bytes have come; it parses what it can of conn_input(), conn_consume()s that,
 * writes answers into room it conn_reserve()s, and flushes once per batch.
 *
 * - Input: a block of CONN_BLOCK_SIZE borrowed from the loop's pool while there
 *   are bytes in it, given back when it is empty.  conn_want() lets it grow for
 *   one large request; it grows as the bytes come, not when they are announced.
 * - Output: likewise; what one write could not send stays, and while more than
 *   CONN_OUTPUT_HIGH bytes wait, no input is read and conn_is_clogged() is
 *   true: the owner stops producing and is called again when it has drained.
 * - A read that returned less than asked for has emptied the socket: no second
 *   read is tried.
 * - Timeouts are per connection and cost no timer per request.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

enum {
    CONN_BLOCK_SIZE = 16 << 10,
    CONN_OUTPUT_HIGH = 64 << 10,
    CONN_OUTPUT_LOW = 16 << 10,
};

struct conn;

enum conn_end {
    CONN_END_OURS,    /* conn_close() */
    CONN_END_PEER,    /* end of stream */
    CONN_END_ERROR,   /* reset, refused, unreachable */
    CONN_END_IDLE,    /* idle_timeout_ms without a byte */
    CONN_END_STALLED, /* a request took longer than request_timeout_ms */
    CONN_END_UNREAD,  /* the peer took nothing for write_timeout_ms */
    CONN_END_MEMORY,  /* a buffer could not grow */
    CONN_END_COUNT
};

struct conn_handler {
    /* New input, or room for output again, or conn_again().  Called in the
     * loop's thread; may close the conn. */
    void (*input)(void *owner, struct conn *conn);
    /* The stream has ended; the conn is destroyed after this returns.  Called
     * exactly once, also after conn_close. */
    void (*ended)(void *owner, struct conn *conn, enum conn_end why);
    /* May be NULL.  Outgoing conns only: connected. */
    void (*opened)(void *owner, struct conn *conn);
};

struct conn_options {
    const struct conn_handler *handler;
    void *owner;
    uint64_t idle_timeout_ms;    /* 0: none */
    uint64_t request_timeout_ms; /* first byte of a request to its last; 0 */
    uint64_t write_timeout_ms;   /* 0; for connecting too */
    size_t output_limit;         /* conn_reserve beyond it fails; 0: none */
    /* Go on reading while the peer does not: for a peer that may be waiting
     * for us to read before it reads. */
    bool reads_when_clogged;
};

/* Counted per pool; read from any thread. */
struct conn_books {
    uint64_t bytes_read, bytes_written;
    uint64_t buffer_bytes; /* held by all conns of the pool */
};

/* The loop's stock of buffer blocks.  limit: bytes that all its conns together
 * may hold; beyond it growing fails. */
struct conn_pool;
enum err conn_pool_create(struct conn_pool **out, struct loop *loop,
                          size_t limit);
void conn_pool_destroy(struct conn_pool **pool); /* closes its conns */
void conn_pool_books(const struct conn_pool *pool, struct conn_books *out);
size_t conn_pool_count(const struct conn_pool *pool);
/* Calls visit for each open conn; visit may close it. */
void conn_pool_each(struct conn_pool *pool,
                    void (*visit)(void *context, struct conn *conn),
                    void *context);

/* Takes the handle over, also on failure.  ERR_NOMEM; ERR_CLOSED: the pool is
 * being destroyed. */
enum err conn_create(struct conn **out, struct conn_pool *pool, int handle,
                     const struct conn_options *options);
/* Starts connecting; handler->opened or ->ended follows (never before this
 * returns).  Output may be queued already.  A connect that takes longer than
 * write_timeout_ms is CONN_END_ERROR.  ERR_NOMEM. */
enum err conn_open(struct conn **out, struct conn_pool *pool,
                   const struct net_address *address,
                   const struct conn_options *options);

void *conn_owner(const struct conn *conn);
int conn_handle(const struct conn *conn);

/* All bytes received and not consumed; contiguous. */
struct slice conn_input(const struct conn *conn);
void conn_consume(struct conn *conn, size_t size);
/* The next request needs `total` bytes of contiguous input.  ERR_NOMEM: over
 * the pool's limit. */
enum err conn_want(struct conn *conn, size_t total);
/* A request is complete: the request timeout starts anew with the next byte. */
void conn_request_done(struct conn *conn);
/* Drop this many bytes as they come, without buffering them.  What is in
 * conn_input() already is dropped first: consume the request line before. */
void conn_skip(struct conn *conn, uint64_t size);

/* At least `size` contiguous bytes to write to; NULL: over output_limit or the
 * pool's.  conn_commit says how many were used. */
char *conn_reserve(struct conn *conn, size_t size);
void conn_commit(struct conn *conn, size_t size);
/* reserve + copy + commit.  False: no room; nothing was added. */
bool conn_append(struct conn *conn, struct slice bytes);
size_t conn_output_size(const struct conn *conn);
/* Undo: cuts output back to a size that conn_output_size() gave before, within
 * the same callback and before any flush. */
void conn_output_cut(struct conn *conn, size_t size);

/* Send now / at the end of this turn.  Output that is queued when input()
 * returns, and not put off, is sent then: a plain owner need not flush. */
void conn_flush(struct conn *conn);
void conn_flush_later(struct conn *conn);
bool conn_is_clogged(const struct conn *conn);

/* Call input again in the next turn: the budget of this one is spent. */
void conn_again(struct conn *conn);
/* Stop and go on reading: back-pressure by the owner.  Neither the idle nor the
 * request timeout runs meanwhile.  What is left in conn_input() is handed out
 * again after conn_resume. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/* The owner still owes this peer answers: a peer that has sent its last byte is
 * kept until the hold is taken back, and it is not idle meanwhile. */
void conn_hold(struct conn *conn, bool hold);

/* Sends what is queued, then ends; input is no longer read.  now: drop what is
 * queued.  handler->ended follows, never before this returns. */
void conn_close(struct conn *conn);
void conn_close_now(struct conn *conn);
/* Like conn_close_now, but the handler hears nothing more, not even ended: for
 * an owner that is about to die or has made up its mind.  May be called from
 * within the handler. */
void conn_abandon(struct conn *conn);
bool conn_is_closing(const struct conn *conn);

#endif
