/* ask.h -- questions to ringd's HTTP API, with words a person can act on. */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include <jansson.h>

#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"

struct ask {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *server; /* "http://host:port" or "host:port" */
    const char *path;   /* "/v1/ring" */
    struct slice body;
    uint64_t timeout_ms;
};

/* Any HTTP server.  *answer is terminated and the caller's to mem_free.
 * ERR_IO, ERR_TIMEOUT: nobody answered.  ERR_UNKNOWN: 404.  ERR_REFUSED: any
 * other status from 400, with the server's own words in *why.  ERR_NOMEM. */
enum err ask_text(const struct env *env, const struct ask *ask, char **answer,
                  size_t *size, struct why *why);

/* The same of a ringd, whose answer is JSON: *out is the caller's to
 * json_decref.  *why also says how to start or name a ringd.  ERR_SYNTAX. */
enum err ask_ringd(const struct env *env, const struct ask *ask, json_t **out,
                   struct why *why);

/* Members of an object that may be absent or of another type. */
const char *ask_words(const json_t *object, const char *name,
                      const char *absent);
int64_t ask_number(const json_t *object, const char *name, int64_t absent);

#endif
