/* How connections come to the workers of a crew. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/crew_internal.h"

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
        net->local_text(net->context, handle, bound, CREW_ADDRESS_SIZE_MAX);

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

        e = net->local_text(net->context, handle, bound, CREW_ADDRESS_SIZE_MAX);
        crew->addresses.at[crew->addresses.count++] = bound;
    }
    return e;
}

enum err crew_listen(struct crew *crew, const struct option_texts *listen,
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

void crew_listeners_close(struct crew_worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        listener_close(&worker->listeners[i]);
    }
}

bool crew_listeners_start(struct crew_worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (!listener_start(&worker->listeners[i])) {
            return false;
        }
    }
    return true;
}
