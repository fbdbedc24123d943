/* upstream.h -- one worker's way to one shard: one pipelined connection.
 *
 * Requests of all clients in one turn of the loop leave in one write.  Each
 * request gets exactly one answer (noreply and q are stripped before sending),
 * so the n-th answer belongs to the n-th call.  The bytes of a request stay in
 * the window until it is answered, so one that a shard gives back can be sent
 * again to the right one.
 *
 * A connection counts as up only when the shard has answered the first request
 * on it (`ring <epoch>`; a stock memcached says ERROR, which is an answer; any
 * other error is a refusal): a stopped process still accepts connections.  When
 * it is lost, everything on it has failed at once, and until it is up again
 * every call fails at once.
 */
#ifndef ROUTER_UPSTREAM_H
#define ROUTER_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/reply.h"
#include "core/ring.h"
#include "net/conn.h"
#include "net/loop.h"
#include "router/call.h"

struct worker;

enum upstream_state {
    UPSTREAM_NEW, /* first connect under way: calls wait for it */
    UPSTREAM_UP,
    UPSTREAM_LOST, /* calls fail at once; a retry is due or under way */
};

struct upstream {
    struct worker *worker;
    struct upstream *next; /* all of the worker's */
    char name[RING_NAME_SIZE_MAX + 1];
    char address[RING_ADDRESS_SIZE_MAX + 1];
    unsigned lane; /* which of the shard_connections to this shard */
    struct net_address where;
    enum upstream_state state;
    bool wanted; /* a member of the ring in force */
    bool open;   /* connected: the window may be written */
    bool served; /* a client's request was answered on this connection */
    bool plain;  /* does not know `ring`: a stock memcached */
    uint32_t announced;
    struct conn *conn; /* NULL between two tries */
    struct reply_parser parser;
    struct call *head, **tail;
    unsigned count;
    uint64_t pause_ms; /* before the next try */
    struct timer retry;
    struct timer deadline; /* of the oldest call */
    struct task flush;
    struct {
        char *at;
        size_t begin; /* the oldest unanswered byte */
        size_t sent;
        size_t end;
        size_t capacity;
    } window;
};

/* ERR_NOMEM. */
enum err upstream_create(struct upstream **out, struct worker *worker,
                         const struct ring_member *member,
                         const struct net_address *where, unsigned lane);
/* What is on its way fails.  Sets *upstream to NULL. */
void upstream_destroy(struct upstream **upstream);

/* Room for a request of `size` bytes; NULL: the shard is lost, its queue is
 * full, or no memory: *refusal says which. */
char *upstream_reserve(struct upstream *upstream, size_t size,
                       enum wire_line *refusal);
/* The request of that size is written: it will be sent this turn. */
void upstream_send(struct upstream *upstream, struct call *call, size_t size);

/* Says which ring the worker routes by, if that was not said yet, before
 * whatever is sent next. */
void upstream_announce(struct upstream *upstream);

#endif
