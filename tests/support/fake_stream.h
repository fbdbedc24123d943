/* fake_stream.h -- the sockets of fake_net: two ends and what is under way. */
#ifndef SUPPORT_FAKE_STREAM_H
#define SUPPORT_FAKE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"
#include "net/net.h"

enum fake_kind { FAKE_LISTENER, FAKE_STREAM };

struct fake_socket {
    enum fake_kind kind;
    char text[NET_ADDRESS_SIZE_MAX];

    /* A listener's. */
    bool is_shared;
    int *waiting; /* handles to accept, oldest first */
    size_t waiting_count;

    /* A stream's: bytes[begin..end) were sent to it, the first `visible` of
     * them have arrived. */
    struct fake_socket *other; /* NULL: closed, or never connected */
    bool is_connecting, is_finished, is_at_end, is_held;
    int error; /* what every call answers */
    uint64_t connected_ns, next_ns;
    char *bytes;
    size_t size, begin, end, visible;
};

struct fake_socket *fake_socket_create(const struct mem *mem,
                                       enum fake_kind kind);
void fake_socket_destroy(const struct mem *mem, struct fake_socket *at);

void fake_socket_join(struct fake_socket *a, struct fake_socket *b);
/* This end goes; the other sees the end of its stream. */
void fake_socket_part(struct fake_socket *at);
void fake_socket_reset(struct fake_socket *at);

ssize_t fake_socket_read(struct fake_socket *at, void *out, size_t size);
/* How much `at` may write. */
size_t fake_socket_room(const struct fake_socket *at, size_t window);
void fake_socket_put(const struct mem *mem, struct fake_socket *at,
                     const void *bytes, size_t size);
size_t fake_socket_under_way(const struct fake_socket *at);
bool fake_socket_is_drained(const struct fake_socket *at);
unsigned fake_socket_events(const struct fake_socket *at, uint64_t now_ns,
                            size_t window);

void fake_queue_push(const struct mem *mem, struct fake_socket *at, int handle);
int fake_queue_pop(struct fake_socket *at); /* -EAGAIN: empty */

#endif
