/* api_json.h -- what the API says and hears, as JSON. */
#ifndef RINGD_API_JSON_H
#define RINGD_API_JSON_H

#include <jansson.h>

#include "base/slice.h"
#include "ringd/publish.h"
#include "ringd/roster.h"

enum {
    API_BODY_SIZE_MAX = 64 << 10,
};

/* The body of POST /v1/members.  Errors name field, value and what is allowed;
 * a field that does not exist is one of them, for it may be a slip of the pen
 * that would go unnoticed. */
enum err api_change_read(struct slice body, struct roster_change *out,
                         struct why *why);

/* The body of POST /v1/ack.  *document holds the texts; json_decref it.  What
 * it does not know is left alone. */
enum err api_answer_read(struct slice body, struct publish_answer *out,
                         json_t **document, struct why *why);

/* {"members": [...]} and {"watchers": [...]}.  NULL: no memory. */
json_t *api_members_show(const struct ring *ring,
                         const struct publish *publish);
json_t *api_watchers_show(const struct publish *publish);

#endif
