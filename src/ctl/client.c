#include "ctl/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/net.h"

enum { CLIENT_INPUT_SIZE_MIN = 16 << 10 };

struct client {
    uint32_t magic;
    const struct env *env;
    char address[256]; /* for messages */
    uint64_t timeout_ms;
    int handle;
    char *input;
    size_t begin, end, capacity; /* input[begin..end) is not consumed yet */
};

#define CLIENT_MAGIC MAGIC('c', 'l', 'n', 't')

static enum err system_failed(const struct client *client, const char *doing,
                              ssize_t negative_errno, struct why *why)
{
    return err_why(why, ERR_IO, "%s %s: %s", doing, client->address,
                   strerror((int)-negative_errno));
}

static enum err wait_for(const struct client *client, short events,
                         const char *doing, struct why *why)
{
    struct pollfd watched = {.fd = client->handle, .events = events};
    uint64_t now_ms = env_monotonic_ms(client->env);
    uint64_t deadline_ms = now_ms + client->timeout_ms;

    for (;;) {
        int ready = poll(&watched, 1, (int)(deadline_ms - now_ms));

        if (ready > 0) {
            return ERR_OK;
        }
        if (ready < 0 && errno != EINTR) {
            return system_failed(client, doing, -errno, why);
        }
        now_ms = env_monotonic_ms(client->env);
        if (now_ms >= deadline_ms) {
            return err_why(why, ERR_TIMEOUT, "%s %s: no answer within %llu ms",
                           doing, client->address,
                           (unsigned long long)client->timeout_ms);
        }
    }
}

static enum err client_connect(struct client *client, const char *address,
                               struct why *why)
{
    const struct net *net = client->env->net;
    struct net_address where;
    enum err e = net->resolve(net->context, address, &where, why);

    if (e != ERR_OK) {
        return e;
    }
    int handle = net->connect(net->context, &where);

    if (handle < 0) {
        return system_failed(client, "connecting to", handle, why);
    }
    client->handle = handle;
    e = wait_for(client, POLLOUT, "connecting to", why);
    if (e != ERR_OK) {
        return e;
    }
    int trouble = net->connect_error(net->context, handle);

    return trouble == 0 ? ERR_OK
                        : system_failed(client, "connecting to", trouble, why);
}

enum err client_open(struct client **out, const struct env *env,
                     const char *address, uint64_t timeout_ms, struct why *why)
{
    struct client *client = mem_alloc_zeroed(env->mem, sizeof *client);

    if (client == NULL) {
        return err_why(why, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    client->magic = CLIENT_MAGIC;
    client->env = env;
    client->timeout_ms = timeout_ms;
    client->handle = -1;
    (void)snprintf(client->address, sizeof client->address, "%s", address);

    enum err e = client_connect(client, address, why);

    if (e != ERR_OK) {
        client_close(&client);
        return e;
    }
    *out = client;
    return ERR_OK;
}

void client_close(struct client **client)
{
    struct client *gone = *client;

    if (gone == NULL) {
        return;
    }
    check(gone->magic == CLIENT_MAGIC);
    if (gone->handle >= 0) {
        gone->env->net->close(gone->env->net->context, gone->handle);
    }
    gone->magic = MAGIC_DEAD;
    mem_free(gone->env->mem, gone->input);
    mem_free(gone->env->mem, gone);
    *client = NULL;
}

enum err client_send(struct client *client, struct slice bytes, struct why *why)
{
    const struct net *net = client->env->net;

    check(client->magic == CLIENT_MAGIC);
    while (bytes.size > 0) {
        struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes.at,
                              .iov_len = bytes.size};
        ssize_t sent = net->write(net->context, client->handle, &piece, 1);

        if (sent == -EAGAIN || sent == -EINTR) {
            enum err e = wait_for(client, POLLOUT, "sending to", why);

            if (e != ERR_OK) {
                return e;
            }
            continue;
        }
        if (sent < 0) {
            return system_failed(client, "sending to", sent, why);
        }
        bytes.at += sent;
        bytes.size -= (size_t)sent;
    }
    return ERR_OK;
}

/* Room for at least one more byte after end. */
static enum err input_make_room(struct client *client, struct why *why)
{
    if (client->begin == client->end) {
        client->begin = client->end = 0;
    }
    if (client->end < client->capacity) {
        return ERR_OK;
    }
    if (client->begin >= client->capacity / 2 && client->begin > 0) {
        memmove(client->input, client->input + client->begin,
                client->end - client->begin);
        client->end -= client->begin;
        client->begin = 0;
        return ERR_OK;
    }
    size_t larger = client->capacity == 0 ? (size_t)CLIENT_INPUT_SIZE_MIN
                                          : 2 * client->capacity;
    char *moved = mem_resize(client->env->mem, client->input, larger);

    if (moved == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the answer of %s",
                       client->address);
    }
    client->input = moved;
    client->capacity = larger;
    return ERR_OK;
}

/* Reads at least one byte more. */
static enum err input_read(struct client *client, struct why *why)
{
    const struct net *net = client->env->net;
    enum err e = input_make_room(client, why);

    if (e != ERR_OK) {
        return e;
    }
    for (;;) {
        ssize_t got =
            net->read(net->context, client->handle, client->input + client->end,
                      client->capacity - client->end);

        if (got > 0) {
            client->end += (size_t)got;
            return ERR_OK;
        }
        if (got == 0) {
            return err_why(why, ERR_CLOSED, "%s closed the connection",
                           client->address);
        }
        if (got != -EAGAIN && got != -EINTR) {
            return system_failed(client, "reading from", got, why);
        }
        e = wait_for(client, POLLIN, "reading from", why);
        if (e != ERR_OK) {
            return e;
        }
    }
}

enum err client_line(struct client *client, struct slice *line, struct why *why)
{
    size_t scanned = 0;

    check(client->magic == CLIENT_MAGIC);
    for (;;) {
        size_t size = client->end - client->begin;
        const char *from = client->input + client->begin;
        const char *newline = size > scanned
                                  ? memchr(from + scanned, '\n', size - scanned)
                                  : NULL;

        if (newline != NULL) {
            size_t length = (size_t)(newline - from);

            client->begin += length + 1;
            length -= length > 0 && from[length - 1] == '\r';
            *line = (struct slice){from, length};
            return ERR_OK;
        }
        if (size >= CLIENT_LINE_SIZE_MAX) {
            return err_why(why, ERR_SYNTAX, "%s sent an endless line",
                           client->address);
        }
        scanned = size;
        enum err e = input_read(client, why);

        if (e != ERR_OK) {
            return e;
        }
    }
}

enum err client_block(struct client *client, uint64_t size, struct slice *block,
                      struct why *why)
{
    check(client->magic == CLIENT_MAGIC);
    if (size > CLIENT_BLOCK_SIZE_MAX) {
        return err_why(why, ERR_SYNTAX, "%s announced a value of %llu bytes",
                       client->address, (unsigned long long)size);
    }
    while (client->end - client->begin < size + 2) {
        enum err e = input_read(client, why);

        if (e != ERR_OK) {
            return e;
        }
    }
    const char *from = client->input + client->begin;

    if (memcmp(from + size, "\r\n", 2) != 0) {
        return err_why(why, ERR_SYNTAX,
                       "%s sent a value that does not end where it said",
                       client->address);
    }
    client->begin += size + 2;
    *block = (struct slice){from, size};
    return ERR_OK;
}

void client_split(struct slice line, struct client_words *words)
{
    const char *at = line.at;
    const char *end = line.at + line.size;

    words->count = 0;
    while (at < end && words->count < CLIENT_WORDS_MAX) {
        const char *begin = at;

        while (at < end && *at != ' ') {
            at++;
        }
        if (at > begin) {
            words->at[words->count++] =
                (struct slice){begin, (size_t)(at - begin)};
        }
        at += at < end;
    }
}

bool client_line_is_error(struct slice line)
{
    static const char *const starts[] = {"ERROR", "CLIENT_ERROR",
                                         "SERVER_ERROR"};

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct slice start = slice_of(starts[i]);

        if (line.size >= start.size &&
            memcmp(line.at, start.at, start.size) == 0) {
            return true;
        }
    }
    return false;
}
