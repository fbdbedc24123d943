#include "ringd/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "ringd/peers.h"

enum { MISSING_WORDS_SIZE = 400, HEARTBEAT_SIZE_MAX = 40 };

/* A ring and its line, ready to be sent to many. */
struct page {
    struct ring *ring;
    char *line;
    size_t size;
};

struct publish {
    const struct env *env;
    struct publish_options options;
    struct page committed;
    struct page open; /* the same as committed, when no fence is pending */
    bool fencing;
    uint64_t fence_ends_ms;
    uint64_t heartbeat_ms;        /* when the next one is due */
    bool loses[RING_MEMBERS_MAX]; /* by index in open.ring */
    struct peers peers;
    struct publish_books books;
};

static const char *const role_names[] = {
    [PUBLISH_SHARD] = "shard",
    [PUBLISH_ROUTER] = "router",
    [PUBLISH_PLAIN] = "",
};

const char *publish_role_name(enum publish_role role)
{
    check((unsigned)role <= PUBLISH_PLAIN);
    return role_names[role];
}

bool publish_role_find(const char *name, enum publish_role *out)
{
    for (unsigned i = 0; i <= PUBLISH_PLAIN; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *out = (enum publish_role)i;
            return true;
        }
    }
    return false;
}

static void page_clear(struct publish *publish, struct page *page)
{
    ring_unref(&page->ring);
    mem_free(publish->env->mem, page->line);
    *page = (struct page){.ring = NULL};
}

static enum err page_make(const struct mem *mem, struct ring *ring,
                          struct page *out)
{
    char *text = NULL;
    size_t size = 0;
    enum err e = ring_write(ring, &text, &size);

    if (e != ERR_OK) {
        return e;
    }
    char *line = mem_alloc(mem, size + 1);

    if (line != NULL) {
        memcpy(line, text, size);
        line[size] = '\n';
        *out = (struct page){ring_ref(ring), line, size + 1};
    }
    mem_free(ring->mem, text);
    return line == NULL ? ERR_NOMEM : ERR_OK;
}

static const struct page *page_of(const struct publish *publish,
                                  enum publish_role role)
{
    return role == PUBLISH_SHARD || !publish->fencing ? &publish->committed
                                                      : &publish->open;
}

enum err publish_create(struct publish **out, const struct env *env,
                        const struct publish_options *options)
{
    struct publish *publish = mem_alloc_zeroed(env->mem, sizeof *publish);

    if (publish == NULL) {
        return ERR_NOMEM;
    }
    publish->env = env;
    publish->options = *options;
    publish->peers.mem = env->mem;
    *out = publish;
    return ERR_OK;
}

void publish_destroy(struct publish **publish)
{
    struct publish *gone = *publish;

    *publish = NULL;
    if (gone != NULL) {
        page_clear(gone, &gone->committed);
        page_clear(gone, &gone->open);
        peers_clear(&gone->peers);
        mem_free(gone->env->mem, gone);
    }
}

/* --- documents --------------------------------------------------------- */

/* Sends what this peer is to have and has not, unless it still owes an answer
 * to the last one. */
static void peer_feed(struct publish *publish, struct peer *peer,
                      uint64_t now_ms)
{
    const struct page *page = page_of(publish, peer->role);

    if (peer->connection == NULL || page->ring == NULL ||
        page->ring->epoch <= peer->sent_epoch) {
        return;
    }
    if (peer->waiting && now_ms < peer->sent_ms + PUBLISH_PATIENCE_MS) {
        return;
    }
    peer->sent_epoch = page->ring->epoch;
    peer->sent_ms = now_ms;
    /* Who has no name cannot answer. */
    peer->waiting = peer->name[0] != '\0' && peer->role != PUBLISH_PLAIN;
    publish->books.documents_sent++;
    publish->options.send(publish->options.context, peer->connection,
                          (struct slice){page->line, page->size});
}

static void feed_all(struct publish *publish, uint64_t now_ms)
{
    for (struct peer *peer = publish->peers.first; peer != NULL;
         peer = peer->next) {
        peer_feed(publish, peer, now_ms);
    }
}

/* --- the fence --------------------------------------------------------- */

static void missing_add(char *words, const char *name)
{
    size_t size = strlen(words);

    /* What does not fit is cut: the first few names say enough. */
    (void)snprintf(words + size, MISSING_WORDS_SIZE - size, "%s%s",
                   size > 0 ? "," : "", name);
}

static bool has_acked(const struct publish *publish, const char *name)
{
    const struct peer *peer = peers_find(&publish->peers, PUBLISH_SHARD, name);

    return peer != NULL && peer->acked_epoch >= publish->committed.ring->epoch;
}

static bool is_loser(const struct publish *publish, const char *name)
{
    uint16_t index = ring_member_find(publish->open.ring, name);

    return index != RING_NOBODY && publish->loses[index];
}

/* A connected member that only gains is waited for too: a router that knew
 * before it would be sent back and forth. */
static bool holds_up(const struct publish *publish, const struct peer *peer)
{
    const struct ring *next = publish->committed.ring;

    return peer->role == PUBLISH_SHARD && peer->connection != NULL &&
           peer->acked_epoch < next->epoch &&
           ring_member_find(next, peer->name) != RING_NOBODY &&
           !is_loser(publish, peer->name);
}

/* Whether the fence may open without waiting for its time; names who is
 * missing. */
static bool fence_is_complete(const struct publish *publish,
                              char missing[MISSING_WORDS_SIZE])
{
    const struct ring *open = publish->open.ring;

    missing[0] = '\0';
    if (open == NULL) {
        missing_add(missing, "(just started)");
        return false;
    }
    for (size_t i = 0; i < open->member_count; i++) {
        if (publish->loses[i] && !has_acked(publish, open->members[i].name)) {
            missing_add(missing, open->members[i].name);
        }
    }
    for (const struct peer *peer = publish->peers.first; peer != NULL;
         peer = peer->next) {
        if (holds_up(publish, peer)) {
            missing_add(missing, peer->name);
        }
    }
    return missing[0] == '\0';
}

static void fence_open(struct publish *publish, uint64_t now_ms)
{
    publish->fencing = false;
    page_clear(publish, &publish->open);
    LOG_NOTE(publish->env->log, "publish", "the ring is open to routers",
             LOG_U64("epoch", publish->committed.ring->epoch));
    feed_all(publish, now_ms);
}

static void fence_look(struct publish *publish, uint64_t now_ms)
{
    char missing[MISSING_WORDS_SIZE];

    if (!publish->fencing) {
        return;
    }
    if (fence_is_complete(publish, missing)) {
        fence_open(publish, now_ms);
    } else if (now_ms >= publish->fence_ends_ms && publish->open.ring == NULL) {
        fence_open(publish, now_ms); /* after a start waiting is the rule */
    } else if (now_ms >= publish->fence_ends_ms) {
        publish->books.fence_timeouts++;
        LOG_WARNING(publish->env->log, "publish",
                    "not all shards acknowledged the ring in time",
                    LOG_U64("epoch", publish->committed.ring->epoch),
                    LOG_TEXT("missing", missing));
        fence_open(publish, now_ms);
    }
}

/* Who has to acknowledge: every owner, by the ring that routers have, of a
 * slot that changed hands since, even if it changed back. */
static void losers_mark(struct publish *publish)
{
    const struct ring *open = publish->open.ring;
    const struct ring *next = publish->committed.ring;

    memset(publish->loses, 0, sizeof publish->loses);
    for (size_t s = 0; open != NULL && s < SLOT_COUNT; s++) {
        if (open->owner[s] != RING_NOBODY && next->tenure[s] > open->epoch) {
            publish->loses[open->owner[s]] = true;
        }
    }
}

enum err publish_ring(struct publish *publish, struct ring *ring, bool first,
                      uint64_t now_ms)
{
    struct page page;
    enum err e = page_make(publish->env->mem, ring, &page);

    if (e != ERR_OK) {
        return e;
    }
    check(publish->committed.ring == NULL ||
          ring->epoch > publish->committed.ring->epoch);
    if (publish->fencing) {
        page_clear(publish, &publish->committed);
    } else {
        publish->open = publish->committed;
    }
    publish->committed = page;
    publish->fencing = !first;
    publish->fence_ends_ms = now_ms + publish->options.fence_timeout_ms;
    losers_mark(publish);
    feed_all(publish, now_ms);
    fence_look(publish, now_ms);
    return ERR_OK;
}

/* --- watchers ---------------------------------------------------------- */

static void peer_connect(struct publish *publish, struct peer *peer,
                         uint32_t epoch, void *connection)
{
    const struct ring *ring = publish->committed.ring;
    uint32_t newest = ring == NULL ? 0 : ring->epoch;

    if (epoch > newest) {
        LOG_WARNING(publish->env->log, "publish",
                    "a watcher has a newer ring than there is",
                    LOG_TEXT("role", publish_role_name(peer->role)),
                    LOG_TEXT("name", peer->name), LOG_U64("its_epoch", epoch),
                    LOG_U64("epoch", newest));
    }
    if (peer->connection != NULL) {
        LOG_NOTE(publish->env->log, "publish",
                 "a watcher was replaced by one of the same name",
                 LOG_TEXT("role", publish_role_name(peer->role)),
                 LOG_TEXT("name", peer->name));
        publish->options.drop(publish->options.context, peer->connection);
    } else {
        publish->books.connected++;
    }
    peer->connection = connection;
    peer->waiting = false;
    /* Not what it had acknowledged before: it may have started anew since.  A
     * ring from the future is not one of ours, so it vouches for nothing. */
    peer->acked_epoch = epoch > newest ? 0 : epoch;
    peer->sent_epoch = epoch;
}

enum err publish_watch(struct publish *publish, enum publish_role role,
                       const char *name, uint32_t epoch, void *connection,
                       uint64_t now_ms, struct why *why)
{
    const struct ring *ring = publish->committed.ring;
    uint32_t newest = ring == NULL ? 0 : ring->epoch;
    struct peer *peer;
    enum err e = peers_take(&publish->peers, role, name, &peer, why);

    if (e != ERR_OK) {
        return e;
    }
    peer_connect(publish, peer, epoch, connection);
    if (role == PUBLISH_ROUTER && publish->fencing && epoch == newest) {
        /* It can only have that ring from a manager before this one, which
         * had seen its fence done. */
        fence_open(publish, now_ms);
    }
    peer_feed(publish, peer, now_ms);
    fence_look(publish, now_ms);
    return ERR_OK;
}

void publish_unwatch(struct publish *publish, const void *connection)
{
    struct peer *peer = peers_find_connection(&publish->peers, connection);

    if (peer == NULL) {
        return;
    }
    publish->books.connected--;
    peer->connection = NULL;
    peer->waiting = false;
    if (peer->name[0] == '\0') {
        peers_forget(&publish->peers, peer);
    }
}

enum err publish_ack(struct publish *publish,
                     const struct publish_answer *answer, uint64_t now_ms,
                     struct why *why)
{
    const struct ring *ring = publish->committed.ring;
    uint32_t newest = ring == NULL ? 0 : ring->epoch;
    struct peer *peer;

    if (answer->epoch > newest) {
        return err_why(why, ERR_RANGE,
                       "epoch is %u; allowed is at most %u, the newest there "
                       "is",
                       answer->epoch, newest);
    }
    if (answer->name[0] == '\0') {
        return err_why(why, ERR_SYNTAX,
                       "name is \"\"; allowed is the name given to the watch");
    }
    enum err e =
        peers_take(&publish->peers, answer->role, answer->name, &peer, why);

    if (e != ERR_OK) {
        return e;
    }
    publish->books.acks++;
    if (answer->ok) {
        peer->error[0] = '\0';
        if (answer->epoch > peer->acked_epoch) {
            peer->acked_epoch = answer->epoch;
        }
    } else {
        publish->books.acks_refusing++;
        (void)snprintf(peer->error, sizeof peer->error, "%s", answer->error);
        LOG_WARNING(publish->env->log, "publish", "a watcher refused the ring",
                    LOG_TEXT("role", publish_role_name(peer->role)),
                    LOG_TEXT("name", peer->name),
                    LOG_U64("epoch", answer->epoch),
                    LOG_TEXT("error", peer->error));
    }
    if (answer->epoch >= peer->sent_epoch) {
        peer->waiting = false;
    }
    peer_feed(publish, peer, now_ms);
    fence_look(publish, now_ms);
    return ERR_OK;
}

static void heartbeat_send(struct publish *publish)
{
    for (struct peer *peer = publish->peers.first; peer != NULL;
         peer = peer->next) {
        const struct page *page = page_of(publish, peer->role);
        char line[HEARTBEAT_SIZE_MAX];

        if (peer->connection != NULL) {
            int size = snprintf(line, sizeof line, "{\"heartbeat\":%u}\n",
                                page->ring == NULL ? 0 : page->ring->epoch);

            publish->options.send(publish->options.context, peer->connection,
                                  (struct slice){line, (size_t)size});
        }
    }
}

void publish_tick(struct publish *publish, uint64_t now_ms)
{
    fence_look(publish, now_ms);
    feed_all(publish, now_ms);
    if (now_ms >= publish->heartbeat_ms) {
        /* From the last one's due time, so that a tick that comes a little
         * early does not cost a whole tick each time. */
        publish->heartbeat_ms += publish->options.heartbeat_ms;
        if (publish->heartbeat_ms <= now_ms) {
            publish->heartbeat_ms = now_ms + publish->options.heartbeat_ms;
        }
        heartbeat_send(publish);
    }
}

/* --- questions --------------------------------------------------------- */

const struct ring *publish_current(const struct publish *publish,
                                   enum publish_role role)
{
    return page_of(publish, role)->ring;
}

struct slice publish_line(const struct publish *publish, enum publish_role role)
{
    const struct page *page = page_of(publish, role);

    return (struct slice){page->line, page->size};
}

static struct publish_peer peer_show(const struct peer *peer)
{
    return (struct publish_peer){
        .role = peer->role,
        .name = peer->name,
        .epoch = peer->acked_epoch,
        .connected = peer->connection != NULL,
        .error = peer->error,
    };
}

void publish_each(const struct publish *publish,
                  void (*visit)(void *context, const struct publish_peer *peer),
                  void *context)
{
    for (const struct peer *peer = publish->peers.first; peer != NULL;
         peer = peer->next) {
        struct publish_peer shown = peer_show(peer);

        visit(context, &shown);
    }
}

bool publish_find(const struct publish *publish, enum publish_role role,
                  const char *name, struct publish_peer *out)
{
    const struct peer *peer = peers_find(&publish->peers, role, name);

    if (peer == NULL) {
        return false;
    }
    *out = peer_show(peer);
    return true;
}

void publish_books(const struct publish *publish, struct publish_books *out)
{
    *out = publish->books;
}
