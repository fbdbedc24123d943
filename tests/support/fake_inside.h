/* fake_inside.h -- what the files of fake_net share. */
#ifndef SUPPORT_FAKE_INSIDE_H
#define SUPPORT_FAKE_INSIDE_H

#include "base/rand.h"
#include "support/fake_net.h"
#include "support/fake_stream.h"

enum { FAKE_MOODS_MAX = 64 };

struct fake_net {
    const struct mem *mem;
    struct fake_net_options options;
    struct rand rand;
    struct net table;
    uint64_t now_ns;
    struct fake_socket **sockets; /* by handle; NULL: free */
    size_t socket_count;          /* slots */
    size_t poller_count, watch_count;
    unsigned next_port;
    int accept_error;
    struct {
        char text[NET_ADDRESS_SIZE_MAX];
        enum fake_mood mood;
    } moods[FAKE_MOODS_MAX];
    size_t mood_count;
    uint64_t reads, writes, changes;
};

struct fake_socket *fake_socket_at(const struct fake_net *fake, int handle);
uint64_t fake_delay_ns(struct fake_net *fake);
/* Fills in the functions of pollers and watches. */
void fake_poller_table(struct net *table);

#endif
