/* admin_line.h -- the words of commands without a key, read alike by shard and
 * router.
 */
#ifndef CORE_ADMIN_LINE_H
#define CORE_ADMIN_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "core/request.h"

struct admin_line {
    bool noreply; /* it is the last word */
    bool valid;   /* the first word is a number in range, or allowed to lack */
    int64_t number; /* 0 if there is none */
};

/* flush_all [delay in seconds] [noreply]: an int32; negative means now. */
struct admin_line admin_flush_read(const struct request *request);

/* verbosity <level> [noreply]: the level must be there, unless only noreply
 * is. */
struct admin_line admin_verbosity_read(const struct request *request);

#endif
