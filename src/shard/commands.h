/* commands.h -- what a shard does for each command, one function a family.
 *
 * Each answers its request completely (or not at all for noreply and quiet
 * ones).  `key` is the request's located key for those that have one.
 */
#ifndef SHARD_COMMANDS_H
#define SHARD_COMMANDS_H

#include "shard/session.h"

/* get, gets, gat, gats.  *keys: those of the line, which have been checked; the
 * answered ones are taken off.  If any are left the peer reads too slowly or
 * the turn is over: call again with these, later. */
void command_get(struct session *session, enum command command,
                 uint64_t expires_ms, struct slice *keys);
void command_store(struct session *session, const struct request *request,
                   const struct engine_key *key);
void command_delete(struct session *session, const struct request *request,
                    const struct engine_key *key);
void command_arith(struct session *session, const struct request *request,
                   const struct engine_key *key);
void command_touch(struct session *session, const struct request *request,
                   const struct engine_key *key);

void command_mg(struct session *session, const struct request *request,
                const struct engine_key *key);
void command_ms(struct session *session, const struct request *request,
                const struct engine_key *key);
void command_md(struct session *session, const struct request *request,
                const struct engine_key *key);
void command_ma(struct session *session, const struct request *request,
                const struct engine_key *key);
void command_me(struct session *session, const struct request *request,
                const struct engine_key *key);

/* flush_all version verbosity quit stats ring mn */
void command_admin(struct session *session, const struct request *request);
void command_stats(struct session *session, const struct request *request);

/* A storage request whose value was refused for its size: the old value must
 * not survive it. */
void command_store_refused(struct session *session,
                           const struct request *request);

#endif
