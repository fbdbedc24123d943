/* http_peer.h -- the other end of a connection, byte by byte: a client that
 * sees everything, servers that are mute or not there. */
#ifndef TESTS_UNIT_NET_HTTP_PEER_H
#define TESTS_UNIT_NET_HTTP_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE_MAX = 64 << 10 };

/* address: "127.0.0.1:port". */
static inline int dial(const char *address)
{
    const struct timeval patience = {.tv_sec = 5};
    struct sockaddr_in at = {.sin_family = AF_INET};
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(handle >= 0);
    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    at.sin_port = htons((uint16_t)strtoul(address + 10, NULL, 10));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience);
    assert_int_equal(connect(handle, (struct sockaddr *)&at, sizeof at), 0);
    return handle;
}

static inline void say(int handle, const char *at, size_t size)
{
    /* The server may hang up before it has heard all of it. */
    while (size > 0) {
        ssize_t taken = send(handle, at, size, MSG_NOSIGNAL);

        if (taken < 0) {
            return;
        }
        at += taken;
        size -= (size_t)taken;
    }
}

/* Until the peer closes, or until needle has been seen. */
static inline void hear(int handle, char out[ANSWER_SIZE_MAX],
                        const char *needle)
{
    size_t size = 0;

    out[0] = '\0';
    while (size < ANSWER_SIZE_MAX - 1) {
        ssize_t got = recv(handle, out + size, ANSWER_SIZE_MAX - 1 - size, 0);

        if (got <= 0) {
            return;
        }
        size += (size_t)got;
        out[size] = '\0';
        if (needle != NULL && strstr(out, needle) != NULL) {
            return;
        }
    }
}

static inline void ask(const char *address, const char *words,
                       char out[ANSWER_SIZE_MAX])
{
    char request[1024];
    int size =
        snprintf(request, sizeof request,
                 "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", words);
    int handle = dial(address);

    say(handle, request, (size_t)size);
    hear(handle, out, NULL);
    (void)close(handle);
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%.400s\"", part, text);
    }
}

/* A port of loopback on which nobody listens. */
static inline void nobody_name(char out[128])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(handle, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(handle, (struct sockaddr *)&at, &size), 0);
    (void)close(handle);
    (void)snprintf(out, 128, "http://127.0.0.1:%u", ntohs(at.sin_port));
}

/* Answers the dial and then not a word. */
static inline int mute_listen(char name[128])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(handle, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(handle, 16), 0);
    assert_int_equal(getsockname(handle, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(name, 128, "http://127.0.0.1:%u", ntohs(at.sin_port));
    return handle;
}

#endif
