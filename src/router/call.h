/* call.h -- one request on its way: from a client's session to an upstream and
 * back.
 *
 * A call stands in two queues at once: its session's, in the order in which the
 * client must be answered, and its upstream's, in the order in which the shard
 * will answer.  The session may end before the answer comes; the call then goes
 * on as an orphan, because the shard will answer all the same.
 */
#ifndef ROUTER_CALL_H
#define ROUTER_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/reply.h"
#include "core/request.h"
#include "core/wire.h"

struct session;
struct upstream;

/* What becomes of the answer. */
enum call_kind {
    CALL_GET,      /* one key of a get: the last of its line brings END */
    CALL_LINE,     /* text, one line */
    CALL_META_GET, /* mg, me */
    CALL_META,     /* ms, md, ma */
    CALL_FLUSH,    /* one shard's part of flush_all */
    CALL_STATS,    /* one shard's part of stats */
    CALL_ANNOUNCE, /* the router's own: ring <epoch> */
    CALL_LOCAL,    /* answered by the router itself, waiting for its turn */
};

struct call {
    struct session *session; /* NULL: nobody waits for the answer any more */
    struct call *session_next;
    struct call *upstream_next; /* also: next parked, next free */
    uint64_t deadline_ms;       /* for the answer, since it was last sent */
    uint64_t give_up_ms; /* being sent again ends then; 0: was sent once */
    uint64_t hash;       /* of the key: which slot */
    uint32_t size;       /* of the request in the upstream's window */
    uint16_t key_at;     /* of the key within it, for CALL_GET */
    uint16_t key_size;
    enum call_kind kind;
    enum reply_expect expect;
    enum command command;
    bool quiet; /* noreply, q: what of the answer is withheld */
    bool last;  /* of a get line, of a broadcast */
    bool done;  /* answered, but an earlier one is not */
    /* The answer of a call that is done, in session->held. */
    size_t held_at, held_size;
    char *parked; /* a copy of the request, while it waits to be sent again */
};

#endif
