/* poller.h -- the pollers of net_system(): a libevent base for one thread.
 *
 * The functions have the shapes that struct net asks for; all ignore context.
 */
#ifndef NET_POLLER_H
#define NET_POLLER_H

#include "net/net.h"

struct net_poller *poller_create(void *context);
void poller_destroy(void *context, struct net_poller *poller);
void poller_wait(void *context, struct net_poller *poller, int64_t timeout_ms);
void poller_wake(void *context, struct net_poller *poller);
struct net_watch *watch_create(void *context, struct net_poller *poller,
                               int handle, unsigned events, net_ready *ready,
                               void *ready_context);
void watch_change(void *context, struct net_watch *watch, unsigned events);
void watch_destroy(void *context, struct net_watch *watch);

#endif
