#include "ringd/peers.h"

#include <string.h>

#include "base/check.h"

struct peer *peers_find(const struct peers *peers, enum publish_role role,
                        const char *name)
{
    if (name[0] == '\0') {
        return NULL;
    }
    for (struct peer *peer = peers->first; peer != NULL; peer = peer->next) {
        if (peer->role == role && strcmp(peer->name, name) == 0) {
            return peer;
        }
    }
    return NULL;
}

struct peer *peers_find_connection(const struct peers *peers,
                                   const void *connection)
{
    struct peer *peer = peers->first;

    while (peer != NULL && peer->connection != connection) {
        peer = peer->next;
    }
    return peer;
}

static enum err name_check(const char *name, struct why *why)
{
    size_t size = strnlen(name, PUBLISH_NAME_SIZE_MAX + 1);
    bool good = size <= PUBLISH_NAME_SIZE_MAX;

    for (size_t i = 0; i < size; i++) {
        good = good && name[i] > ' ' && name[i] <= '~';
    }
    if (!good) {
        return err_why(why, ERR_SYNTAX,
                       "name is \"%.80s\"; allowed are at most %d printable "
                       "bytes without blanks",
                       name, PUBLISH_NAME_SIZE_MAX);
    }
    return ERR_OK;
}

/* False: everybody is connected. */
static bool oldest_forget(struct peers *peers)
{
    struct peer *oldest = NULL;

    for (struct peer *peer = peers->first; peer != NULL; peer = peer->next) {
        if (peer->connection == NULL &&
            (oldest == NULL || peer->seen < oldest->seen)) {
            oldest = peer;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    peers_forget(peers, oldest);
    return true;
}

enum err peers_take(struct peers *peers, enum publish_role role,
                    const char *name, struct peer **out, struct why *why)
{
    enum err e = name_check(name, why);

    if (e != ERR_OK) {
        return e;
    }
    struct peer *peer = peers_find(peers, role, name);

    if (peer == NULL) {
        if (peers->count >= PUBLISH_PEERS_MAX && !oldest_forget(peers)) {
            return err_why(why, ERR_LIMIT,
                           "there are %d watchers, the most allowed",
                           PUBLISH_PEERS_MAX);
        }
        peer = mem_alloc_zeroed(peers->mem, sizeof *peer);
        if (peer == NULL) {
            return err_why(why, ERR_NOMEM, "no memory for a watcher");
        }
        peer->role = role;
        memcpy(peer->name, name, strlen(name) + 1);
        peer->next = peers->first;
        peers->first = peer;
        peers->count++;
    }
    peer->seen = ++peers->uses;
    *out = peer;
    return ERR_OK;
}

void peers_forget(struct peers *peers, struct peer *peer)
{
    struct peer **link = &peers->first;

    while (*link != peer) {
        check(*link != NULL);
        link = &(*link)->next;
    }
    *link = peer->next;
    peers->count--;
    mem_free(peers->mem, peer);
}

void peers_clear(struct peers *peers)
{
    while (peers->first != NULL) {
        peers_forget(peers, peers->first);
    }
}
