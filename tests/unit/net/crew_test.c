/* A crew of real threads on real sockets: limits, refusals, the shutdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/crew.h"
#include "support/patience.h"

enum { WORKERS_MAX = 4, CLIENTS_MAX = 64 };

/* An echo server on a crew. */
struct role {
    struct env env;
    struct crew *crew;
    struct crew_options options;
    struct role_worker {
        struct role *role;
        unsigned index;
        pthread_t thread;
        struct conn_pool *pool;
        atomic_uint accepted, drained, ended;
    } workers[WORKERS_MAX];
    unsigned fail_begin; /* index + 1 of the worker that cannot begin */
    atomic_uint begun;
};

static void session_input(void *owner, struct conn *conn)
{
    struct role_worker *worker = owner;

    check(pthread_equal(pthread_self(), worker->thread));
    (void)conn_append(conn, conn_input(conn));
    conn_consume(conn, conn_input(conn).size);
}

static void session_ended(void *owner, struct conn *conn, enum conn_end why)
{
    struct role_worker *worker = owner;

    (void)conn;
    (void)why;
    crew_connection_ended(worker->role->crew, worker->index);
}

static const struct conn_handler session_handler = {.input = session_input,
                                                    .ended = session_ended};

static enum err on_begin(void *context, unsigned index, struct loop *loop,
                         struct conn_pool *pool, void **out)
{
    struct role *role = context;
    struct role_worker *worker = &role->workers[index];

    (void)loop;
    if (role->fail_begin == index + 1) {
        return ERR_REFUSED;
    }
    worker->role = role;
    worker->index = index;
    worker->thread = pthread_self();
    worker->pool = pool;
    atomic_fetch_add(&role->begun, 1);
    *out = worker;
    return ERR_OK;
}

static void on_accepted(void *context, int handle)
{
    struct role_worker *worker = context;
    const struct conn_options options = {.handler = &session_handler,
                                         .owner = worker};
    struct conn *conn;

    check(pthread_equal(pthread_self(), worker->thread));
    atomic_fetch_add(&worker->accepted, 1);
    if (conn_create(&conn, worker->pool, handle, &options) != ERR_OK) {
        crew_connection_ended(worker->role->crew, worker->index);
    }
}

static void drain_one(void *context, struct conn *conn)
{
    (void)context;
    conn_close(conn);
}

static void on_drain(void *context)
{
    struct role_worker *worker = context;

    check(pthread_equal(pthread_self(), worker->thread));
    atomic_fetch_add(&worker->drained, 1);
    conn_pool_each(worker->pool, drain_one, NULL);
}

static void on_end(void *context)
{
    struct role_worker *worker = context;

    check(pthread_equal(pthread_self(), worker->thread));
    atomic_fetch_add(&worker->ended, 1);
}

static const struct crew_handler role_handler = {on_begin, on_accepted,
                                                 on_drain, on_end};

static int setup(void **state)
{
    struct role *role = mem_alloc_zeroed(mem_system(), sizeof *role);

    env_system(&role->env);
    role->env.net = net_system();
    role->options = (struct crew_options){
        .handler = &role_handler,
        .context = role,
        .worker_count = 2,
        .listen = {.at = {"127.0.0.1:0"}, .count = 1},
        .unix_mode = 0700,
        .backlog = 128,
        .refusal = SLICE("too many\r\n"),
        .buffer_limit = 1 << 20,
    };
    *state = role;
    return 0;
}

static int teardown(void **state)
{
    struct role *role = *state;

    crew_stop(&role->crew);
    assert_null(role->crew);
    mem_free(mem_system(), role);
    return 0;
}

static void start(struct role *role)
{
    struct why why = {"no reason given"};

    if (crew_start(&role->crew, &role->env, &role->options, &why) != ERR_OK) {
        fail_msg("%s", why.text);
    }
}

/* --- clients --- */

static int client_open(const char *text)
{
    const struct net *net = net_system();
    struct net_address address;

    assert_int_equal(net->resolve(NULL, text, &address, NULL), ERR_OK);
    return net->connect(NULL, &address);
}

static int client_new(const struct role *role, size_t address)
{
    int fd = client_open(crew_addresses(role->crew)->at[address]);

    assert_true(fd >= 0);
    return fd;
}

/* What comes within PATIENCE_MS; 0: end of stream, or a reset. */
static size_t client_read(int fd, char *out, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    ssize_t got = read(fd, out, size);

    return got < 0 ? 0 : (size_t)got;
}

static void client_write(int fd, const char *text)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void client_check(int fd)
{
    char answer[16];

    client_write(fd, "ping");
    assert_int_equal(client_read(fd, answer, sizeof answer), 4);
    assert_memory_equal(answer, "ping", 4);
}

static void path_make(char *out, size_t size, const char *name)
{
    (void)snprintf(out, size, "unix:/tmp/torc-crew-%d-%s", (int)getpid(), name);
}

static struct crew_books books_of(const struct role *role)
{
    struct crew_books books;

    crew_books(role->crew, &books);
    return books;
}

/* --- serving --- */

static void every_worker_serves_one_port(void **state)
{
    struct role *role = *state;
    int clients[CLIENTS_MAX];

    start(role);
    assert_int_equal(crew_addresses(role->crew)->count, 1);
    assert_string_not_equal(strrchr(crew_addresses(role->crew)->at[0], ':'),
                            ":0");
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        clients[i] = client_new(role, 0);
        client_check(clients[i]);
    }
    /* 64 connections all to one of two listeners: once in 2^63 runs. */
    assert_true(atomic_load(&role->workers[0].accepted) > 0);
    assert_true(atomic_load(&role->workers[1].accepted) > 0);
    assert_int_equal(crew_connections(role->crew), CLIENTS_MAX);

    /* A worker counts what it has written a moment after the client has it. */
    assert_true(eventually(books_of(role).bytes_written == 4 * CLIENTS_MAX));
    assert_int_equal(books_of(role).bytes_read, 4 * CLIENTS_MAX);
    assert_int_equal(books_of(role).connections_total, CLIENTS_MAX);
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        close(clients[i]);
    }
    assert_true(eventually(crew_connections(role->crew) == 0));
}

static void a_unix_socket_deals_its_connections_out_in_turn(void **state)
{
    struct role *role = *state;
    char path[64];
    int clients[12];
    struct stat file;

    path_make(path, sizeof path, "deal");
    role->options.worker_count = 3;
    role->options.listen.at[1] = path;
    role->options.listen.count = 2;
    role->options.unix_mode = 0640;
    start(role);
    assert_string_equal(crew_addresses(role->crew)->at[1], path);
    assert_int_equal(stat(path + 5, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0640);
    for (size_t i = 0; i < 12; i++) {
        clients[i] = client_new(role, 1);
        client_check(clients[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&role->workers[i].accepted), 4);
    }
    int tcp = client_new(role, 0);

    client_check(tcp);
    close(tcp);
    for (size_t i = 0; i < 12; i++) {
        close(clients[i]);
    }
    crew_stop(&role->crew);
    assert_int_equal(stat(path + 5, &file), -1);
}

static void every_address_of_the_machine_is_the_preset_host(void **state)
{
    struct role *role = *state;
    char text[64];

    role->options.listen.at[0] = "*:0";
    start(role);
    const char *port = strrchr(crew_addresses(role->crew)->at[0], ':');

    (void)snprintf(text, sizeof text, "127.0.0.1%s", port);
    int fd = client_open(text);

    client_check(fd);
    close(fd);
    (void)snprintf(text, sizeof text, "localhost%s", port);
    fd = client_open(text);
    client_check(fd);
    close(fd);
}

/* --- limits --- */

static void a_connection_over_the_limit_is_told_and_closed(void **state)
{
    struct role *role = *state;
    char path[64];
    int clients[4];

    path_make(path, sizeof path, "limit");
    role->options.connection_limit = 4;
    role->options.listen.at[1] = path;
    role->options.listen.count = 2;
    start(role);
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_new(role, i % 2);
        client_check(clients[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        char answer[32];
        int refused = client_new(role, i % 2);

        assert_int_equal(client_read(refused, answer, sizeof answer), 10);
        assert_memory_equal(answer, "too many\r\n", 10);
        assert_int_equal(client_read(refused, answer, sizeof answer), 0);
        close(refused);
    }
    assert_int_equal(books_of(role).connections, 4);
    assert_int_equal(books_of(role).connections_rejected, 6);
    assert_int_equal(books_of(role).connections_total, 4);
    close(clients[0]);
    assert_true(eventually(crew_connections(role->crew) == 3));
    clients[0] = client_new(role, 0);
    for (size_t i = 0; i < 4; i++) {
        client_check(clients[i]);
        close(clients[i]);
    }
}

static int64_t cpu_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static void nap_ms(int duration_ms)
{
    for (int i = 0; i < duration_ms; i++) {
        patience_nap();
    }
}

static void want_of_descriptors_is_waited_out_without_spinning(void **state)
{
    struct role *role = *state;
    struct rlimit before;
    struct rlimit tight;
    int first;
    int second;

    role->options.worker_count = 1;
    start(role);
    first = client_new(role, 0);
    client_check(first);
    second = dup(first);
    /* The client's own handle is open; there is none for the other end. */
    close(second);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)second + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    second = client_new(role, 0);
    assert_true(eventually(books_of(role).accept_errors > 0));
    int64_t begin_ms = cpu_ms();

    nap_ms(400);
    assert_in_range(books_of(role).accept_errors, 2, 8);
    assert_true(cpu_ms() - begin_ms < 200);
    client_check(first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    /* The one that waited is served now. */
    client_check(second);
    close(first);
    close(second);
}

/* --- control --- */

struct tally {
    atomic_uint runs;
    atomic_uint indexes; /* a bit for each worker */
};

static void tally_run(void *context, void *context_worker)
{
    struct tally *tally = context;
    const struct role_worker *worker = context_worker;

    check(pthread_equal(pthread_self(), worker->thread));
    atomic_fetch_add(&tally->runs, 1);
    atomic_fetch_or(&tally->indexes, 1U << worker->index);
}

static void each_runs_once_in_every_worker_before_it_returns(void **state)
{
    struct role *role = *state;
    struct tally tally = {0};

    role->options.worker_count = 4;
    start(role);
    for (unsigned i = 1; i <= 50; i++) {
        crew_each(role->crew, tally_run, &tally);
        assert_int_equal(atomic_load(&tally.runs), 4 * i);
    }
    assert_int_equal(atomic_load(&tally.indexes), 15);
}

static void a_drain_closes_the_listeners_and_asks_every_worker(void **state)
{
    struct role *role = *state;
    char path[64];
    char byte;
    struct stat file;

    path_make(path, sizeof path, "drain");
    role->options.listen.at[1] = path;
    role->options.listen.count = 2;
    start(role);
    int tcp = client_new(role, 0);
    int local = client_new(role, 1);

    client_check(tcp);
    client_check(local);
    crew_drain(role->crew);
    assert_int_equal(atomic_load(&role->workers[0].drained), 1);
    assert_int_equal(atomic_load(&role->workers[1].drained), 1);
    assert_int_equal(client_read(tcp, &byte, 1), 0);
    assert_int_equal(client_read(local, &byte, 1), 0);
    assert_true(eventually(crew_connections(role->crew) == 0));
    assert_int_equal(stat(path + 5, &file), -1);
    int late = client_open(crew_addresses(role->crew)->at[0]);
    struct pollfd ready = {.fd = late, .events = POLLOUT};

    if (late >= 0) {
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        assert_int_equal(net_system()->connect_error(NULL, late),
                         -ECONNREFUSED);
        close(late);
    }
    close(tcp);
    close(local);
}

static void stopping_ends_open_connections_and_every_worker(void **state)
{
    struct role *role = *state;
    int clients[8];
    char byte;

    start(role);
    for (size_t i = 0; i < 8; i++) {
        clients[i] = client_new(role, 0);
        client_check(clients[i]);
    }
    crew_stop(&role->crew);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(client_read(clients[i], &byte, 1), 0);
        close(clients[i]);
    }
    assert_int_equal(atomic_load(&role->workers[0].ended), 1);
    assert_int_equal(atomic_load(&role->workers[1].ended), 1);
}

/* --- refusals --- */

static void refused(struct role *role, enum err wanted, const char *words)
{
    struct why why = {""};

    assert_int_equal(crew_start(&role->crew, &role->env, &role->options, &why),
                     wanted);
    assert_null(role->crew);
    if (strstr(why.text, words) == NULL) {
        fail_msg("'%s' does not say '%s'", why.text, words);
    }
}

static void a_worker_that_cannot_begin_ends_the_start(void **state)
{
    struct role *role = *state;

    role->options.worker_count = 3;
    role->fail_begin = 2;
    refused(role, ERR_REFUSED, "start");
    assert_int_equal(atomic_load(&role->begun), 2);
    assert_int_equal(atomic_load(&role->workers[0].ended), 1);
    assert_int_equal(atomic_load(&role->workers[1].ended), 0);
    assert_int_equal(atomic_load(&role->workers[2].ended), 1);
}

static void an_address_in_use_is_refused_however_it_is_shared(void **state)
{
    struct role *role = *state;
    struct role *other;
    void *second = NULL;

    start(role);
    setup(&second);
    other = second;
    other->options.listen.at[0] = crew_addresses(role->crew)->at[0];
    refused(other, ERR_IO, crew_addresses(role->crew)->at[0]);
    other->options.worker_count = 1;
    refused(other, ERR_IO, "in use");
    teardown(&second);
}

static void an_address_that_makes_no_sense_is_named(void **state)
{
    struct role *role = *state;

    role->options.listen.at[0] = "127.0.0.1:65536";
    refused(role, ERR_SYNTAX, "127.0.0.1:65536");
    role->options.listen.at[0] = "unix:/no/such/folder/socket";
    refused(role, ERR_IO, "/no/such/folder");
    role->options.listen.count = CREW_LISTENERS_MAX + 1;
    refused(role, ERR_LIMIT, "17");
}

int main(void)
{
#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON(every_worker_serves_one_port),
        ON(a_unix_socket_deals_its_connections_out_in_turn),
        ON(every_address_of_the_machine_is_the_preset_host),
        ON(a_connection_over_the_limit_is_told_and_closed),
        ON(want_of_descriptors_is_waited_out_without_spinning),
        ON(each_runs_once_in_every_worker_before_it_returns),
        ON(a_drain_closes_the_listeners_and_asks_every_worker),
        ON(stopping_ends_open_connections_and_every_worker),
        ON(a_worker_that_cannot_begin_ends_the_start),
        ON(an_address_in_use_is_refused_however_it_is_shared),
        ON(an_address_that_makes_no_sense_is_named),
    };
#undef ON

    return cmocka_run_group_tests(tests, NULL, NULL);
}
