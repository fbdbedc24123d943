/* net.h -- the network as a table of functions (env->net).
 *
 * net_system() is sockets and libevent.  A test puts its own table here: byte
 * streams in memory, delivered in whatever pieces and order its seed says.
 * Everything above this line (loop, conn, listener, roles) is the same code in
 * both worlds.
 *
 * Handles are small non-negative numbers; calls that fail return -errno.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"

enum {
    NET_ADDRESS_SIZE_MAX = 128,
    NET_PIECES_MAX = 16, /* of one write */
};

/* A resolved address; bytes as the net implementation likes them. */
struct net_address {
    uint32_t size;
    uint8_t bytes[NET_ADDRESS_SIZE_MAX];
};

enum { NET_READ = 1, NET_WRITE = 2 };

/* A poller watches handles for one thread. */
struct net_poller;
struct net_watch;
typedef void net_ready(void *context, unsigned events);

struct net {
    void *context;

    /* "host:port", "[v6]:port", "unix:/path", ":port", "*:port". Host names
     * are resolved (this may block: call it at start or on a control thread);
     * one with both kinds of address gives its IPv4 one.  No host, or "*":
     * every address of the machine.  ERR_SYNTAX, ERR_IO with *why. */
    enum err (*resolve)(void *context, const char *text,
                        struct net_address *out, struct why *why);
    /* Where a handle is bound, in the same notation. */
    enum err (*local_text)(void *context, int handle, char *out, size_t size);

    /* shared: several listeners on one address, the kernel spreads
     * (SO_REUSEPORT).  unix_mode: permissions of a unix socket.  A unix socket
     * left behind by a process that is gone is replaced; one that somebody
     * answers on, or a file of another kind, is -EADDRINUSE. */
    int (*listen)(void *context, const struct net_address *address, int backlog,
                  bool shared, unsigned unix_mode);
    /* Closes a listener; a unix socket's name goes with it. */
    void (*unlisten)(void *context, int listener);
    /* -EAGAIN: nobody is waiting. */
    int (*accept)(void *context, int listener);
    /* Returns at once; the handle becomes writable when connected or failed,
     * connect_error tells which (0 or -errno). */
    int (*connect)(void *context, const struct net_address *address);
    int (*connect_error)(void *context, int handle);
    /* 0: end of stream; -EAGAIN: nothing there. */
    ssize_t (*read)(void *context, int handle, void *at, size_t size);
    /* How many bytes were taken, of at most NET_PIECES_MAX pieces. */
    ssize_t (*write)(void *context, int handle, const struct iovec *pieces,
                     int piece_count);
    /* Nothing more will be written; the peer sees the end of the stream, and
     * what it still sends can be read. */
    void (*finish)(void *context, int handle);
    void (*close)(void *context, int handle);

    struct net_poller *(*poller_create)(void *context);
    void (*poller_destroy)(void *context, struct net_poller *poller);
    /* Calls ready for each handle that is, level-triggered.  Waits at most
     * timeout_ms (0: not at all, < 0: until something happens). */
    void (*poller_wait)(void *context, struct net_poller *poller,
                        int64_t timeout_ms);
    /* From any thread: lets poller_wait return soon. */
    void (*poller_wake)(void *context, struct net_poller *poller);
    /* NULL: no memory.  events may be 0. */
    struct net_watch *(*watch_create)(void *context, struct net_poller *poller,
                                      int handle, unsigned events,
                                      net_ready *ready, void *ready_context);
    void (*watch_change)(void *context, struct net_watch *watch,
                         unsigned events);
    void (*watch_destroy)(void *context, struct net_watch *watch);
};

/* Sockets and libevent; ignores its context. */
const struct net *net_system(void);

#endif
