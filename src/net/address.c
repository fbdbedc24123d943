#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/slice.h"

enum {
    HOST_SIZE_MAX = 256, /* with its terminator; a name has at most 253 */
    PATH_SIZE_MAX = sizeof((struct sockaddr_un *)0)->sun_path,
};

_Static_assert(sizeof(struct sockaddr_un) <= NET_ADDRESS_SIZE_MAX,
               "a unix address fits");
_Static_assert(sizeof(struct sockaddr_storage) <= NET_ADDRESS_SIZE_MAX,
               "every address fits");

void address_put(struct net_address *out, const void *bytes, socklen_t size)
{
    check(size <= NET_ADDRESS_SIZE_MAX);
    memset(out, 0, sizeof *out);
    out->size = (uint32_t)size;
    memcpy(out->bytes, bytes, size);
}

socklen_t address_get(const struct net_address *address, union address *out)
{
    check(address->size <= sizeof out->storage);
    memset(out, 0, sizeof *out);
    memcpy(&out->storage, address->bytes, address->size);
    return (socklen_t)address->size;
}

static enum err resolve_unix(const char *text, const char *path,
                             struct net_address *out, struct why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);

    if (size == 0) {
        return err_why(why, ERR_SYNTAX, "%s: a path must follow unix:", text);
    }
    if (size >= PATH_SIZE_MAX) {
        return err_why(why, ERR_SYNTAX,
                       "%s: the path of a unix socket may have at most %d "
                       "bytes, this one has %zu",
                       text, PATH_SIZE_MAX - 1, size);
    }
    memcpy(address.sun_path, path, size);
    address_put(out, &address, (socklen_t)sizeof address);
    return ERR_OK;
}

/* host:port, [v6]:port; *, or nothing, for every address of this machine. */
static enum err split(const char *text, char host[static HOST_SIZE_MAX],
                      uint64_t *port, struct why *why)
{
    const char *colon = strrchr(text, ':');
    const char *begin = text;

    if (colon == NULL || !slice_read_u64(slice_of(colon + 1), 65535, port)) {
        return err_why(why, ERR_SYNTAX,
                       "%s: wanted host:port with a port of 0 to 65535, or "
                       "unix:/path",
                       text);
    }
    size_t size = (size_t)(colon - begin);

    if (size >= 2 && begin[0] == '[' && begin[size - 1] == ']') {
        begin++;
        size -= 2;
    } else if (memchr(begin, ':', size) != NULL) {
        return err_why(why, ERR_SYNTAX,
                       "%s: put brackets round an IPv6 address, as in "
                       "[::1]:11211",
                       text);
    }
    if (size >= HOST_SIZE_MAX) {
        return err_why(why, ERR_SYNTAX, "%s: the host name is too long", text);
    }
    memcpy(host, begin, size);
    host[size] = '\0';
    return ERR_OK;
}

/* Names that have both kinds of address are reached by IPv4: localhost must be
 * the same place for a listener of ours and for clients that know only that. */
static const struct addrinfo *choose(const struct addrinfo *found)
{
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        if (one->ai_family == AF_INET) {
            return one;
        }
    }
    return found;
}

static enum err resolve_name(const char *text, const char *host, uint64_t port,
                             struct net_address *out, struct why *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[20 + 1];

    if (strchr(host, ':') != NULL) {
        hints.ai_flags |= AI_NUMERICHOST; /* no name; nobody need be asked */
    }
    service[decimal_write(service, port)] = '\0';
    int failed = getaddrinfo(host, service, &hints, &found);

    if (failed != 0) {
        return err_why(why, ERR_IO, "%s: cannot find the host %s: %s", text,
                       host, gai_strerror(failed));
    }
    const struct addrinfo *one = choose(found);

    address_put(out, one->ai_addr, one->ai_addrlen);
    freeaddrinfo(found);
    return ERR_OK;
}

enum err address_resolve(void *context, const char *text,
                         struct net_address *out, struct why *why)
{
    char host[HOST_SIZE_MAX];
    uint64_t port;

    (void)context;
    if (strncmp(text, "unix:", 5) == 0) {
        return resolve_unix(text, text + 5, out, why);
    }
    enum err e = split(text, host, &port, why);

    if (e != ERR_OK) {
        return e;
    }
    if (host[0] != '\0' && strcmp(host, "*") != 0) {
        return resolve_name(text, host, port, out, why);
    }
    struct sockaddr_in6 any = {.sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)port),
                               .sin6_addr = in6addr_any};

    address_put(out, &any, (socklen_t)sizeof any);
    return ERR_OK;
}

static int unix_text(const struct sockaddr_un *address, socklen_t address_size,
                     char *out, size_t size)
{
    size_t path_size = address_size - offsetof(struct sockaddr_un, sun_path);

    return snprintf(out, size, "unix:%.*s",
                    (int)strnlen(address->sun_path, path_size),
                    address->sun_path);
}

enum err address_text(const union address *address, socklen_t address_size,
                      char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    int written = -1;

    if (address->base.sa_family == AF_UNIX) {
        struct sockaddr_un local;

        memcpy(&local, &address->storage, sizeof local);
        written = unix_text(&local, address_size, out, size);
    } else if (address->base.sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, &address->storage, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        written = snprintf(out, size, "%s:%u", host, ntohs(v4.sin_port));
    } else if (address->base.sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, &address->storage, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        written = snprintf(out, size, "[%s]:%u", host, ntohs(v6.sin6_port));
    }
    return written < 0 || (size_t)written >= size ? ERR_LIMIT : ERR_OK;
}
