#include "net/http_listen.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "net/net.h"

enum { HTTP_LISTEN_BACKLOG = 512 };

/* Accepted connections inherit these: keep-alive finds watchers whose machine
 * has vanished, and without no-delay a small chunk behind another would wait
 * for the peer's delayed acknowledgement. */
static void handle_tune(int handle)
{
    int on = 1;

    (void)setsockopt(handle, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

enum err http_listen(const char *address, int *handle,
                     char bound[HTTP_ADDRESS_SIZE_MAX], struct why *why)
{
    const struct net *net = net_system();
    struct net_address resolved;

    if (strncmp(address, "unix:", 5) == 0) {
        return err_why(why, ERR_SYNTAX,
                       "%s: HTTP is served on host:port, not on a unix socket",
                       address);
    }
    enum err e = net->resolve(net->context, address, &resolved, why);

    if (e != ERR_OK) {
        return e;
    }
    int listener =
        net->listen(net->context, &resolved, HTTP_LISTEN_BACKLOG, false, 0);

    if (listener < 0) {
        return err_why(why, ERR_IO, "cannot listen on %s: %s", address,
                       strerror(-listener));
    }
    handle_tune(listener);
    e = net->local_text(net->context, listener, bound, HTTP_ADDRESS_SIZE_MAX);
    if (e != ERR_OK) {
        net->close(net->context, listener);
        return err_why(why, e, "cannot tell where %s is bound", address);
    }
    *handle = listener;
    return ERR_OK;
}
