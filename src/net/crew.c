#include "net/crew.h"

#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/crew_internal.h"
#include "net/thread.h"

enum { THREAD_NAME_SIZE_MAX = 16 };

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

    thread_signals_block();
    enum err e = handler->begin(crew->options.context, worker->index,
                                worker->loop, worker->pool, &worker->role);
    bool has_begun = e == ERR_OK;

    if (has_begun && !crew_listeners_start(worker)) {
        e = ERR_NOMEM;
    }
    if (worker_report(crew, e)) {
        loop_run(worker->loop);
    }
    worker_leave(crew);
    crew_listeners_close(worker);
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

        crew_listeners_close(worker);
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
        e = crew_listen(crew, &options->listen, why);
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
    crew_listeners_close(worker);
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
