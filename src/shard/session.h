/* session.h -- one client's connection to a shard.
 *
 * Requests are taken from the input in batches: parsed, hashed and prefetched
 * together, then executed in order; their answers leave in one write.  A
 * session gives way after requests_per_turn requests, and stops while its peer
 * does not read its answers.
 *
 * A router announces with `ring <epoch>` which ring it routes by.  A key is
 * served only if this shard owns its slot, knows that epoch, and the slot's
 * tenure is not above it; otherwise the answer is SERVER_ERROR moved.  Clients
 * that announce nothing are served what the shard owns.
 */
#ifndef SHARD_SESSION_H
#define SHARD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/request.h"
#include "net/conn.h"
#include "shard/worker.h"

struct session {
    struct worker *worker;
    struct conn *conn;
    struct request_parser parser;
    bool announced; /* a router: it has said which epoch it routes by */
    bool behind;    /* we told it that we do not know that epoch yet: until
                     * it announces again everything is refused, so that no
                     * later request overtakes one it will send again */
    uint32_t epoch; /* the epoch it announced */
    /* A get line that had to stop, for a slow reader or because its turn was
     * over.  What is answered of it has been consumed. */
    struct {
        enum command command;
        uint64_t expires_ms; /* gat, gats */
        size_t left;         /* bytes of keys to come; 0: there is none */
        size_t ending;       /* bytes of the line behind them */
    } get;
};

/* Takes the handle over. */
void session_open(struct worker *worker, int handle);
/* Ends it now if it is between two requests, else after the one it is in. */
void session_drain(struct session *session);

/* --- for the commands ------------------------------------------------- */

/* Fills in *out for a key with this engine_hash().  False: the key is not
 * this shard's to serve; nothing was answered. */
bool session_locate(struct session *session, struct slice key, uint64_t hash,
                    struct engine_key *out);

/* Answers that the slot is not served here (a request that was not located). */
void session_answer_moved(struct session *session);

/* Room in the output; NULL: the session is being closed for want of memory. */
char *session_reserve(struct session *session, size_t size);
void session_commit(struct session *session, size_t size);
/* One answer, whole. */
void session_answer(struct session *session, struct slice bytes);
/* The same unless the request said noreply. */
void session_reply(struct session *session, const struct request *request,
                   struct slice bytes);

#endif
