#include "node/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_POLL_MS = 10 };

enum listen_form { LISTEN_UNIX, LISTEN_AS_GIVEN, LISTEN_WITH_PORT };

static int listen_text(char *at, size_t size, enum listen_form form,
                       const char *host, uint64_t port)
{
    switch (form) {
    case LISTEN_UNIX: return snprintf(at, size, "unix:%s", host);
    case LISTEN_AS_GIVEN: return snprintf(at, size, "%s", host);
    case LISTEN_WITH_PORT: break;
    }
    return snprintf(at, size, "%s:%llu", host, (unsigned long long)port);
}

static enum err listen_add(struct listen_book *book, struct why *why,
                           enum listen_form form, const char *host,
                           uint64_t port)
{
    if (book->texts.count == CREW_LISTENERS_MAX) {
        return err_why(why, ERR_RANGE,
                       "too many addresses to listen on: at most %d",
                       CREW_LISTENERS_MAX);
    }
    char *at = book->bytes[book->texts.count];
    int size = listen_text(at, sizeof book->bytes[0], form, host, port);

    if (size < 0 || (size_t)size >= sizeof book->bytes[0]) {
        return err_why(why, ERR_RANGE,
                       "--listen %.64s...: longer than %d bytes", host,
                       RING_ADDRESS_SIZE_MAX);
    }
    book->texts.at[book->texts.count++] = at;
    return ERR_OK;
}

static bool has_port(const char *address)
{
    const char *bracket = strchr(address, ']');
    const char *colon = strrchr(address, ':');

    if (bracket != NULL) {
        return colon > bracket;
    }
    return colon != NULL && strchr(address, ':') == colon;
}

static enum err listen_addresses(struct listen_book *book,
                                 const struct listen_flags *flags,
                                 struct why *why)
{
    bool tcp = flags->socket == NULL || flags->hosts.count > 0 ||
               flags->port != LISTEN_PORT_PRESET;
    enum err e = ERR_OK;

    if (flags->socket != NULL) {
        e = listen_add(book, why, LISTEN_UNIX, flags->socket, 0);
    }
    if (e == ERR_OK && tcp && flags->hosts.count == 0) {
        e = listen_add(book, why, LISTEN_WITH_PORT, "*", flags->port);
    }
    for (size_t i = 0; e == ERR_OK && i < flags->hosts.count; i++) {
        const char *host = flags->hosts.at[i];

        e = listen_add(book, why,
                       has_port(host) ? LISTEN_AS_GIVEN : LISTEN_WITH_PORT,
                       host, flags->port);
    }
    return e;
}

enum err listen_book_fill(struct listen_book *book,
                          const struct listen_flags *flags, struct why *why)
{
    char *end;
    unsigned long mode = strtoul(flags->socket_mode, &end, 8);

    *book = (struct listen_book){0};
    if (*end != '\0' || end == flags->socket_mode || mode > 0777) {
        return err_why(why, ERR_RANGE,
                       "--socket-mode %.32s: must be octal, 0 to 0777",
                       flags->socket_mode);
    }
    book->unix_mode = (unsigned)mode;
    return listen_addresses(book, flags, why);
}

void listen_drain(struct crew *crew, const struct env *env, uint64_t timeout_ms)
{
    uint64_t end_ms = env_monotonic_ms(env) + timeout_ms;

    crew_drain(crew);
    while (crew_connections(crew) > 0 && env_monotonic_ms(env) < end_ms) {
        env_sleep_ms(env, DRAIN_POLL_MS);
    }
}
