/* peers.h -- everybody who watches or has watched, for publish.c only.
 *
 * Known by role and name, so that an acknowledgement outlives the connection it
 * came after.  Who gives no name is forgotten with its connection.
 */
#ifndef RINGD_PEERS_H
#define RINGD_PEERS_H

#include "ringd/publish.h"

struct peer {
    struct peer *next;
    enum publish_role role;
    void *connection;     /* NULL: not connected */
    uint32_t sent_epoch;  /* on this connection; 0: nothing */
    uint32_t acked_epoch; /* in force there */
    bool waiting;         /* for an answer to sent_epoch */
    uint64_t sent_ms;
    uint64_t seen; /* rises with each use; the lowest is forgotten first */
    char name[PUBLISH_NAME_SIZE_MAX + 1];
    char error[PUBLISH_ERROR_SIZE_MAX + 1];
};

struct peers {
    const struct mem *mem;
    struct peer *first;
    size_t count;
    uint64_t uses;
};

/* NULL if there is none; never finds one without a name. */
struct peer *peers_find(const struct peers *peers, enum publish_role role,
                        const char *name);
struct peer *peers_find_connection(const struct peers *peers,
                                   const void *connection);
/* Finds or makes.  A full table forgets who was gone longest.  ERR_SYNTAX,
 * ERR_LIMIT, ERR_NOMEM. */
enum err peers_take(struct peers *peers, enum publish_role role,
                    const char *name, struct peer **out, struct why *why);
void peers_forget(struct peers *peers, struct peer *peer);
void peers_clear(struct peers *peers);

#endif
