/* cluster.h -- a ringd, shards and a router as children of this process.
 *
 * Everything listens on 127.0.0.1.  One thread calls all of this; while it is
 * in here, an interrupt ends the waiting.
 */
#ifndef CTL_CLUSTER_H
#define CTL_CLUSTER_H

#include <stdbool.h>

#include "base/env.h"
#include "ctl/child.h"
#include "ctl/options.h"

enum {
    CLUSTER_SHARDS_MAX = 66, /* those of the option, and some that join */
    CLUSTER_READY_MS = 20000,
    CLUSTER_STOP_MS = 10000,
};

struct cluster {
    const struct env *env;
    const struct up_options *options;
    char folder[PATH_MAX / 2];
    bool folder_is_ours; /* to remove */
    char ringd_url[CHILD_WORDS_MAX];
    char ringd_program[PATH_MAX], shard_program[PATH_MAX];
    char router_program[PATH_MAX];
    struct child ringd, router;
    struct child shards[CLUSTER_SHARDS_MAX];
    size_t shard_count;
    bool serving; /* all were ready once */
    bool stopping;
    bool interrupted; /* SIGINT or SIGTERM has come */
    bool failed;      /* a child ended by itself, or badly */
};

/* Finds programs, folder and ports; starts nothing.  Blocks the signals that
 * cluster_wait waits for: call before the first thread.  ERR_* with *why. */
enum err cluster_prepare(struct cluster *cluster, const struct env *env,
                         const struct up_options *options, struct why *why);

/* Starts all and waits until each is ready.  On an error some may run:
 * cluster_stop.  ERR_CLOSED: a child died, its log's end was printed. */
enum err cluster_start(struct cluster *cluster, struct why *why);

/* Starts one shard more and waits until it lives; ringd does not know it. */
enum err cluster_shard_add(struct cluster *cluster, struct child **out,
                           struct why *why);

/* Waits for at most this long, reaps children, and says loudly which ended.
 * False: interrupted, now or before. */
bool cluster_wait(struct cluster *cluster, uint64_t timeout_ms);

/* Router, shards, ringd; each is asked, then killed.  Says how it went, and
 * removes the folder if it is ours and nothing failed. */
void cluster_stop(struct cluster *cluster);

/* The f-th child in the order of starting, or NULL. */
struct child *cluster_child(struct cluster *cluster, size_t index);

#endif
