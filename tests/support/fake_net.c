#include "support/fake_net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "support/fake_inside.h"

enum { FIRST_FREE_PORT = 40000 };

struct fake_socket *fake_socket_at(const struct fake_net *fake, int handle)
{
    check(handle >= 0 && (size_t)handle < fake->socket_count);
    check(fake->sockets[handle] != NULL);
    return fake->sockets[handle];
}

/* The lowest free number, as the kernel does: stale handles show early. */
static int socket_add(struct fake_net *fake, enum fake_kind kind)
{
    size_t slot = 0;

    while (slot < fake->socket_count && fake->sockets[slot] != NULL) {
        slot++;
    }
    if (slot == fake->socket_count) {
        size_t count = fake->socket_count == 0 ? 16 : fake->socket_count * 2;
        struct fake_socket **grown =
            mem_resize(fake->mem, fake->sockets, count * sizeof *grown);

        check(grown != NULL);
        memset(grown + fake->socket_count, 0,
               (count - fake->socket_count) * sizeof *grown);
        fake->sockets = grown;
        fake->socket_count = count;
    }
    fake->sockets[slot] = fake_socket_create(fake->mem, kind);
    return (int)slot;
}

static void socket_remove(struct fake_net *fake, int handle)
{
    fake_socket_destroy(fake->mem, fake->sockets[handle]);
    fake->sockets[handle] = NULL;
}

/* --- addresses --- */

static enum err fake_resolve(void *context, const char *text,
                             struct net_address *out, struct why *why)
{
    const char *colon = strrchr(text, ':');

    (void)context;
    memset(out, 0, sizeof *out);
    if (colon == NULL || strlen(text) + 2 > sizeof out->bytes) {
        return err_why(why, ERR_SYNTAX, "%s: not an address", text);
    }
    int size = snprintf((char *)out->bytes, sizeof out->bytes, "%s%s",
                        colon == text ? "*" : "", text);

    out->size = (uint32_t)size;
    return ERR_OK;
}

static const char *text_of(const struct net_address *address)
{
    return (const char *)address->bytes;
}

static enum err fake_local_text(void *context, int handle, char *out,
                                size_t size)
{
    const struct fake_socket *at = fake_socket_at(context, handle);
    int written = snprintf(out, size, "%s", at->text);

    return written >= 0 && (size_t)written < size ? ERR_OK : ERR_LIMIT;
}

/* "*:port" listens for every host. */
static bool listens_for(const struct fake_socket *at, const char *text)
{
    const char *port = strrchr(text, ':');

    if (at == NULL || at->kind != FAKE_LISTENER) {
        return false;
    }
    return strcmp(at->text, text) == 0 ||
           (at->text[0] == '*' && strcmp(at->text + 1, port) == 0);
}

static enum fake_mood mood_of(const struct fake_net *fake, const char *text)
{
    for (size_t i = 0; i < fake->mood_count; i++) {
        if (strcmp(fake->moods[i].text, text) == 0) {
            return fake->moods[i].mood;
        }
    }
    return FAKE_LISTENS;
}

/* --- listening and connecting --- */

static int fake_listen(void *context, const struct net_address *address,
                       int backlog, bool shared, unsigned unix_mode)
{
    struct fake_net *fake = context;
    const char *text = text_of(address);
    const char *port = strrchr(text, ':');

    (void)backlog;
    (void)unix_mode;
    for (size_t i = 0; i < fake->socket_count; i++) {
        const struct fake_socket *at = fake->sockets[i];

        if (at != NULL && at->kind == FAKE_LISTENER &&
            strcmp(at->text, text) == 0 && !(shared && at->is_shared)) {
            return -EADDRINUSE;
        }
    }
    int handle = socket_add(fake, FAKE_LISTENER);
    struct fake_socket *at = fake->sockets[handle];

    at->is_shared = shared;
    if (strcmp(port, ":0") == 0) {
        (void)snprintf(at->text, sizeof at->text, "%.*s:%u", (int)(port - text),
                       text, fake->next_port++);
    } else {
        (void)snprintf(at->text, sizeof at->text, "%s", text);
    }
    return handle;
}

/* Listeners on one address share its connections, as the seed says. */
static struct fake_socket *listener_find(struct fake_net *fake,
                                         const char *text)
{
    struct fake_socket *found = NULL;
    uint64_t count = 0;

    for (size_t i = 0; i < fake->socket_count; i++) {
        if (listens_for(fake->sockets[i], text) &&
            rand_below(&fake->rand, ++count) == 0) {
            found = fake->sockets[i];
        }
    }
    return found;
}

static int fake_connect(void *context, const struct net_address *address)
{
    struct fake_net *fake = context;
    const char *text = text_of(address);
    enum fake_mood mood = mood_of(fake, text);
    struct fake_socket *listener = listener_find(fake, text);
    int handle = socket_add(fake, FAKE_STREAM);
    struct fake_socket *at = fake->sockets[handle];

    (void)snprintf(at->text, sizeof at->text, "client:%d", handle);
    at->is_connecting = true;
    at->connected_ns =
        mood == FAKE_SILENT ? UINT64_MAX : fake->now_ns + fake_delay_ns(fake);
    if (mood == FAKE_REFUSES || (mood == FAKE_LISTENS && listener == NULL)) {
        at->error = ECONNREFUSED;
    } else if (mood == FAKE_LISTENS) {
        int other = socket_add(fake, FAKE_STREAM);
        struct fake_socket *served = fake->sockets[other];

        (void)snprintf(served->text, sizeof served->text, "%s", listener->text);
        fake_socket_join(at, served);
        fake_queue_push(fake->mem, listener, other);
    }
    return handle;
}

static int fake_connect_error(void *context, int handle)
{
    struct fake_socket *at = fake_socket_at(context, handle);

    at->is_connecting = false;
    return -at->error;
}

static int fake_accept(void *context, int listener)
{
    struct fake_net *fake = context;

    if (fake->accept_error != 0) {
        return -fake->accept_error;
    }
    return fake_queue_pop(fake_socket_at(fake, listener));
}

static void fake_close(void *context, int handle)
{
    struct fake_net *fake = context;
    struct fake_socket *at = fake_socket_at(fake, handle);
    int waiting;

    if (at->kind == FAKE_STREAM) {
        fake_socket_part(at);
    }
    while (at->kind == FAKE_LISTENER && (waiting = fake_queue_pop(at)) >= 0) {
        fake_socket_reset(fake->sockets[waiting]);
        fake_socket_part(fake->sockets[waiting]);
        socket_remove(fake, waiting);
    }
    socket_remove(fake, handle);
}

/* --- bytes --- */

static ssize_t fake_read(void *context, int handle, void *at, size_t size)
{
    struct fake_net *fake = context;

    fake->reads++;
    return fake_socket_read(fake_socket_at(fake, handle), at, size);
}

static ssize_t fake_write(void *context, int handle, const struct iovec *pieces,
                          int piece_count)
{
    struct fake_net *fake = context;
    struct fake_socket *at = fake_socket_at(fake, handle);
    size_t room = fake_socket_room(at, fake->options.window);
    ssize_t taken = 0;

    fake->writes++;
    if (at->error != 0 || at->other == NULL || at->is_finished) {
        return at->error != 0 ? -at->error : -EPIPE;
    }
    if (room == 0 || at->is_connecting) {
        return -EAGAIN;
    }
    /* One write in four is cut short, as by a full socket. */
    if (rand_below(&fake->rand, 4) == 0) {
        room = 1 + (size_t)rand_below(&fake->rand, room);
    }
    if (fake_socket_is_drained(at->other)) {
        at->other->next_ns = fake->now_ns + fake_delay_ns(fake);
    }
    check(piece_count <= NET_PIECES_MAX);
    for (int i = 0; i < piece_count && room > 0; i++) {
        size_t size = pieces[i].iov_len < room ? pieces[i].iov_len : room;

        fake_socket_put(fake->mem, at->other, pieces[i].iov_base, size);
        room -= size;
        taken += (ssize_t)size;
    }
    return taken;
}

uint64_t fake_net_next_ms(const struct fake_net *fake)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < fake->socket_count; i++) {
        const struct fake_socket *at = fake->sockets[i];

        if (at == NULL || at->is_held) {
            continue;
        }
        if (fake_socket_under_way(at) > 0 && at->next_ns < next_ns) {
            next_ns = at->next_ns;
        }
        if (at->is_connecting && at->connected_ns < next_ns) {
            next_ns = at->connected_ns;
        }
    }
    return next_ns == UINT64_MAX ? UINT64_MAX : (next_ns + 999999) / 1000000;
}

static void fake_finish(void *context, int handle)
{
    fake_net_finish(context, handle);
}

/* --- the fake --- */

struct fake_net *fake_net_create(const struct mem *mem,
                                 const struct fake_net_options *options)
{
    struct fake_net *fake = mem_alloc_zeroed(mem, sizeof *fake);

    check(fake != NULL);
    fake->mem = mem;
    fake->options = *options;
    if (fake->options.window == 0) {
        fake->options.window = 64 << 10;
    }
    rand_init(&fake->rand, options->seed);
    fake->now_ns = UINT64_C(1000000000);
    fake->next_port = FIRST_FREE_PORT;
    fake->table = (struct net){
        .context = fake,
        .resolve = fake_resolve,
        .local_text = fake_local_text,
        .listen = fake_listen,
        .unlisten = fake_close,
        .accept = fake_accept,
        .connect = fake_connect,
        .connect_error = fake_connect_error,
        .read = fake_read,
        .write = fake_write,
        .finish = fake_finish,
        .close = fake_close,
    };
    fake_poller_table(&fake->table);
    return fake;
}

void fake_net_destroy(struct fake_net **out)
{
    struct fake_net *fake = *out;

    check(fake_net_handles(fake) == 0);
    check(fake->poller_count == 0 && fake->watch_count == 0);
    mem_free(fake->mem, fake->sockets);
    mem_free(fake->mem, fake);
    *out = NULL;
}

static uint64_t fake_monotonic_ns(void *context)
{
    const struct fake_net *fake = context;

    return fake->now_ns;
}

static int64_t fake_wall_ms(void *context)
{
    return INT64_C(1700000000000) + (int64_t)fake_net_now_ms(context);
}

static void fake_sleep_ms(void *context, uint64_t duration_ms)
{
    fake_net_advance(context, duration_ms);
}

static void fake_random(void *context, void *out, size_t size)
{
    struct fake_net *fake = context;
    unsigned char *at = out;

    for (size_t i = 0; i < size; i++) {
        at[i] = (unsigned char)rand_u64(&fake->rand);
    }
}

void fake_net_env(struct fake_net *fake, const struct mem *mem, struct env *env)
{
    *env = (struct env){
        .context = fake,
        .monotonic_ns = fake_monotonic_ns,
        .wall_ms = fake_wall_ms,
        .sleep_ms = fake_sleep_ms,
        .random = fake_random,
        .mem = mem,
        .net = &fake->table,
    };
}

uint64_t fake_net_now_ms(const struct fake_net *fake)
{
    return fake->now_ns / 1000000;
}

void fake_net_advance(struct fake_net *fake, uint64_t duration_ms)
{
    fake->now_ns += duration_ms * 1000000;
}

void fake_net_mood(struct fake_net *fake, const char *text, enum fake_mood mood)
{
    size_t i = 0;

    while (i < fake->mood_count && strcmp(fake->moods[i].text, text) != 0) {
        i++;
    }
    check(i < FAKE_MOODS_MAX);
    if (i == fake->mood_count) {
        fake->mood_count++;
    }
    (void)snprintf(fake->moods[i].text, sizeof fake->moods[i].text, "%s", text);
    fake->moods[i].mood = mood;
}

void fake_net_reset(struct fake_net *fake, int handle)
{
    fake_socket_reset(fake_socket_at(fake, handle));
}

void fake_net_hold(struct fake_net *fake, int handle, bool hold)
{
    fake_socket_at(fake, handle)->is_held = hold;
}

void fake_net_finish(struct fake_net *fake, int handle)
{
    struct fake_socket *at = fake_socket_at(fake, handle);

    at->is_finished = true;
    if (at->other != NULL) {
        at->other->is_at_end = true;
    }
}

void fake_net_accept_error(struct fake_net *fake, int error)
{
    fake->accept_error = error;
}

size_t fake_net_handles(const struct fake_net *fake)
{
    size_t count = 0;

    for (size_t i = 0; i < fake->socket_count; i++) {
        count += fake->sockets[i] != NULL;
    }
    return count;
}

uint64_t fake_net_reads(const struct fake_net *fake)
{
    return fake->reads;
}

uint64_t fake_net_writes(const struct fake_net *fake)
{
    return fake->writes;
}

uint64_t fake_net_changes(const struct fake_net *fake)
{
    return fake->changes;
}
