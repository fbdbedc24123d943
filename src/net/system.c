/* Sockets behind struct net.  Everything is non-blocking and closed on exec. */
#include "net/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/address.h"
#include "net/poller.h"

static int stream_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

static void switch_on(int fd, int level, int name)
{
    int on = 1;

    (void)setsockopt(fd, level, name, &on, sizeof on);
}

/* Answers leave at once, and a peer that vanished is noticed some day.  On a
 * listener too: what it accepts inherits both. */
static void tcp_tune(int fd)
{
    switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
    switch_on(fd, SOL_SOCKET, SO_KEEPALIVE);
}

static int bind_and_listen(int fd, const union address *address, socklen_t size,
                           int backlog)
{
    if (bind(fd, &address->base, size) != 0 || listen(fd, backlog) != 0) {
        return -errno;
    }
    return 0;
}

static int listen_tcp_at(const union address *address, socklen_t size,
                         int backlog, bool shared)
{
    int fd = stream_socket(address->base.sa_family);

    if (fd < 0) {
        return fd;
    }
    switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (shared) {
        switch_on(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    if (address->base.sa_family == AF_INET6) {
        int off = 0;

        /* [::] means IPv4 too, whatever the machine's preset is. */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    tcp_tune(fd);
    int failed = bind_and_listen(fd, address, size, backlog);

    if (failed != 0) {
        (void)close(fd);
        return failed;
    }
    return fd;
}

static int listen_tcp(const union address *address, socklen_t size, int backlog,
                      bool shared)
{
    int fd = listen_tcp_at(address, size, backlog, shared);
    struct sockaddr_in6 v6;

    if ((fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL) ||
        address->base.sa_family != AF_INET6) {
        return fd;
    }
    memcpy(&v6, &address->storage, sizeof v6);
    if (!IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) {
        return fd;
    }
    /* A machine without IPv6: all its addresses are IPv4's. */
    union address any = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6.sin6_port};

    memcpy(&any.storage, &v4, sizeof v4);
    return listen_tcp_at(&any, (socklen_t)sizeof v4, backlog, shared);
}

/* A socket file whose process is gone: nobody answers on it. */
static bool is_stale(const union address *address, socklen_t size)
{
    struct sockaddr_un local;
    struct stat file;

    memcpy(&local, &address->storage, sizeof local);
    if (lstat(local.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return false;
    }
    int fd = stream_socket(AF_UNIX);

    if (fd < 0) {
        return false;
    }
    bool refused =
        connect(fd, &address->base, size) != 0 && errno == ECONNREFUSED;

    (void)close(fd);
    return refused;
}

static int bind_unix(int fd, const union address *address, socklen_t size,
                     const char *path)
{
    if (bind(fd, &address->base, size) == 0) {
        return 0;
    }
    if (errno != EADDRINUSE) {
        return -errno;
    }
    if (!is_stale(address, size)) {
        return -EADDRINUSE;
    }
    return unlink(path) != 0 || bind(fd, &address->base, size) != 0 ? -errno
                                                                    : 0;
}

/* The permissions are set before listen(), so nobody connects without. */
static int listen_unix(int fd, const union address *address, socklen_t size,
                       int backlog, unsigned mode)
{
    struct sockaddr_un local;

    memcpy(&local, &address->storage, sizeof local);
    int failed = bind_unix(fd, address, size, local.sun_path);

    if (failed != 0) {
        return failed;
    }
    if (chmod(local.sun_path, (mode_t)mode) != 0 || listen(fd, backlog) != 0) {
        failed = -errno;
        (void)unlink(local.sun_path);
        return failed;
    }
    return 0;
}

static int system_listen(void *context, const struct net_address *wanted,
                         int backlog, bool shared, unsigned unix_mode)
{
    union address address;
    socklen_t size = address_get(wanted, &address);

    (void)context;
    if (address.base.sa_family != AF_UNIX) {
        return listen_tcp(&address, size, backlog, shared);
    }
    int fd = stream_socket(AF_UNIX);

    if (fd < 0) {
        return fd;
    }
    int failed = listen_unix(fd, &address, size, backlog, unix_mode);

    if (failed != 0) {
        (void)close(fd);
        return failed;
    }
    return fd;
}

static enum err system_local_text(void *context, int handle, char *out,
                                  size_t size)
{
    union address address = {0};
    socklen_t address_size = sizeof address.storage;

    (void)context;
    if (getsockname(handle, &address.base, &address_size) != 0) {
        return ERR_IO;
    }
    return address_text(&address, address_size, out, size);
}

static int system_accept(void *context, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)context;
    return fd < 0 ? -errno : fd;
}

static int system_connect(void *context, const struct net_address *wanted)
{
    union address address;
    socklen_t size = address_get(wanted, &address);
    int fd = stream_socket(address.base.sa_family);

    (void)context;
    if (fd < 0) {
        return fd;
    }
    if (address.base.sa_family != AF_UNIX) {
        tcp_tune(fd);
    }
    if (connect(fd, &address.base, size) != 0 && errno != EINPROGRESS) {
        int failed = -errno;

        (void)close(fd);
        return failed;
    }
    return fd;
}

static int system_connect_error(void *context, int handle)
{
    int failed = 0;
    socklen_t size = sizeof failed;

    (void)context;
    if (getsockopt(handle, SOL_SOCKET, SO_ERROR, &failed, &size) != 0) {
        return -errno;
    }
    return -failed;
}

static ssize_t system_read(void *context, int handle, void *at, size_t size)
{
    ssize_t count = read(handle, at, size);

    (void)context;
    return count < 0 ? -errno : count;
}

/* A peer that is gone is an error here, never a signal. */
static ssize_t system_write(void *context, int handle,
                            const struct iovec *pieces, int piece_count)
{
    ssize_t count;

    (void)context;
    if (piece_count == 1) {
        count = send(handle, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
    } else {
        /* sendmsg() does not write to the pieces; its type cannot say so. */
        struct iovec copy[NET_PIECES_MAX];
        size_t used =
            piece_count < NET_PIECES_MAX ? (size_t)piece_count : NET_PIECES_MAX;

        memcpy(copy, pieces, used * sizeof *pieces);
        struct msghdr message = {.msg_iov = copy, .msg_iovlen = used};

        count = sendmsg(handle, &message, MSG_NOSIGNAL);
    }
    return count < 0 ? -errno : count;
}

static void system_finish(void *context, int handle)
{
    (void)context;
    (void)shutdown(handle, SHUT_WR);
}

static void system_close(void *context, int handle)
{
    (void)context;
    (void)close(handle);
}

static void system_unlisten(void *context, int listener)
{
    union address address = {0};
    socklen_t size = sizeof address.storage;
    struct sockaddr_un local;

    (void)context;
    if (getsockname(listener, &address.base, &size) == 0 &&
        address.base.sa_family == AF_UNIX) {
        memcpy(&local, &address.storage, sizeof local);
        (void)unlink(local.sun_path);
    }
    (void)close(listener);
}

const struct net *net_system(void)
{
    static const struct net table = {
        .resolve = address_resolve,
        .local_text = system_local_text,
        .listen = system_listen,
        .unlisten = system_unlisten,
        .accept = system_accept,
        .connect = system_connect,
        .connect_error = system_connect_error,
        .read = system_read,
        .write = system_write,
        .finish = system_finish,
        .close = system_close,
        .poller_create = poller_create,
        .poller_destroy = poller_destroy,
        .poller_wait = poller_wait,
        .poller_wake = poller_wake,
        .watch_create = watch_create,
        .watch_change = watch_change,
        .watch_destroy = watch_destroy,
    };

    return &table;
}
