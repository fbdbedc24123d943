/* listen.h -- from memcached's flags -l -p -s -a to the addresses a crew
 * listens on; and the end of listening. */
#ifndef NODE_LISTEN_H
#define NODE_LISTEN_H

#include "base/err.h"
#include "base/option.h"
#include "net/crew.h"
#include "proto/limits.h"

enum { LISTEN_PORT_PRESET = 11211 };

struct listen_flags {
    struct option_texts hosts; /* -l */
    uint64_t port;             /* -p */
    const char *socket;        /* -s, or NULL */
    const char *socket_mode;   /* -a, octal */
};

/* The texts point into the book, so it must outlive their use. */
struct listen_book {
    struct option_texts texts;
    unsigned unix_mode;
    char bytes[CREW_LISTENERS_MAX][RING_ADDRESS_SIZE_MAX + 8];
};

/* A unix socket alone if only that was asked for, as memcached does; both if
 * an address or another port was given too.
 * ERR_RANGE with *why: too many, too long, or a mode that is not octal. */
enum err listen_book_fill(struct listen_book *book,
                          const struct listen_flags *flags, struct why *why);

/* Stops listening and lets open requests finish, for at most timeout_ms. */
void listen_drain(struct crew *crew, const struct env *env,
                  uint64_t timeout_ms);

#endif
