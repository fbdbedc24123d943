/* fetch.h -- an HTTP client on a thread of its own (libcurl).
 *
 * Two uses: hold one NDJSON stream open and hand on its lines (a watch), and
 * make small requests beside it (an acknowledgement).  A broken or silent
 * stream is opened again after a back-off with jitter; ringd being away is
 * normal and costs nobody anything.
 */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/option.h"
#include "base/slice.h"

enum {
    FETCH_LINE_SIZE_MAX = 4 << 20,
    FETCH_SILENCE_MS_MAX = 15000, /* no line, no heartbeat: reconnect */
    FETCH_BACKOFF_MS_MIN = 50,
    FETCH_BACKOFF_MS_MAX = 2000,
};

struct fetch;

struct fetch_handler {
    /* All on the client's thread.  url() writes the address to open now (it
     * may carry the epoch last seen); servers are tried in turn. */
    void (*url)(void *context, const char *server, char *out, size_t size);
    void (*line)(void *context, struct slice line);
    /* The stream is up (its first bytes are here) or down; words for the log.
     * Attempts that fail one after the other are told once. */
    void (*state)(void *context, bool connected, const char *words);
};

/* servers: "http://host:port", copied.  ERR_SYNTAX: one is not like that, or
 * there is none.  *out is written before the first handler is called, so that
 * they may post; they may be called before this returns. */
enum err fetch_start(struct fetch **out, const struct env *env,
                     const struct option_texts *servers,
                     const struct fetch_handler *handler, void *context,
                     struct why *why);
/* Returns promptly, but waits for a handler that is running; not to be called
 * from one.  Safe on NULL. */
void fetch_stop(struct fetch **fetch);

/* From any thread: POST body (copied, JSON) to path ("/...") at the connected
 * server, once, best effort, in the order of the calls.  Dropped when no stream
 * is up. */
void fetch_post(struct fetch *fetch, const char *path, struct slice body);

/* One blocking request, for tools.  *status: HTTP's; the answer is the caller's
 * to mem_free and has a terminator behind its size.  ERR_IO, ERR_TIMEOUT,
 * ERR_LIMIT (larger than answer_size_max) with *why naming the URL. */
struct fetch_once {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *url;
    struct slice body;
    uint64_t timeout_ms; /* 0: FETCH_SILENCE_MS_MAX */
    size_t answer_size_max;
};
enum err fetch_once(const struct env *env, const struct fetch_once *what,
                    int *status, char **answer, size_t *answer_size,
                    struct why *why);

#endif
