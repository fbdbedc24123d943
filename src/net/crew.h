/* crew.h -- a server's worker threads: a loop each, with a listener each.
 *
 * Every worker accepts for itself (SO_REUSEPORT); a unix socket is watched by
 * the first worker, which deals its connections out in turn.  One connection
 * stays with one worker for life.
 *
 * Shut down in two steps: crew_drain() closes the listeners and lets the role
 * end its connections, crew_stop() ends the loops.
 */
#ifndef NET_CREW_H
#define NET_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/option.h"
#include "net/conn.h"
#include "net/loop.h"

enum { CREW_WORKERS_MAX = 128, CREW_LISTENERS_MAX = 16 };

struct crew;

struct crew_handler {
    /* In the worker's own thread, before its first turn; *worker is passed to
     * the others.  An error ends crew_start. */
    enum err (*begin)(void *context, unsigned index, struct loop *loop,
                      struct conn_pool *pool, void **worker);
    /* A connection was accepted: make a conn of the handle.  The crew has
     * already checked connection_limit and counted it: whoever ends it, also
     * because no conn could be made, calls crew_connection_ended. */
    void (*accepted)(void *worker, int handle);
    /* crew_drain: end idle connections now, the others when they are done. */
    void (*drain)(void *worker);
    /* After the last turn of every worker, in the worker's thread; the pool is
     * destroyed (and its conns ended) before this.  Also called, for those that
     * had begun, when crew_start fails.  Nobody may post to a worker any more.
     */
    void (*end)(void *worker);
};

struct crew_options {
    const struct crew_handler *handler;
    void *context;
    unsigned worker_count;
    struct option_texts listen; /* addresses as net->resolve takes them */
    unsigned unix_mode;         /* 0700 */
    int backlog;
    uint64_t connection_limit; /* over it: `refusal` is sent, then close; 0 */
    struct slice refusal;
    size_t buffer_limit; /* bytes for all conns of one worker */
};

struct crew_books {
    uint64_t connections, connections_total, connections_rejected;
    uint64_t bytes_read, bytes_written, buffer_bytes;
    /* Accepts that failed for want of descriptors or memory; the listener then
     * rests for a moment. */
    uint64_t accept_errors;
};

/* Listens on every address, starts the threads, returns when all have begun;
 * *out is written before the first connection is accepted.  env and the
 * options' handler, context and refusal are borrowed for the crew's life.
 * ERR_IO, ERR_SYNTAX with *why naming the address; ERR_LIMIT, ERR_NOMEM. */
enum err crew_start(struct crew **out, const struct env *env,
                    const struct crew_options *options, struct why *why);
/* The addresses really bound (port 0 resolved), for messages and port files. */
const struct option_texts *crew_addresses(const struct crew *crew);
unsigned crew_worker_count(const struct crew *crew);
/* Runs run(worker) in each worker's thread and waits for all: for rare
 * control work (a new ring, stats that need quiet).  Not from a worker. */
void crew_each(struct crew *crew, void (*run)(void *context, void *worker),
               void *context);
void crew_books(const struct crew *crew, struct crew_books *out);
/* When it returns, no listener is open.  Not from a worker. */
void crew_drain(struct crew *crew);
/* Connections still open, to wait for the end of a drain. */
uint64_t crew_connections(const struct crew *crew);
void crew_stop(struct crew **crew); /* joins the threads */

/* The connection this worker counted is gone (call from handler->ended). */
void crew_connection_ended(struct crew *crew, unsigned index);

#endif
