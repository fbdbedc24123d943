#include "ctl/demo_traffic.h"

#include <pthread.h>
#include <time.h>

#include "base/mem.h"
#include "ctl/client.h"
#include "ctl/demo_batch.h"

struct worker {
    struct demo_traffic *traffic;
    pthread_t thread;
    bool started;
    struct batch batch;
};

struct demo_traffic {
    const struct env *env;
    const char *address;
    struct demo_ledger *ledger;
    atomic_bool stopping;
    struct worker workers[DEMO_CONNECTIONS];
};

static void pause_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&time, NULL);
}

static enum err worker_turn(struct worker *worker, struct client **client,
                            struct why *why)
{
    struct batch *batch = &worker->batch;
    enum err e = ERR_OK;

    if (*client == NULL) {
        e = client_open(client, worker->traffic->env, worker->traffic->address,
                        DEMO_TIMEOUT_MS, why);
    }
    if (e != ERR_OK) {
        return e;
    }
    batch_build(batch);
    e = client_send(*client, (struct slice){batch->bytes, batch->size}, why);
    return e == ERR_OK ? batch_answers(batch, *client, why) : e;
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct client *client = NULL;

    while (!atomic_load(&worker->traffic->stopping)) {
        struct why why = {""};

        if (worker_turn(worker, &client, &why) != ERR_OK) {
            batch_trouble(&worker->batch, why.text);
            metric_add(&worker->batch.counts.errors, 1);
            client_close(&client);
            pause_ms(50);
        }
    }
    client_close(&client);
    return NULL;
}

enum err demo_traffic_start(struct demo_traffic **out, const struct env *env,
                            const char *address)
{
    struct demo_traffic *traffic = mem_alloc_zeroed(env->mem, sizeof *traffic);

    if (traffic == NULL) {
        return ERR_NOMEM;
    }
    traffic->env = env;
    traffic->address = address;
    if (demo_ledger_create(env->mem, DEMO_KEYS, &traffic->ledger) != ERR_OK) {
        demo_traffic_destroy(&traffic);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < DEMO_CONNECTIONS; i++) {
        struct worker *worker = &traffic->workers[i];

        worker->traffic = traffic;
        batch_init(&worker->batch, traffic->ledger, i);
        worker->started =
            pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
        if (!worker->started) {
            demo_traffic_destroy(&traffic);
            return ERR_LIMIT;
        }
    }
    *out = traffic;
    return ERR_OK;
}

void demo_traffic_counts(const struct demo_traffic *traffic,
                         struct demo_counts *out)
{
    *out = (struct demo_counts){0};
    for (size_t i = 0; i < DEMO_CONNECTIONS; i++) {
        const struct batch *batch = &traffic->workers[i].batch;

#define COUNTER(name) out->name += metric_get(&batch->counts.name);
        DEMO_COUNTERS(COUNTER)
#undef COUNTER
    }
}

void demo_traffic_stop(struct demo_traffic *traffic)
{
    atomic_store(&traffic->stopping, true);
    for (size_t i = 0; i < DEMO_CONNECTIONS; i++) {
        struct worker *worker = &traffic->workers[i];

        if (worker->started) {
            (void)pthread_join(worker->thread, NULL);
            worker->started = false;
        }
    }
}

const char *demo_traffic_trouble(const struct demo_traffic *traffic)
{
    for (size_t i = 0; i < DEMO_CONNECTIONS; i++) {
        const char *words = traffic->workers[i].batch.trouble.text;

        if (words[0] != '\0') {
            return words;
        }
    }
    return "";
}

void demo_traffic_destroy(struct demo_traffic **traffic)
{
    if (*traffic == NULL) {
        return;
    }
    demo_traffic_stop(*traffic);
    demo_ledger_destroy(&(*traffic)->ledger);
    mem_free((*traffic)->env->mem, *traffic);
    *traffic = NULL;
}
