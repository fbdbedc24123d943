/* listener.h -- accepts connections on one handle, in one loop. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdbool.h>

#include "net/loop.h"

enum {
    LISTENER_REST_MS = 100,
    LISTENER_BATCH_MAX = 64, /* accepted in one turn */
};

struct listener;

struct listener_handler {
    void (*accepted)(void *context, struct listener *listener, int handle);
    /* Accepting failed with -error for want of descriptors or memory: nothing
     * is accepted for LISTENER_REST_MS, because the connection that cannot be
     * had stays ready and the loop would spin. */
    void (*tired)(void *context, struct listener *listener, int error);
};

/* Lives in its owner. */
struct listener {
    struct loop *loop;
    int handle;
    struct net_watch *watch;
    struct timer rest;
    const struct listener_handler *handler;
    void *context;
};

/* The listener owns the handle from now on; it accepts after listener_start.
 * The rest, but for listener_close, happens in the loop's thread.  False: no
 * memory. */
void listener_init(struct listener *listener, struct loop *loop, int handle,
                   const struct listener_handler *handler, void *context);
bool listener_start(struct listener *listener);
/* Safe twice, and before listener_start. */
void listener_close(struct listener *listener);

#endif
