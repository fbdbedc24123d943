#include "net/crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"

enum { ADDRESS_TEXT_SIZE_MAX = 160, THREAD_NAME_SIZE_MAX = 16 };

static const uint32_t CREW_MAGIC = MAGIC('c', 'r', 'e', 'w');

enum crew_phase { CREW_BEGINNING, CREW_RUNNING, CREW_FAILED };

struct crew_worker {
    struct crew *crew;
    unsigned index;
    pthread_t thread;
    struct loop *loop;
    struct conn_pool *pool;
    void *role;
    bool is_draining;
    struct listener listeners[CREW_LISTENERS_MAX];
    size_t listener_count;
};

struct crew {
    uint32_t magic;
    const struct env *env;
    struct crew_options options;
    struct crew_worker *workers;
    struct option_texts addresses;
    char texts[CREW_LISTENERS_MAX][ADDRESS_TEXT_SIZE_MAX];
    unsigned next_dealt; /* the first worker's own */

    _Atomic uint64_t connections, connections_total, connections_rejected;
    _Atomic uint64_t accept_errors;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    enum crew_phase phase;
    unsigned begun_count, left_count, thread_count;
    enum err begin_error;
};

/* --- connections --- */

static void connection_drop(struct crew *crew, int handle)
{
    const struct net *net = crew->env->net;

    atomic_fetch_sub(&crew->connections, 1);
    net->close(net->context, handle);
}

static void connection_give(struct crew_worker *worker, int handle)
{
    if (worker->is_draining) {
        connection_drop(worker->crew, handle);
    } else {
        worker->crew->options.handler->accepted(worker->role, handle);
    }
}

/* A connection on its way from the first worker to another. */
struct deal {
    struct message message;
    struct crew_worker *worker;
    int handle;
};

static void deal_arrive(void *context)
{
    struct deal *deal = context;

    connection_give(deal->worker, deal->handle);
    mem_free(deal->worker->crew->env->mem, deal);
}

static void connection_deal(struct crew *crew, int handle)
{
    unsigned index = crew->next_dealt++ % crew->options.worker_count;
    struct crew_worker *worker = &crew->workers[index];

    if (index == 0) {
        connection_give(worker, handle);
        return;
    }
    struct deal *deal = mem_alloc(crew->env->mem, sizeof *deal);

    if (deal == NULL) {
        connection_drop(crew, handle);
        return;
    }
    *deal =
        (struct deal){{.run = deal_arrive, .context = deal}, worker, handle};
    loop_post(worker->loop, &deal->message);
}

/* Best effort: a socket just accepted has room for one line. */
static void connection_refuse(struct crew *crew, int handle)
{
    const struct net *net = crew->env->net;
    struct slice words = crew->options.refusal;

    atomic_fetch_add(&crew->connections_rejected, 1);
    if (words.size > 0) {
        char line[256];
        size_t size = words.size < sizeof line ? words.size : sizeof line;
        struct iovec piece = {line, size};

        memcpy(line, words.at, size);
        (void)net->write(net->context, handle, &piece, 1);
    }
    connection_drop(crew, handle);
}

static void accept_one(struct crew_worker *worker, int handle, bool dealt)
{
    struct crew *crew = worker->crew;
    uint64_t limit = crew->options.connection_limit;
    uint64_t before = atomic_fetch_add(&crew->connections, 1);

    if (limit != 0 && before >= limit) {
        connection_refuse(crew, handle);
        return;
    }
    atomic_fetch_add(&crew->connections_total, 1);
    if (dealt) {
        connection_deal(crew, handle);
    } else {
        connection_give(worker, handle);
    }
}

static void on_accepted(void *context, struct listener *listener, int handle)
{
    (void)listener;
    accept_one(context, handle, false);
}

static void on_accepted_deal(void *context, struct listener *listener,
                             int handle)
{
    (void)listener;
    accept_one(context, handle, true);
}

static void on_tired(void *context, struct listener *listener, int error)
{
    struct crew_worker *worker = context;

    (void)listener;
    atomic_fetch_add(&worker->crew->accept_errors, 1);
    LOG_WARNING(worker->crew->env->log, "crew", "cannot accept connections",
                LOG_TEXT("error", strerrordesc_np(error)),
                LOG_U64("retry_ms", LISTENER_REST_MS));
}

static const struct listener_handler *handler_of(bool dealt)
{
    static const struct listener_handler plain = {on_accepted, on_tired};
    static const struct listener_handler dealing = {on_accepted_deal, on_tired};

    return dealt ? &dealing : &plain;
}

/* --- listening --- */

static enum err refuse_listen(struct why *why, const char *text, int failed)
{
    return err_why(why, ERR_IO, "cannot listen on %s: %s", text,
                   strerrordesc_np(-failed));
}

/* Sharing a port means that a second process could share it too, and take half
 * the connections without a word.  So the address is first bound unshared,
 * which also turns port 0 into the one that all the listeners use. */
static enum err probe(struct crew *crew, const char *text, char *bound,
                      struct net_address *address, struct why *why)
{
    const struct net *net = crew->env->net;
    int handle = net->listen(net->context, address, 1, false, 0700);

    if (handle < 0) {
        return refuse_listen(why, text, handle);
    }
    enum err e =
        net->local_text(net->context, handle, bound, ADDRESS_TEXT_SIZE_MAX);

    net->unlisten(net->context, handle);
    return e != ERR_OK ? e : net->resolve(net->context, bound, address, why);
}

static enum err worker_listen(struct crew_worker *worker, const char *text,
                              const struct net_address *address, bool shared,
                              struct why *why)
{
    const struct crew_options *options = &worker->crew->options;
    const struct net *net = worker->crew->env->net;
    bool dealt = strncmp(text, "unix:", 5) == 0;
    int handle = net->listen(net->context, address, options->backlog, shared,
                             options->unix_mode);

    if (handle < 0) {
        return refuse_listen(why, text, handle);
    }
    listener_init(&worker->listeners[worker->listener_count++], worker->loop,
                  handle, handler_of(dealt), worker);
    return ERR_OK;
}

static enum err address_open(struct crew *crew, const char *text,
                             struct why *why)
{
    const struct net *net = crew->env->net;
    bool is_unix = strncmp(text, "unix:", 5) == 0;
    unsigned copies = is_unix ? 1 : crew->options.worker_count;
    char *bound = crew->texts[crew->addresses.count];
    struct net_address address;
    enum err e = net->resolve(net->context, text, &address, why);

    if (e == ERR_OK && copies > 1) {
        e = probe(crew, text, bound, &address, why);
    }
    for (unsigned i = 0; e == ERR_OK && i < copies; i++) {
        e = worker_listen(&crew->workers[i], text, &address, copies > 1, why);
    }
    if (e == ERR_OK) {
        struct crew_worker *first = &crew->workers[0];
        int handle = first->listeners[first->listener_count - 1].handle;

        e = net->local_text(net->context, handle, bound, ADDRESS_TEXT_SIZE_MAX);
        crew->addresses.at[crew->addresses.count++] = bound;
    }
    return e;
}

static enum err addresses_open(struct crew *crew,
                               const struct option_texts *listen,
                               struct why *why)
{
    enum err e = ERR_OK;

    if (listen->count > CREW_LISTENERS_MAX) {
        return err_why(why, ERR_LIMIT,
                       "%zu addresses to listen on; at most %d are possible",
                       listen->count, CREW_LISTENERS_MAX);
    }
    for (size_t i = 0; e == ERR_OK && i < listen->count; i++) {
        e = address_open(crew, listen->at[i], why);
    }
    return e;
}

static void listeners_close(struct crew_worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        listener_close(&worker->listeners[i]);
    }
}

static bool listeners_start(struct crew_worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (!listener_start(&worker->listeners[i])) {
            return false;
        }
    }
    return true;
}

/* --- threads --- */

/* Tells how beginning went; returns whether to run. */
static bool worker_report(struct crew *crew, enum err e)
{
    pthread_mutex_lock(&crew->mutex);
    crew->begun_count++;
    if (e != ERR_OK) {
        crew->begin_error = e;
    }
    pthread_cond_broadcast(&crew->changed);
    while (crew->phase == CREW_BEGINNING) {
        pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    bool run = crew->phase == CREW_RUNNING;

    pthread_mutex_unlock(&crew->mutex);
    return run;
}

/* Waits until every worker has come out of its loop: after that no worker
 * posts to another. */
static void worker_leave(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    crew->left_count++;
    pthread_cond_broadcast(&crew->changed);
    while (crew->left_count < crew->thread_count) {
        pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    pthread_mutex_unlock(&crew->mutex);
}

static void *worker_main(void *context)
{
    struct crew_worker *worker = context;
    struct crew *crew = worker->crew;
    const struct crew_handler *handler = crew->options.handler;
    enum err e = handler->begin(crew->options.context, worker->index,
                                worker->loop, worker->pool, &worker->role);
    bool has_begun = e == ERR_OK;

    if (has_begun && !listeners_start(worker)) {
        e = ERR_NOMEM;
    }
    if (worker_report(crew, e)) {
        loop_run(worker->loop);
    }
    worker_leave(crew);
    listeners_close(worker);
    loop_turn(worker->loop, 0); /* what the others have posted */
    conn_pool_destroy(&worker->pool);
    if (has_begun) {
        handler->end(worker->role);
    }
    return NULL;
}

static enum err thread_start(struct crew_worker *worker)
{
    char name[THREAD_NAME_SIZE_MAX];

    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
        return ERR_NOMEM;
    }
    (void)snprintf(name, sizeof name, "worker-%u", worker->index);
    (void)pthread_setname_np(worker->thread, name);
    return ERR_OK;
}

/* Starts the threads and waits for them to begin.  *out is set before they
 * run: their connections may ask for the crew. */
static enum err threads_start(struct crew *crew, struct crew **out)
{
    enum err e = ERR_OK;
    unsigned count = 0;

    while (e == ERR_OK && count < crew->options.worker_count) {
        e = thread_start(&crew->workers[count]);
        count += e == ERR_OK;
    }
    pthread_mutex_lock(&crew->mutex);
    crew->thread_count = count;
    while (crew->begun_count < count) {
        pthread_cond_wait(&crew->changed, &crew->mutex);
    }
    if (e == ERR_OK) {
        e = crew->begin_error;
    }
    if (e == ERR_OK) {
        *out = crew;
    }
    crew->phase = e == ERR_OK ? CREW_RUNNING : CREW_FAILED;
    pthread_cond_broadcast(&crew->changed);
    pthread_mutex_unlock(&crew->mutex);
    return e;
}

static void threads_join(struct crew *crew)
{
    for (unsigned i = 0; i < crew->thread_count; i++) {
        pthread_join(crew->workers[i].thread, NULL);
    }
}

/* --- the crew --- */

static enum err workers_create(struct crew *crew)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; e == ERR_OK && i < crew->options.worker_count; i++) {
        struct crew_worker *worker = &crew->workers[i];

        worker->crew = crew;
        worker->index = i;
        e = loop_create(&worker->loop, crew->env);
        if (e == ERR_OK) {
            e = conn_pool_create(&worker->pool, worker->loop,
                                 crew->options.buffer_limit);
        }
    }
    return e;
}

static void crew_free(struct crew *crew)
{
    const struct mem *mem = crew->env->mem;

    for (unsigned i = 0; i < crew->options.worker_count; i++) {
        struct crew_worker *worker = &crew->workers[i];

        listeners_close(worker);
        conn_pool_destroy(&worker->pool);
        loop_destroy(&worker->loop);
    }
    pthread_cond_destroy(&crew->changed);
    pthread_mutex_destroy(&crew->mutex);
    crew->magic = MAGIC_DEAD;
    mem_free(mem, crew->workers);
    mem_free(mem, crew);
}

static struct crew *crew_alloc(const struct env *env,
                               const struct crew_options *options)
{
    struct crew *crew = mem_alloc_zeroed(env->mem, sizeof *crew);

    if (crew == NULL) {
        return NULL;
    }
    crew->workers = mem_alloc_zeroed(env->mem, options->worker_count *
                                                   sizeof crew->workers[0]);
    if (crew->workers == NULL) {
        mem_free(env->mem, crew);
        return NULL;
    }
    crew->magic = CREW_MAGIC;
    crew->env = env;
    crew->options = *options;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->changed, NULL);
    return crew;
}

enum err crew_start(struct crew **out, const struct env *env,
                    const struct crew_options *options, struct why *why)
{
    if (options->worker_count < 1 || options->worker_count > CREW_WORKERS_MAX) {
        return err_why(why, ERR_LIMIT, "%u workers; 1 to %d are possible",
                       options->worker_count, CREW_WORKERS_MAX);
    }
    struct crew *crew = crew_alloc(env, options);

    if (crew == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the workers");
    }
    enum err e = workers_create(crew);

    if (e != ERR_OK) {
        (void)err_why(why, e, "cannot make an event loop: %s", err_text(e));
    } else {
        e = addresses_open(crew, &options->listen, why);
    }
    if (e == ERR_OK) {
        e = threads_start(crew, out);
        if (e != ERR_OK) {
            (void)err_why(why, e, "cannot start the workers: %s", err_text(e));
            threads_join(crew);
        }
    }
    if (e != ERR_OK) {
        crew_free(crew);
    }
    return e;
}

const struct option_texts *crew_addresses(const struct crew *crew)
{
    return &crew->addresses;
}

unsigned crew_worker_count(const struct crew *crew)
{
    return crew->options.worker_count;
}

/* --- control from outside --- */

/* One call in every worker's thread, and whoever waits for them. */
struct visits {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned left;
    void (*run)(void *context, struct crew_worker *worker);
    void *context;
};

struct visit {
    struct message message;
    struct visits *visits;
    struct crew_worker *worker;
};

static void visit_run(void *context)
{
    struct visit *visit = context;
    struct visits *visits = visit->visits;

    visits->run(visits->context, visit->worker);
    pthread_mutex_lock(&visits->mutex);
    visits->left--;
    if (visits->left == 0) {
        pthread_cond_signal(&visits->done);
    }
    pthread_mutex_unlock(&visits->mutex);
}

static void visit_all(struct crew *crew,
                      void (*run)(void *context, struct crew_worker *worker),
                      void *context)
{
    struct visit each[CREW_WORKERS_MAX];
    unsigned count = crew->options.worker_count;
    struct visits visits = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER,
                            .left = count,
                            .run = run,
                            .context = context};

    check(crew->magic == CREW_MAGIC);
    for (unsigned i = 0; i < count; i++) {
        check(!pthread_equal(pthread_self(), crew->workers[i].thread));
        each[i] = (struct visit){{.run = visit_run, .context = &each[i]},
                                 &visits,
                                 &crew->workers[i]};
        loop_post(crew->workers[i].loop, &each[i].message);
    }
    pthread_mutex_lock(&visits.mutex);
    while (visits.left > 0) {
        pthread_cond_wait(&visits.done, &visits.mutex);
    }
    pthread_mutex_unlock(&visits.mutex);
    pthread_cond_destroy(&visits.done);
    pthread_mutex_destroy(&visits.mutex);
}

struct crew_each {
    void (*run)(void *context, void *worker);
    void *context;
};

static void each_run(void *context, struct crew_worker *worker)
{
    struct crew_each *each = context;

    each->run(each->context, worker->role);
}

void crew_each(struct crew *crew, void (*run)(void *context, void *worker),
               void *context)
{
    struct crew_each each = {run, context};

    visit_all(crew, each_run, &each);
}

static void drain_run(void *context, struct crew_worker *worker)
{
    (void)context;
    worker->is_draining = true;
    listeners_close(worker);
    worker->crew->options.handler->drain(worker->role);
}

void crew_drain(struct crew *crew)
{
    visit_all(crew, drain_run, NULL);
}

void crew_stop(struct crew **out)
{
    struct crew *crew = *out;

    if (crew == NULL) {
        return;
    }
    check(crew->magic == CREW_MAGIC);
    for (unsigned i = 0; i < crew->options.worker_count; i++) {
        loop_stop(crew->workers[i].loop);
    }
    threads_join(crew);
    crew_free(crew);
    *out = NULL;
}

void crew_books(const struct crew *crew, struct crew_books *out)
{
    *out = (struct crew_books){
        .connections = atomic_load(&crew->connections),
        .connections_total = atomic_load(&crew->connections_total),
        .connections_rejected = atomic_load(&crew->connections_rejected),
        .accept_errors = atomic_load(&crew->accept_errors),
    };
    for (unsigned i = 0; i < crew->options.worker_count; i++) {
        struct conn_books books;

        conn_pool_books(crew->workers[i].pool, &books);
        out->bytes_read += books.bytes_read;
        out->bytes_written += books.bytes_written;
        out->buffer_bytes += books.buffer_bytes;
    }
}

uint64_t crew_connections(const struct crew *crew)
{
    return atomic_load(&crew->connections);
}

void crew_connection_ended(struct crew *crew, unsigned index)
{
    check(crew->magic == CREW_MAGIC && index < crew->options.worker_count);
    check(atomic_fetch_sub(&crew->connections, 1) > 0);
}
