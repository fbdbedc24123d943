/* crew_internal.h -- what the files of crew share. */
#ifndef NET_CREW_INTERNAL_H
#define NET_CREW_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/check.h"
#include "net/crew.h"
#include "net/listener.h"

enum { CREW_ADDRESS_SIZE_MAX = 160 };

#define CREW_MAGIC MAGIC('c', 'r', 'e', 'w')

enum crew_phase { CREW_BEGINNING, CREW_RUNNING, CREW_FAILED };

struct crew_worker {
    struct crew *crew;
    unsigned index;
    pthread_t thread;
    struct loop *loop;
    struct conn_pool *pool;
    void *role;
    bool is_draining;
    struct listener listeners[CREW_LISTENERS_MAX];
    size_t listener_count;
};

struct crew {
    uint32_t magic;
    const struct env *env;
    struct crew_options options;
    struct crew_worker *workers;
    struct option_texts addresses;
    char texts[CREW_LISTENERS_MAX][CREW_ADDRESS_SIZE_MAX];
    unsigned next_dealt; /* the first worker's own */

    _Atomic uint64_t connections, connections_total, connections_rejected;
    _Atomic uint64_t accept_errors;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    enum crew_phase phase;
    unsigned begun_count, left_count, thread_count;
    enum err begin_error;
};

/* crew_listen.c.  The listeners exist then, but accept nothing yet. */
enum err crew_listen(struct crew *crew, const struct option_texts *listen,
                     struct why *why);
/* In the worker's thread.  False: no memory. */
bool crew_listeners_start(struct crew_worker *worker);
void crew_listeners_close(struct crew_worker *worker);

#endif
