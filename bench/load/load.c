/* load -- a closed-loop load generator for one figure: server CPU time per
 * request.
 *
 * Every connection keeps `pipeline` requests for random keys in flight and
 * checks each answer to the byte (a value repeats its key).  Each connection
 * draws from its own random sequence: one sequence for all would measure the
 * processor's cache.  With --server-pid it reads the server's CPU time before
 * and after.  Its output is `name value` lines for bench/compare.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/env.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/rand.h"
#include "base/slice.h"

enum {
    KEY_SIZE = 22, /* "key:" and 18 digits */
    PIPELINE_MAX = 1024,
    REQUEST_HEAD_MAX = 64, /* what a request adds to its value */
    ANSWER_HEAD_MAX = 64,
    EVENTS_MAX = 64,
};

enum verb { VERB_GET, VERB_SET, VERB_MULTIGET };

struct load_options {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);
#include "load/options.def"
#undef OPTION
};

static const struct option_spec specs[] = {
#define OPTION(kind, name, letter, preset, min, max, help)                 \
    OPTION_ROW_##kind(struct load_options, name, letter, preset, min, max, \
                      help),
#include "load/options.def"
#undef OPTION
};

static const struct option_table table = {
    .program = "load",
    .synopsis = "Keeps a memcached busy and says what a request cost it.\n\n"
                "  load -p 11211 --verb set --fill -P 64 -n 1000000\n"
                "  load -p 11211 -P 16 --server-pid $(pidof torc-shard)\n",
    .specs = specs,
    .spec_count = sizeof specs / sizeof specs[0],
};

/* One connection and its batch in flight. */
struct link {
    int handle;
    struct rand rand;
    char *out, *want, *got;
    size_t want_size, got_size;
};

struct load {
    struct load_options options;
    struct env env;
    enum verb verb;
    struct link *links;
    uint64_t sent, answered, wrong, fill_next;
    int epoll;
};

/* --- what is sent, and what must come back ----------------------------- */

static char *put(char *at, const char *text)
{
    size_t size = strlen(text);

    memcpy(at, text, size);
    return at + size;
}

static char *put_key(char *at, uint64_t number)
{
    memcpy(at, "key:", 4);
    for (int i = KEY_SIZE - 1; i >= 4; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + KEY_SIZE;
}

static char *put_value(const struct load *load, char *at, uint64_t number)
{
    memset(at, 'v', load->options.value_size);
    (void)put_key(at, number);
    return put(at + load->options.value_size, "\r\n");
}

static char *put_size_line(const struct load *load, char *at)
{
    at = put(at, " ");
    at += decimal_write(at, load->options.value_size);
    return put(at, "\r\n");
}

static char *put_hit(const struct load *load, char *at, uint64_t number)
{
    at = put_key(put(at, "VALUE "), number);
    at = put_size_line(load, put(at, " 0"));
    return put_value(load, at, number);
}

static uint64_t key_draw(struct load *load, struct link *link)
{
    if (load->options.fill) {
        return load->fill_next++ % load->options.keys;
    }
    return rand_below(&link->rand, load->options.keys);
}

static size_t batch_write(struct load *load, struct link *link)
{
    char *out = link->out, *want = link->want;
    bool multi = load->verb == VERB_MULTIGET;

    for (size_t i = 0; i < load->options.pipeline; i++) {
        uint64_t number = key_draw(load, link);

        if (load->verb == VERB_SET) {
            out = put_key(put(out, "set "), number);
            out = put_size_line(load, put(out, " 0 0"));
            out = put_value(load, out, number);
            want = put(want, "STORED\r\n");
            continue;
        }
        out = put_key(put(out, i == 0 || !multi ? "get " : " "), number);
        out = multi ? out : put(out, "\r\n");
        want = put_hit(load, want, number);
        want = multi ? want : put(want, "END\r\n");
    }
    if (multi) {
        out = put(out, "\r\n");
        want = put(want, "END\r\n");
    }
    link->want_size = (size_t)(want - link->want);
    return (size_t)(out - link->out);
}

/* --- the loop ---------------------------------------------------------- */

static bool write_all(int handle, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(handle, at, size, MSG_NOSIGNAL);

        if (sent < 0) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool batch_send(struct load *load, struct link *link)
{
    size_t size = batch_write(load, link);

    link->got_size = 0;
    load->sent += load->options.pipeline;
    if (!write_all(link->handle, link->out, size)) {
        perror("load: cannot send");
        return false;
    }
    return true;
}

/* False: the server is gone.  A wrong answer is counted, and its connection
 * gets no more requests, for what follows on it cannot be told apart. */
static bool link_ready(struct load *load, struct link *link)
{
    ssize_t size = read(link->handle, link->got + link->got_size,
                        link->want_size - link->got_size);

    if (size <= 0) {
        fprintf(stderr, "load: the server closed a connection\n");
        return false;
    }
    link->got_size += (size_t)size;
    if (memcmp(link->got, link->want, link->got_size) != 0) {
        fprintf(stderr, "load: wrong answer: %.*s...\n",
                (int)(link->got_size < 60 ? link->got_size : 60), link->got);
        load->wrong++;
        return false;
    }
    if (link->got_size < link->want_size) {
        return true;
    }
    load->answered += load->options.pipeline;
    return load->sent >= load->options.requests || batch_send(load, link);
}

static bool load_run(struct load *load)
{
    struct epoll_event events[EVENTS_MAX];

    for (size_t i = 0; i < load->options.connections; i++) {
        if (!batch_send(load, &load->links[i])) {
            return false;
        }
    }
    while (load->answered < load->sent) {
        int count = epoll_wait(load->epoll, events, EVENTS_MAX, 5000);

        if (count <= 0) {
            fprintf(stderr, "load: no answer within 5 seconds\n");
            return false;
        }
        for (int i = 0; i < count; i++) {
            if (!link_ready(load, events[i].data.ptr)) {
                return false;
            }
        }
    }
    return true;
}

/* --- setting up -------------------------------------------------------- */

static bool link_open(struct load *load, struct link *link, uint64_t seed)
{
    const struct mem *mem = load->env.mem;
    size_t pipeline = load->options.pipeline;
    size_t size = load->options.value_size;
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)load->options.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    int one = 1;

    rand_init(&link->rand, seed);
    link->out = mem_alloc(mem, pipeline * (size + REQUEST_HEAD_MAX));
    link->want = mem_alloc(mem, pipeline * (size + ANSWER_HEAD_MAX));
    link->got = mem_alloc(mem, pipeline * (size + ANSWER_HEAD_MAX));
    link->handle = socket(AF_INET, SOCK_STREAM, 0);
    if (link->out == NULL || link->want == NULL || link->got == NULL ||
        connect(link->handle, (struct sockaddr *)&where, sizeof where) != 0) {
        fprintf(stderr, "load: cannot connect to 127.0.0.1:%llu: %s\n",
                (unsigned long long)load->options.port, strerror(errno));
        return false;
    }
    (void)setsockopt(link->handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, link->handle, &event) == 0;
}

static bool verb_find(const char *name, enum verb *out)
{
    static const char *const names[] = {
        [VERB_GET] = "get", [VERB_SET] = "set", [VERB_MULTIGET] = "multiget"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum verb)i;
            return true;
        }
    }
    fprintf(stderr, "load: --verb %s: must be get, set or multiget\n", name);
    return false;
}

static bool load_open(struct load *load)
{
    size_t count = load->options.connections;

    load->epoll = epoll_create1(0);
    load->links =
        mem_alloc_zeroed(load->env.mem, count * sizeof load->links[0]);
    for (size_t i = 0; load->links != NULL && i < count; i++) {
        if (!link_open(load, &load->links[i],
                       load->options.seed * 1000003 + i)) {
            return false;
        }
    }
    return load->links != NULL && load->epoll >= 0;
}

/* --- measuring --------------------------------------------------------- */

/* User and system time of a process so far, in microseconds. */
static uint64_t server_cpu_us(uint64_t pid)
{
    char path[64], line[1024];
    unsigned long long user, system;

    (void)snprintf(path, sizeof path, "/proc/%llu/stat",
                   (unsigned long long)pid);
    FILE *file = pid != 0 ? fopen(path, "r") : NULL;

    if (file == NULL) {
        return 0;
    }
    size_t size = fread(line, 1, sizeof line - 1, file);

    (void)fclose(file);
    line[size] = '\0';
    /* The name in brackets may hold blanks; utime and stime are the 12th and
     * 13th fields after it. */
    const char *rest = strrchr(line, ')');

    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2) {
        return 0;
    }
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void report(const struct load *load, uint64_t wall_ns, uint64_t cpu_us)
{
    double seconds = (double)wall_ns / 1e9;

    printf("requests %llu\n", (unsigned long long)load->answered);
    printf("wrong %llu\n", (unsigned long long)load->wrong);
    printf("seconds %.3f\n", seconds);
    printf("requests_per_s %.0f\n", (double)load->answered / seconds);
    printf("server_cpu_us_per_request %.4f\n",
           (double)cpu_us / (double)load->answered);
}

int main(int argc, char **argv)
{
    struct load load = {0};
    struct why why = {0}, notice = {0};

    env_system(&load.env);
    switch (
        option_parse(&table, &load.options, argc, argv, NULL, &why, &notice)) {
    case OPTION_PARSED: break;
    case OPTION_REFUSED: fprintf(stderr, "load: %s\n", why.text); return 2;
    default: option_help(&table, stdout); return 0;
    }
    if (!verb_find(load.options.verb, &load.verb) || !load_open(&load)) {
        return 2;
    }
    uint64_t cpu_us = server_cpu_us(load.options.server_pid);
    uint64_t begin_ns = load.env.monotonic_ns(load.env.context);

    if (!load_run(&load)) {
        return 1;
    }
    uint64_t wall_ns = load.env.monotonic_ns(load.env.context) - begin_ns;

    report(&load, wall_ns, server_cpu_us(load.options.server_pid) - cpu_us);
    return 0;
}
