/* kv.h -- what get, set, delete and stats share. */
#ifndef CTL_KV_H
#define CTL_KV_H

#include <jansson.h>
#include <stdbool.h>

#include "base/slice.h"
#include "ctl/client.h"
#include "ctl/options.h"

/* Sends key arguments as they are, so they must be what the protocol can say.
 * ERR_RANGE with *why. */
enum err kv_key_check(const char *key, struct why *why);

enum err kv_open(struct client **out, const struct env *env,
                 const struct kv_options *options, struct why *why);

/* The answer was none that the command knows.  ERR_REFUSED with *why naming
 * the server and quoting it. */
enum err kv_unexpected(const struct kv_options *options, struct slice line,
                       struct why *why);

/* What memcached calls exptime: 0 for never, seconds from now up to 30 days,
 * and a time of day beyond, since it takes a larger number for one. */
int64_t kv_exptime(uint64_t ttl_ms, int64_t now_s);

/* object[name] = bytes, or object[name_base64] where they are no UTF-8. */
enum err kv_json_set(const struct env *env, json_t *object, const char *name,
                     struct slice bytes);

/* Standard base64 with padding; out has room for kv_base64_size(bytes.size). */
static inline size_t kv_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}
void kv_base64_write(char *out, struct slice bytes);

#endif
