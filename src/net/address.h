/* address.h -- addresses of net_system() as text, and back. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>

#include "net/net.h"

/* A sockaddr in the bytes of a net_address. */
union address {
    struct sockaddr base;
    struct sockaddr_storage storage;
};

/* As net->resolve. */
enum err address_resolve(void *context, const char *text,
                         struct net_address *out, struct why *why);
/* The same notation back.  ERR_LIMIT: does not fit. */
enum err address_text(const union address *address, socklen_t address_size,
                      char *out, size_t size);

void address_put(struct net_address *out, const void *bytes, socklen_t size);
socklen_t address_get(const struct net_address *address, union address *out);

#endif
