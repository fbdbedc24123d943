/* ring.h -- what the `torc ring` subcommands share. */
#ifndef CTL_RING_H
#define CTL_RING_H

#include <jansson.h>

#include "base/env.h"
#include "core/ring.h"
#include "ctl/options.h"

/* GET path from the ringd that the options name. */
enum err ring_get(const struct env *env, const struct ring_options *options,
                  const char *path, json_t **out, struct why *why);

/* GET /v1/ring, checked.  document (may be NULL) is what ringd said. */
enum err ring_fetch(const struct env *env, const struct ring_options *options,
                    struct ring **out, json_t **document, struct why *why);

/* POST /v1/members.  *answer is ringd's, {"epoch": N}; the caller's to
 * json_decref. */
enum err ring_join(const struct env *env, const struct ring_options *options,
                   const struct ring_member *member, json_t **answer,
                   struct why *why);

/* DELETE /v1/members/name, a name that ringd gave or that was checked. */
enum err ring_leave(const struct env *env, const struct ring_options *options,
                    const char *name, json_t **answer, struct why *why);

/* Prints document and gives it back; for --json. */
void ring_print_json(json_t *document);

#endif
