/* session.h -- one client's connection to a router.
 *
 * Requests are parsed as they come and handed to the shards at once; answers
 * come in any order and are given back in the order asked.  An answer that is
 * early is held.  A session takes no new request while
 *  - client_inflight of its requests are on their way, or so many that their
 *    answers may be more than SESSION_ANSWERS_MAX bytes,
 *  - its peer does not read its answers,
 *  - requests sent under an older ring are on their way, or were given back by
 *    a shard: a later request of the same client must not overtake them.
 */
#ifndef ROUTER_SESSION_H
#define ROUTER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/request.h"
#include "net/conn.h"
#include "router/call.h"

struct worker;
struct stats_merge;

enum {
    /* Bytes of answers that one client may have coming: what it has not read,
     * what is held, and what is expected. */
    SESSION_ANSWERS_MAX = 8 << 20,
    /* Expected of the first: a new client may have 64 requests on their way
     * until their answers show what size to expect. */
    SESSION_ANSWER_SIZE_FIRST = 128 << 10,
};

struct session {
    struct worker *worker;
    struct conn *conn;
    struct request_parser parser;
    struct call *head, **tail; /* unanswered, in the order asked */
    unsigned inflight;         /* their number */
    unsigned parked;           /* of these, waiting to be sent again */
    uint64_t generation;       /* worker->generation they were sent under */
    size_t answer_size;        /* what an answer is expected to be, decaying */
    bool ending;               /* quit, or a bad line: close when answered */
    bool broadcast_failed;     /* a shard's part of a broadcast failed */
    struct stats_merge *stats; /* while a `stats` is being answered */
    /* A get line that had to stop.  What is sent of it has been consumed. */
    struct {
        enum command command;
        char exptime[NUMBER_DIGITS_MAX + 2]; /* gat, gats: as sent */
        size_t left;   /* bytes of keys to come; 0: there is none */
        size_t ending; /* bytes of the line behind them */
    } get;
    struct {
        char *at;
        size_t size, capacity;
        unsigned count; /* answers in it */
    } held;             /* answers that came before their turn */
};

/* Takes the handle over. */
void session_open(struct worker *worker, int handle);
/* Ends it when it owes no answer. */
void session_drain(struct session *session);
/* Something it waited for has changed: look at its input again. */
void session_wake(struct session *session);

/* May another request of this client be sent? */
bool session_may_send(const struct session *session);

/* A new call at the end of the session's queue; NULL: no memory, the session
 * is being closed. */
struct call *session_call(struct session *session, enum call_kind kind);
/* The answer of a call.  The call is no longer the caller's. */
void session_finish(struct session *session, struct call *call,
                    struct slice answer);
/* An answer of the router's own, in its turn. */
void session_answer(struct session *session, struct slice answer);

#endif
