#include "net/fetch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/fetch_curl.h"
#include "net/lines.h"
#include "net/thread.h"

enum {
    FETCH_URL_SIZE_MAX = 1024,
    FETCH_TURN_MS_MAX = 1000,
    FETCH_POSTS_MAX = 64, /* waiting; one more is dropped */
    FETCH_POST_MS_MAX = 2000,
    FETCH_POOL_MAX = 4,
    /* A stream that lived this long was a good one: the next failure starts
     * again at the shortest back-off.  A shorter life counts as a failure, or a
     * server that hangs up at once would be called without pause. */
    FETCH_GOOD_MS_MIN = FETCH_BACKOFF_MS_MAX,
};

#define FETCH_MAGIC MAGIC('f', 't', 'c', 'h')

struct fetch_post {
    STAILQ_ENTRY(fetch_post) next;
    char *path;
    size_t body_size;
    char body[];
};

/* The line that is held open. */
struct fetch_watch {
    CURL *easy;
    struct lines lines;
    bool open;      /* handed to libcurl */
    bool connected; /* bytes have come */
    bool told_down; /* say so once, not at every attempt */
    uint64_t opened_ms, heard_ms, retry_ms;
    unsigned failures;                /* in a row */
    char words[FETCH_WORDS_SIZE_MAX]; /* why we hang up; "": libcurl knows */
    char curl_words[CURL_ERROR_SIZE];
};

struct fetch {
    uint32_t magic;
    const struct env *env;
    struct fetch_handler handler;
    void *context;
    char *servers[OPTION_TEXTS_MAX];
    size_t server_count;
    size_t server; /* whose turn it is */

    CURLM *multi;
    struct fetch_watch watch;
    CURL *post_easy;
    struct curl_slist *post_headers;
    struct fetch_post *post; /* on its way; one at a time keeps their order */
    char post_words[CURL_ERROR_SIZE];

    pthread_t thread;
    atomic_bool stopping;
    pthread_mutex_t mutex;
    STAILQ_HEAD(, fetch_post) posts; /* under the mutex */
    size_t post_count;               /* under the mutex */
};

/* --- the watch --------------------------------------------------------- */

static void watch_on_line(void *context, struct slice line)
{
    struct fetch *fetch = context;

    fetch->watch.heard_ms = env_monotonic_ms(fetch->env);
    fetch->handler.line(fetch->context, line);
}

static void watch_connected(struct fetch *fetch)
{
    char words[FETCH_WORDS_SIZE_MAX];

    fetch->watch.connected = true;
    fetch->watch.told_down = false;
    (void)snprintf(words, sizeof words, "connected to %s",
                   fetch->servers[fetch->server]);
    fetch->handler.state(fetch->context, true, words);
}

static long watch_status(const struct fetch_watch *watch)
{
    long status = 0;

    (void)curl_easy_getinfo(watch->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t watch_on_bytes(char *at, size_t one, size_t size, void *context)
{
    struct fetch *fetch = context;
    struct fetch_watch *watch = &fetch->watch;

    (void)one;
    if (watch_status(watch) != 200) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (!watch->connected) {
        watch_connected(fetch);
    }
    enum err e = lines_feed(&watch->lines, (struct slice){at, size},
                            watch_on_line, fetch);

    if (e == ERR_LIMIT) {
        (void)snprintf(watch->words, sizeof watch->words,
                       "a line has more than the %d bytes allowed",
                       FETCH_LINE_SIZE_MAX);
    } else if (e != ERR_OK) {
        (void)snprintf(watch->words, sizeof watch->words, "%s", err_text(e));
    }
    return e == ERR_OK ? size : CURL_WRITEFUNC_ERROR;
}

/* Full jitter: uniform between nothing and the cap, so that a thousand watchers
 * that lost the same manager do not come back together. */
static uint64_t watch_backoff_ms(const struct fetch *fetch)
{
    uint64_t cap = FETCH_BACKOFF_MS_MIN;
    uint64_t random;

    for (unsigned i = 1;
         i < fetch->watch.failures && cap < FETCH_BACKOFF_MS_MAX; i++) {
        cap *= 2;
    }
    cap = cap > FETCH_BACKOFF_MS_MAX ? FETCH_BACKOFF_MS_MAX : cap;
    env_random(fetch->env, &random, sizeof random);
    return random % (cap + 1);
}

static void watch_close(struct fetch *fetch, CURLcode code)
{
    struct fetch_watch *watch = &fetch->watch;
    uint64_t now_ms = env_monotonic_ms(fetch->env);
    long status = watch_status(watch);
    char words[FETCH_WORDS_SIZE_MAX];

    if (watch->words[0] == '\0' && status != 0 && status != 200) {
        (void)snprintf(watch->words, sizeof watch->words,
                       "answered with HTTP status %ld", status);
    } else if (watch->words[0] == '\0' && code == CURLE_OK) {
        (void)snprintf(watch->words, sizeof watch->words, "stream ended");
    } else if (watch->words[0] == '\0') {
        fetch_curl_words(watch->words, code, watch->curl_words);
    }
    (void)snprintf(words, sizeof words, "%.200s: %.300s",
                   fetch->servers[fetch->server], watch->words);
    (void)curl_multi_remove_handle(fetch->multi, watch->easy);
    lines_reset(&watch->lines);
    if (watch->connected && now_ms - watch->opened_ms >= FETCH_GOOD_MS_MIN) {
        watch->failures = 0;
    }
    watch->failures++;
    watch->open = false;
    watch->connected = false;
    watch->retry_ms = now_ms + watch_backoff_ms(fetch);
    fetch->server = (fetch->server + 1) % fetch->server_count;
    if (!watch->told_down) {
        watch->told_down = true;
        fetch->handler.state(fetch->context, false, words);
    }
}

static void watch_open(struct fetch *fetch)
{
    struct fetch_watch *watch = &fetch->watch;
    char url[FETCH_URL_SIZE_MAX] = "";

    watch->words[0] = '\0';
    watch->curl_words[0] = '\0';
    watch->opened_ms = env_monotonic_ms(fetch->env);
    watch->heard_ms = watch->opened_ms;
    fetch->handler.url(fetch->context, fetch->servers[fetch->server], url,
                       sizeof url);
    watch->open = curl_easy_setopt(watch->easy, CURLOPT_URL, url) == CURLE_OK &&
                  curl_multi_add_handle(fetch->multi, watch->easy) == CURLM_OK;
    if (!watch->open) {
        watch->retry_ms = watch->opened_ms + FETCH_BACKOFF_MS_MAX;
    }
}

/* Does what is due; returns for how long nothing else will be. */
static uint64_t watch_turn(struct fetch *fetch)
{
    struct fetch_watch *watch = &fetch->watch;
    uint64_t now_ms = env_monotonic_ms(fetch->env);

    if (watch->open && now_ms - watch->heard_ms >= FETCH_SILENCE_MS_MAX) {
        (void)snprintf(watch->words, sizeof watch->words,
                       "not one line in %d ms", FETCH_SILENCE_MS_MAX);
        watch_close(fetch, CURLE_OPERATION_TIMEDOUT);
    }
    if (!watch->open && now_ms >= watch->retry_ms) {
        watch_open(fetch);
    }
    if (watch->open) {
        return FETCH_TURN_MS_MAX;
    }
    return watch->retry_ms > now_ms ? watch->retry_ms - now_ms : 0;
}

static bool watch_prepare(struct fetch *fetch)
{
    CURL *easy = fetch->watch.easy;

    return fetch_curl_prepare(easy, fetch->watch.curl_words) &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, watch_on_bytes) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch) == CURLE_OK;
}

/* --- posts ------------------------------------------------------------- */

void fetch_post(struct fetch *fetch, const char *path, struct slice body)
{
    const struct mem *mem = fetch->env->mem;
    struct fetch_post *post = mem_alloc(mem, sizeof *post + body.size);
    char *path_copy = mem_copy_text(mem, path);
    bool queued = false;

    check(fetch->magic == FETCH_MAGIC);
    if (post != NULL && path_copy != NULL) {
        post->path = path_copy;
        post->body_size = body.size;
        memcpy(post->body, body.at, body.size);
        pthread_mutex_lock(&fetch->mutex);
        queued = fetch->post_count < FETCH_POSTS_MAX;
        if (queued) {
            STAILQ_INSERT_TAIL(&fetch->posts, post, next);
            fetch->post_count++;
        }
        pthread_mutex_unlock(&fetch->mutex);
    }
    if (queued) {
        (void)curl_multi_wakeup(fetch->multi);
        return;
    }
    LOG_WARNING(fetch->env->log, "fetch", "a request was dropped",
                LOG_TEXT("path", path));
    mem_free(mem, path_copy);
    mem_free(mem, post);
}

static struct fetch_post *post_take(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->mutex);
    struct fetch_post *post = STAILQ_FIRST(&fetch->posts);

    if (post != NULL) {
        STAILQ_REMOVE_HEAD(&fetch->posts, next);
        fetch->post_count--;
    }
    pthread_mutex_unlock(&fetch->mutex);
    return post;
}

static void post_free(struct fetch *fetch, struct fetch_post *post)
{
    mem_free(fetch->env->mem, post->path);
    mem_free(fetch->env->mem, post);
}

static bool post_open(struct fetch *fetch, const struct fetch_post *post)
{
    char url[FETCH_URL_SIZE_MAX];
    int size = snprintf(url, sizeof url, "%s%s", fetch->servers[fetch->server],
                        post->path);

    fetch->post_words[0] = '\0';
    return size < (int)sizeof url &&
           curl_easy_setopt(fetch->post_easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(fetch->post_easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)post->body_size) == CURLE_OK &&
           curl_easy_setopt(fetch->post_easy, CURLOPT_POSTFIELDS,
                            &post->body[0]) == CURLE_OK &&
           curl_multi_add_handle(fetch->multi, fetch->post_easy) == CURLM_OK;
}

static void posts_turn(struct fetch *fetch)
{
    struct fetch_post *post;

    while (fetch->post == NULL && (post = post_take(fetch)) != NULL) {
        if (fetch->watch.connected && post_open(fetch, post)) {
            fetch->post = post;
        } else {
            post_free(fetch, post);
        }
    }
}

static void post_close(struct fetch *fetch, CURLcode code)
{
    char words[FETCH_WORDS_SIZE_MAX];
    long status = 0;

    (void)curl_easy_getinfo(fetch->post_easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status >= 400) {
        fetch_curl_words(words, code, fetch->post_words);
        LOG_WARNING(fetch->env->log, "fetch", "a request failed",
                    LOG_TEXT("path", fetch->post->path),
                    LOG_I64("status", status), LOG_TEXT("why", words));
    }
    (void)curl_multi_remove_handle(fetch->multi, fetch->post_easy);
    post_free(fetch, fetch->post);
    fetch->post = NULL;
}

static size_t post_on_bytes(char *at, size_t one, size_t size, void *context)
{
    (void)at;
    (void)one;
    (void)context;
    return size;
}

static bool post_prepare(struct fetch *fetch)
{
    CURL *easy = fetch->post_easy;

    return fetch_curl_prepare(easy, fetch->post_words) &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->post_headers) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                            (long)FETCH_POST_MS_MAX) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, post_on_bytes) ==
               CURLE_OK;
}

/* --- the thread -------------------------------------------------------- */

/* Whether one has: then there may be more to begin. */
static bool fetch_finish_transfers(struct fetch *fetch)
{
    CURLMsg *message;
    bool finished = false;
    int left;

    while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        finished = true;
        if (message->easy_handle == fetch->watch.easy) {
            watch_close(fetch, code);
        } else {
            post_close(fetch, code);
        }
    }
    return finished;
}

static void *fetch_run(void *context)
{
    struct fetch *fetch = context;
    int running;

    thread_signals_block();
    while (!atomic_load(&fetch->stopping)) {
        uint64_t wait_ms = watch_turn(fetch);

        posts_turn(fetch);
        (void)curl_multi_perform(fetch->multi, &running);
        if (fetch_finish_transfers(fetch)) {
            continue;
        }
        wait_ms = wait_ms > FETCH_TURN_MS_MAX ? FETCH_TURN_MS_MAX : wait_ms;
        (void)curl_multi_poll(fetch->multi, NULL, 0, (int)wait_ms, NULL);
    }
    return NULL;
}

/* --- start and stop ---------------------------------------------------- */

static enum err servers_copy(struct fetch *fetch,
                             const struct option_texts *servers,
                             struct why *why)
{
    if (servers->count == 0) {
        return err_why(why, ERR_SYNTAX, "no server is given to follow");
    }
    for (size_t i = 0; i < servers->count; i++) {
        struct slice server = slice_of(servers->at[i]);

        if (strncmp(server.at, "http://", 7) != 0 || server.size == 7) {
            return err_why(why, ERR_SYNTAX,
                           "server \"%s\": want http://host:port",
                           servers->at[i]);
        }
        char *copy = mem_copy_text(fetch->env->mem, server.at);

        if (copy == NULL) {
            return err_why(why, ERR_NOMEM, "out of memory");
        }
        /* Paths are put behind it, and they begin with a slash. */
        while (server.size > 7 && copy[server.size - 1] == '/') {
            copy[--server.size] = '\0';
        }
        fetch->servers[fetch->server_count++] = copy;
    }
    return ERR_OK;
}

static enum err fetch_open(struct fetch *fetch,
                           const struct option_texts *servers, struct why *why)
{
    enum err e = servers_copy(fetch, servers, why);

    if (e != ERR_OK) {
        return e;
    }
    fetch->multi = curl_multi_init();
    fetch->watch.easy = curl_easy_init();
    fetch->post_easy = curl_easy_init();
    fetch->post_headers = fetch_curl_json_headers();
    if (fetch->multi == NULL || fetch->watch.easy == NULL ||
        fetch->post_easy == NULL || fetch->post_headers == NULL ||
        !watch_prepare(fetch) || !post_prepare(fetch) ||
        curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS,
                          (long)FETCH_POOL_MAX) != CURLM_OK) {
        return err_why(why, ERR_NOMEM, "out of memory");
    }
    return ERR_OK;
}

static void fetch_free(struct fetch *fetch)
{
    const struct mem *mem = fetch->env->mem;
    struct fetch_post *post;

    if (fetch->watch.open) {
        (void)curl_multi_remove_handle(fetch->multi, fetch->watch.easy);
    }
    if (fetch->post != NULL) {
        (void)curl_multi_remove_handle(fetch->multi, fetch->post_easy);
        post_free(fetch, fetch->post);
    }
    while ((post = post_take(fetch)) != NULL) {
        post_free(fetch, post);
    }
    curl_easy_cleanup(fetch->watch.easy);
    curl_easy_cleanup(fetch->post_easy);
    curl_slist_free_all(fetch->post_headers);
    (void)curl_multi_cleanup(fetch->multi);
    for (size_t i = 0; i < fetch->server_count; i++) {
        mem_free(mem, fetch->servers[i]);
    }
    lines_fini(&fetch->watch.lines);
    pthread_mutex_destroy(&fetch->mutex);
    fetch->magic = MAGIC_DEAD;
    mem_free(mem, fetch);
    curl_global_cleanup();
}

enum err fetch_start(struct fetch **out, const struct env *env,
                     const struct option_texts *servers,
                     const struct fetch_handler *handler, void *context,
                     struct why *why)
{
    struct fetch *fetch = mem_alloc_zeroed(env->mem, sizeof *fetch);

    if (fetch == NULL) {
        return err_why(why, ERR_NOMEM, "out of memory");
    }
    /* Counted by libcurl, and safe from several threads. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(env->mem, fetch);
        return err_why(why, ERR_NOMEM, "libcurl does not start");
    }
    fetch->magic = FETCH_MAGIC;
    fetch->env = env;
    fetch->handler = *handler;
    fetch->context = context;
    lines_init(&fetch->watch.lines, env->mem, FETCH_LINE_SIZE_MAX);
    STAILQ_INIT(&fetch->posts);
    (void)pthread_mutex_init(&fetch->mutex, NULL);
    enum err e = fetch_open(fetch, servers, why);
    struct fetch *before = *out;

    /* Known before the thread begins: its handlers post. */
    *out = fetch;
    if (e == ERR_OK &&
        pthread_create(&fetch->thread, NULL, fetch_run, fetch) != 0) {
        e = err_why(why, ERR_IO, "cannot start a thread for %s",
                    fetch->servers[0]);
    }
    if (e != ERR_OK) {
        fetch_free(fetch);
        *out = before;
    }
    return e;
}

void fetch_stop(struct fetch **fetch)
{
    if (*fetch == NULL) {
        return;
    }
    check((*fetch)->magic == FETCH_MAGIC);
    atomic_store(&(*fetch)->stopping, true);
    (void)curl_multi_wakeup((*fetch)->multi);
    (void)pthread_join((*fetch)->thread, NULL);
    fetch_free(*fetch);
    *fetch = NULL;
}
