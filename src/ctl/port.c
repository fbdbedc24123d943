#include "ctl/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* Binds without SO_REUSEPORT, so that a port that another torc shares among
 * its workers counts as taken; with SO_REUSEADDR, so that one whose last user
 * has only just gone does not. */
static int port_bind(uint16_t *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons(*port),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof where;
    int yes = 1;
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (handle < 0) {
        return -1;
    }
    (void)setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    /* Two sockets may be bound to a port with SO_REUSEADDR; only one of them
     * may listen. */
    if (bind(handle, (struct sockaddr *)&where, size) != 0 ||
        listen(handle, 1) != 0 ||
        getsockname(handle, (struct sockaddr *)&where, &size) != 0) {
        (void)close(handle);
        return -1;
    }
    *port = ntohs(where.sin_port);
    return handle;
}

uint16_t port_hold(struct port_holds *holds, uint16_t port)
{
    check(holds->count < PORT_HOLDS_MAX);
    int handle = port_bind(&port);

    if (handle < 0) {
        return 0;
    }
    holds->handles[holds->count++] = handle;
    return port;
}

void port_holds_release(struct port_holds *holds)
{
    while (holds->count > 0) {
        (void)close(holds->handles[--holds->count]);
    }
}
