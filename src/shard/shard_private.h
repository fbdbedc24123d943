/* shard_private.h -- the inside of a shard, for the files of this folder. */
#ifndef SHARD_PRIVATE_H
#define SHARD_PRIVATE_H

#include "core/engine.h"
#include "net/crew.h"
#include "node/admin.h"
#include "node/follower.h"
#include "shard/shard.h"
#include "shard/worker.h"

struct shard {
    const struct env *env;
    const struct shard_options *options;
    char name[RING_NAME_SIZE_MAX + 1];
    uint64_t started_wall_ms, started_mono_ms;
    struct engine *engine;
    metric_t reset_at[SHARD_METRIC_COUNT]; /* counters at `stats reset` */
    struct crew *crew;
    struct worker *workers[CREW_WORKERS_MAX];
    /* NULL: stands alone.  Workers may look while it is being started. */
    _Atomic(struct follower *) follower;
    struct admin *admin; /* NULL: turned off */
};

#endif
