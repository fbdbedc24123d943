#include "node/follower.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/check.h"
#include "base/log.h"
#include "net/fetch.h"

enum { FOLLOWER_ACK_SIZE_MAX = 2048, FOLLOWER_WORD_SIZE_MAX = 256 };

#define FOLLOWER_MAGIC MAGIC('f', 'l', 'w', 'r')

struct follower {
    uint32_t magic;
    const struct env *env;
    char role[FOLLOWER_WORD_SIZE_MAX];
    char name[FOLLOWER_WORD_SIZE_MAX];
    char cluster[FOLLOWER_WORD_SIZE_MAX]; /* "": whatever comes first */
    void (*adopt)(void *context, struct ring *ring);
    void *context;
    struct fetch *fetch;
    /* On the client's thread only.  An acknowledgement may be lost, and a
     * manager that was restarted has forgotten it, so it is said once more when
     * the manager next shows that it has nothing newer for us. */
    bool confirm_due;

    pthread_mutex_t mutex;
    struct ring *ring;           /* in force; under the mutex */
    struct follower_state state; /* under the mutex */
};

/* --- what ringd is told ------------------------------------------------ */

/* reason: NULL when the ring in force is acknowledged, else why a document was
 * refused. */
static void follower_acknowledge(struct follower *follower, const char *reason)
{
    char text[FOLLOWER_ACK_SIZE_MAX];
    json_int_t epoch = follower->ring == NULL ? 0 : follower->ring->epoch;
    json_t *root =
        json_pack("{s:s,s:s,s:I,s:b}", "name", follower->name, "role",
                  follower->role, "epoch", epoch, "ok", reason == NULL);

    if (root == NULL) {
        return;
    }
    if (reason != NULL) {
        /* The reason may quote bytes that are no UTF-8. */
        json_t *words = json_string(reason);

        (void)json_object_set_new(
            root, "error", words != NULL ? words : json_string("malformed"));
    }
    size_t size = json_dumpb(root, text, sizeof text, JSON_COMPACT);

    json_decref(root);
    if (size > 0 && size <= sizeof text) {
        fetch_post(follower->fetch, "/v1/ack", (struct slice){text, size});
    }
}

/* --- what ringd tells -------------------------------------------------- */

static void follower_refuse(struct follower *follower, enum err e,
                            const struct why *why)
{
    const char *words = why->text[0] != '\0' ? why->text : err_text(e);

    pthread_mutex_lock(&follower->mutex);
    follower->state.refused++;
    (void)snprintf(follower->state.last_refusal,
                   sizeof follower->state.last_refusal, "%.*s",
                   (int)sizeof follower->state.last_refusal - 1, words);
    pthread_mutex_unlock(&follower->mutex);
    LOG_WARNING(follower->env->log, "ring", "a ring document was refused",
                LOG_TEXT("why", words), LOG_TEXT("error", err_text(e)));
    follower_acknowledge(follower, words);
}

/* The role first: whoever reads follower_ring must not be ahead of it. */
static void follower_adopt(struct follower *follower, struct ring *ring)
{
    struct ring *before = follower->ring;

    follower->adopt(follower->context, ring);
    pthread_mutex_lock(&follower->mutex);
    follower->ring = ring;
    follower->state.epoch = ring->epoch;
    pthread_mutex_unlock(&follower->mutex);
    ring_unref(&before);
    LOG_NOTE(follower->env->log, "ring", "a ring is in force",
             LOG_U64("epoch", ring->epoch),
             LOG_U64("members", ring->member_count),
             LOG_TEXT("cluster", ring->cluster));
    follower_acknowledge(follower, NULL);
    follower->confirm_due = true;
}

static void follower_on_line(void *context, struct slice line)
{
    struct follower *follower = context;
    struct ring *ring = NULL;
    struct why why = {""};

    pthread_mutex_lock(&follower->mutex);
    follower->state.heard_ms = env_monotonic_ms(follower->env);
    pthread_mutex_unlock(&follower->mutex);
    /* Only this thread changes the ring, so it may read it without the lock. */
    enum err e =
        follower_judge(follower->env->mem, follower->ring,
                       follower->cluster[0] != '\0' ? follower->cluster : NULL,
                       line, &ring, &why);

    if (e != ERR_OK) {
        follower_refuse(follower, e, &why);
    } else if (ring != NULL) {
        follower_adopt(follower, ring);
    } else if (follower->confirm_due && follower->ring != NULL) {
        follower->confirm_due = false;
        follower_acknowledge(follower, NULL);
    }
}

static void follower_on_state(void *context, bool connected, const char *words)
{
    struct follower *follower = context;

    pthread_mutex_lock(&follower->mutex);
    if (follower->state.connected && !connected) {
        follower->state.reconnects++;
    }
    follower->state.connected = connected;
    pthread_mutex_unlock(&follower->mutex);
    if (connected) {
        follower->confirm_due = true;
        LOG_NOTE(follower->env->log, "ring", "following the ring manager",
                 LOG_TEXT("what", words));
    } else {
        LOG_WARNING(follower->env->log, "ring",
                    "no ring manager; going on with the last ring",
                    LOG_TEXT("why", words));
    }
}

/* Names are checked elsewhere, or not at all: a router may be called anything.
 * Whatever would mean something in a URL is encoded. */
static void url_encode(const char *word, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    size_t used = 0;

    for (; *word != '\0' && used + 4 <= size; word++) {
        if (strchr(plain, *word) != NULL) {
            out[used++] = *word;
        } else {
            used += (size_t)snprintf(out + used, size - used, "%%%02X",
                                     (unsigned)(unsigned char)*word);
        }
    }
    out[used] = '\0';
}

static void follower_on_url(void *context, const char *server, char *out,
                            size_t size)
{
    const struct follower *follower = context;
    char role[FOLLOWER_WORD_SIZE_MAX];
    char name[FOLLOWER_WORD_SIZE_MAX];

    url_encode(follower->role, role, sizeof role);
    url_encode(follower->name, name, sizeof name);
    (void)snprintf(
        out, size, "%s/v1/ring?watch=1&epoch=%" PRIu32 "&role=%s&name=%s",
        server, follower->ring == NULL ? 0 : follower->ring->epoch, role, name);
}

/* --- start, stop, questions -------------------------------------------- */

static enum err word_copy(char out[FOLLOWER_WORD_SIZE_MAX], const char *what,
                          const char *word, struct why *why)
{
    if (strlen(word) >= FOLLOWER_WORD_SIZE_MAX) {
        return err_why(why, ERR_LIMIT,
                       "%s: \"%.32s...\" has %zu bytes, at most %d are allowed",
                       what, word, strlen(word), FOLLOWER_WORD_SIZE_MAX - 1);
    }
    (void)snprintf(out, FOLLOWER_WORD_SIZE_MAX, "%s", word);
    return ERR_OK;
}

static enum err follower_prepare(struct follower *follower,
                                 const struct follower_options *options,
                                 struct why *why)
{
    const char *cluster = options->cluster == NULL ? "" : options->cluster;
    enum err e = word_copy(follower->role, "role", options->role, why);

    if (e == ERR_OK) {
        e = word_copy(follower->name, "name", options->name, why);
    }
    if (e == ERR_OK) {
        e = word_copy(follower->cluster, "cluster", cluster, why);
    }
    follower->adopt = options->adopt;
    follower->context = options->context;
    return e;
}

static void follower_free(struct follower *follower)
{
    ring_unref(&follower->ring);
    pthread_mutex_destroy(&follower->mutex);
    follower->magic = MAGIC_DEAD;
    mem_free(follower->env->mem, follower);
}

enum err follower_start(struct follower **out, const struct env *env,
                        const struct follower_options *options, struct why *why)
{
    static const struct fetch_handler handler = {.url = follower_on_url,
                                                 .line = follower_on_line,
                                                 .state = follower_on_state};
    struct follower *follower = mem_alloc_zeroed(env->mem, sizeof *follower);

    if (follower == NULL) {
        return err_why(why, ERR_NOMEM, "out of memory");
    }
    follower->magic = FOLLOWER_MAGIC;
    follower->env = env;
    (void)pthread_mutex_init(&follower->mutex, NULL);
    enum err e = follower_prepare(follower, options, why);

    if (e == ERR_OK) {
        e = fetch_start(&follower->fetch, env, &options->ringds, &handler,
                        follower, why);
    }
    if (e != ERR_OK) {
        follower_free(follower);
        return e;
    }
    *out = follower;
    return ERR_OK;
}

void follower_hush(struct follower *follower)
{
    check(follower->magic == FOLLOWER_MAGIC);
    fetch_stop(&follower->fetch);
}

void follower_stop(struct follower **follower)
{
    if (*follower == NULL) {
        return;
    }
    follower_hush(*follower);
    follower_free(*follower);
    *follower = NULL;
}

void follower_state(struct follower *follower, struct follower_state *out)
{
    check(follower->magic == FOLLOWER_MAGIC);
    pthread_mutex_lock(&follower->mutex);
    *out = follower->state;
    pthread_mutex_unlock(&follower->mutex);
}

struct ring *follower_ring(struct follower *follower)
{
    check(follower->magic == FOLLOWER_MAGIC);
    pthread_mutex_lock(&follower->mutex);
    struct ring *ring =
        follower->ring == NULL ? NULL : ring_ref(follower->ring);

    pthread_mutex_unlock(&follower->mutex);
    return ring;
}
