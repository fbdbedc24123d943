/* router_private.h -- the inside of a router, for the files of this folder. */
#ifndef ROUTER_PRIVATE_H
#define ROUTER_PRIVATE_H

#include "net/crew.h"
#include "node/admin.h"
#include "node/follower.h"
#include "router/router.h"
#include "router/worker.h"

struct router {
    const struct env *env;
    const struct router_options *options;
    char name[RING_NAME_SIZE_MAX + 1];
    uint64_t started_mono_ms;
    struct crew *crew;
    struct worker *workers[CREW_WORKERS_MAX];
    struct follower *follower; /* NULL: fixed backends */
    struct ring *fixed;        /* the ring of the fixed backends */
    struct admin *admin;       /* NULL: turned off */
};

#endif
