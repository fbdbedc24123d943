/* drive_session.c -- one connection of the driver: what it asks, and whether
 * it can believe the answers. */
#include "support/drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* What is known of a key. */
struct key {
    uint32_t sent;  /* the last version sent */
    uint32_t floor; /* the last one acknowledged: none older may be read */
    uint32_t token_version;
    uint64_t token; /* CAS id of token_version; 0: none */
};

struct flight {
    enum drive_kind kind;
    uint32_t key;     /* index into keys */
    uint32_t version; /* writes: theirs; reads: the last sent before them */
    uint64_t at_ns;
};

struct drive_session {
    const struct mem *mem;
    const struct drive_plan *plan;
    const struct drive_zipf *zipf;
    struct drive_books *books;
    int handle;
    unsigned index;
    struct rand rand;
    struct key *keys;

    struct flight flights[DRIVE_DEPTH_MAX];
    uint64_t flights_begin, flights_end; /* only rise */
    uint32_t fill_key;                   /* read-through: to be set next */
    bool fill_is_due;

    char *output;
    size_t output_begin, output_end, output_size;
    char input[DRIVE_INPUT_SIZE];
    size_t input_size;
    char scratch[DRIVE_VALUE_SIZE_MAX];
};

static int connect_to(const struct drive_plan *plan)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)plan->port)};
    int one = 1;
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (handle < 0) {
        return -1;
    }
    if (inet_pton(AF_INET, plan->host, &address.sin_addr) != 1 ||
        connect(handle, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)fprintf(stderr, "drive: no connection to %s:%llu\n", plan->host,
                      (unsigned long long)plan->port);
        (void)close(handle);
        return -1;
    }
    (void)setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return handle;
}

struct drive_session *drive_session_create(const struct mem *mem,
                                           const struct drive_plan *plan,
                                           const struct drive_zipf *zipf,
                                           struct drive_books *books,
                                           unsigned index)
{
    struct drive_session *s = mem_alloc_zeroed(mem, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->mem = mem;
    s->plan = plan;
    s->zipf = zipf;
    s->books = books;
    s->index = index;
    s->output_size = plan->depth * (plan->value_size * 2 + 400);
    s->keys = mem_alloc_zeroed(mem, zipf->count * sizeof *s->keys);
    s->output = mem_alloc(mem, s->output_size);
    s->handle = connect_to(plan);
    rand_init(&s->rand, plan->seed * 1000 + index);
    if (s->keys == NULL || s->output == NULL || s->handle < 0) {
        drive_session_destroy(&s);
    }
    return s;
}

void drive_session_destroy(struct drive_session **session)
{
    struct drive_session *s = *session;

    if (s == NULL) {
        return;
    }
    if (s->handle >= 0) {
        (void)close(s->handle);
    }
    mem_free(s->mem, s->keys);
    mem_free(s->mem, s->output);
    mem_free(s->mem, s);
    *session = NULL;
}

int drive_session_handle(const struct drive_session *session)
{
    return session->handle;
}

bool drive_session_is_idle(const struct drive_session *session)
{
    return session->flights_begin == session->flights_end;
}

bool drive_session_wants_to_write(const struct drive_session *session)
{
    return session->output_begin < session->output_end;
}

static uint64_t key_number(const struct drive_session *s, uint32_t key)
{
    return key * s->plan->connections + s->index;
}

static void complain(struct drive_session *s, const struct flight *flight,
                     const char *what, struct slice got)
{
    char name[DRIVE_KEY_SIZE_MAX];

    if (s->books->complaints++ >= DRIVE_COMPLAINTS_MAX) {
        return;
    }
    const struct key *key = &s->keys[flight->key];
    size_t size = drive_key(s->plan, key_number(s, flight->key), name);

    (void)fprintf(stderr,
                  "drive: key %.*s, request %d: %s: %.*s "
                  "(versions: floor %u, this %u, sent %u)\n",
                  (int)size, name, (int)flight->kind, what,
                  (int)(got.size < 80 ? got.size : 80), got.at, key->floor,
                  flight->version, key->sent);
}

static void wrong(struct drive_session *s, const struct flight *flight,
                  const char *what, struct slice got)
{
    s->books->wrong++;
    complain(s, flight, what, got);
}

/* ---- asking ---- */

static enum drive_kind kind_draw(struct drive_session *s)
{
    double left = rand_unit(&s->rand);

    for (int kind = 0; kind < DRIVE_KIND_COUNT; kind++) {
        left -= s->plan->share[kind];
        if (left < 0) {
            return (enum drive_kind)kind;
        }
    }
    return DRIVE_GET;
}

static bool kind_stores(enum drive_kind kind)
{
    return kind == DRIVE_SET || kind == DRIVE_ADD || kind == DRIVE_CAS;
}

static void output_add(struct drive_session *s, const char *at, size_t size)
{
    check(size <= s->output_size - s->output_end);
    memcpy(s->output + s->output_end, at, size);
    s->output_end += size;
}

static void output_word(struct drive_session *s, const char *word)
{
    output_add(s, word, strlen(word));
}

static void output_store(struct drive_session *s, const struct flight *flight)
{
    char words[64];
    size_t size = drive_value(s->plan, key_number(s, flight->key),
                              flight->version, s->scratch);

    if (flight->kind == DRIVE_CAS) {
        (void)snprintf(words, sizeof words, " 0 0 %zu %llu\r\n", size,
                       (unsigned long long)s->keys[flight->key].token);
    } else {
        (void)snprintf(words, sizeof words, " 0 0 %zu\r\n", size);
    }
    output_word(s, words);
    output_add(s, s->scratch, size);
    output_word(s, "\r\n");
}

static void output_request(struct drive_session *s, const struct flight *flight)
{
    static const char *const verbs[DRIVE_KIND_COUNT] = {
        [DRIVE_GET] = "get ", [DRIVE_GETS] = "gets ",
        [DRIVE_SET] = "set ", [DRIVE_ADD] = "add ",
        [DRIVE_CAS] = "cas ", [DRIVE_DELETE] = "delete "};
    char name[DRIVE_KEY_SIZE_MAX];

    output_word(s, verbs[flight->kind]);
    output_add(s, name, drive_key(s->plan, key_number(s, flight->key), name));
    if (kind_stores(flight->kind)) {
        output_store(s, flight);
    } else {
        output_word(s, "\r\n");
    }
}

/* A cas needs an id that gets gave: without one it is that gets. */
static void issue_one(struct drive_session *s, uint64_t now_ns)
{
    struct flight *flight = &s->flights[s->flights_end++ % DRIVE_DEPTH_MAX];

    flight->kind = kind_draw(s);
    flight->key = (uint32_t)drive_zipf_draw(s->zipf, &s->rand);
    flight->at_ns = now_ns;
    if (s->fill_is_due) {
        s->fill_is_due = false;
        flight->kind = DRIVE_SET;
        flight->key = s->fill_key;
    }
    struct key *key = &s->keys[flight->key];

    if (flight->kind == DRIVE_CAS && key->token == 0) {
        flight->kind = DRIVE_GETS;
    }
    if (kind_stores(flight->kind) || flight->kind == DRIVE_DELETE) {
        key->sent++;
    }
    flight->version = key->sent;
    output_request(s, flight);
}

uint64_t drive_session_issue(struct drive_session *s, uint64_t budget,
                             uint64_t now_ns)
{
    size_t request_size_max = s->plan->value_size * 2 + 400;
    uint64_t issued = 0;

    if (s->output_begin == s->output_end) {
        s->output_begin = 0;
        s->output_end = 0;
    }
    while (issued < budget &&
           s->flights_end - s->flights_begin < s->plan->depth &&
           s->output_size - s->output_end >= request_size_max) {
        issue_one(s, now_ns);
        issued++;
    }
    return issued;
}

bool drive_session_write(struct drive_session *s)
{
    ssize_t n =
        send(s->handle, s->output + s->output_begin,
             s->output_end - s->output_begin, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    s->output_begin += (size_t)n;
    return true;
}

/* ---- believing ---- */

static void judge_value(struct drive_session *s, const struct flight *flight,
                        struct slice value)
{
    struct key *key = &s->keys[flight->key];
    uint64_t number;
    uint32_t version;

    if (!drive_value_read(value, &number, &version)) {
        wrong(s, flight, "a value of nobody", value);
    } else if (number != key_number(s, flight->key)) {
        wrong(s, flight, "another key's value", value);
    } else if (version < key->floor) {
        wrong(s, flight, "an older value", value);
    } else if (version > flight->version) {
        wrong(s, flight, "a value not yet written", value);
    } else if (drive_value(s->plan, number, version, s->scratch) !=
                   value.size ||
               memcmp(s->scratch, value.at, value.size) != 0) {
        wrong(s, flight, "a damaged value", value);
    }
    s->books->hits++;
}

static void judge_miss(struct drive_session *s, const struct flight *flight)
{
    s->books->misses++;
    if (s->plan->fill) {
        s->fill_is_due = true;
        s->fill_key = flight->key;
    }
}

static void judge_store(struct drive_session *s, const struct flight *flight,
                        struct slice line)
{
    struct key *key = &s->keys[flight->key];

    if (!slice_equal(line, SLICE("STORED"))) {
        return;
    }
    if (flight->kind == DRIVE_CAS && key->floor > key->token_version) {
        wrong(s, flight, "an old CAS id stored", line);
    }
    key->floor = flight->version;
    s->books->stored++;
}

/* After a delete no version so far may be read. */
static void judge_delete(struct drive_session *s, const struct flight *flight)
{
    s->keys[flight->key].floor = flight->version;
}

static bool line_fits(enum drive_kind kind, struct slice line)
{
    switch (kind) {
    case DRIVE_GET:
    case DRIVE_GETS: return slice_equal(line, SLICE("END"));
    case DRIVE_SET: return slice_equal(line, SLICE("STORED"));
    case DRIVE_ADD:
        return slice_equal(line, SLICE("STORED")) ||
               slice_equal(line, SLICE("NOT_STORED"));
    case DRIVE_CAS:
        return slice_equal(line, SLICE("STORED")) ||
               slice_equal(line, SLICE("EXISTS")) ||
               slice_equal(line, SLICE("NOT_FOUND"));
    case DRIVE_DELETE:
        return slice_equal(line, SLICE("DELETED")) ||
               slice_equal(line, SLICE("NOT_FOUND"));
    case DRIVE_KIND_COUNT: break;
    }
    check(false);
}

static bool line_is_error(struct slice line)
{
    return (line.size >= 12 && memcmp(line.at, "SERVER_ERROR", 12) == 0) ||
           (line.size >= 12 && memcmp(line.at, "CLIENT_ERROR", 12) == 0) ||
           slice_equal(line, SLICE("ERROR"));
}

static void judge_line(struct drive_session *s, const struct flight *flight,
                       struct slice line)
{
    if (line_is_error(line)) {
        s->books->errors++;
        complain(s, flight, "an error", line);
    } else if (!line_fits(flight->kind, line)) {
        wrong(s, flight, "an answer to something else", line);
    } else if (kind_stores(flight->kind)) {
        judge_store(s, flight, line);
    } else if (flight->kind == DRIVE_DELETE) {
        judge_delete(s, flight);
    } else {
        judge_miss(s, flight);
    }
    if (flight->kind == DRIVE_CAS) {
        s->keys[flight->key].token = 0;
    }
}

/* ---- reading ---- */

/* The words of "VALUE key flags size [cas]" from the size on. */
static bool value_line_read(struct slice line, uint64_t *size, uint64_t *cas)
{
    struct slice word = {line.at, 0};
    const char *end = line.at + line.size;

    *cas = 0;
    for (int i = 0; word.at < end; i++) {
        const char *blank = memchr(word.at, ' ', (size_t)(end - word.at));

        word.size = (size_t)((blank != NULL ? blank : end) - word.at);
        if ((i == 3 && !slice_read_u64(word, DRIVE_VALUE_SIZE_MAX, size)) ||
            (i == 4 && !slice_read_u64(word, UINT64_MAX, cas))) {
            return false;
        }
        word.at += word.size + 1;
        if (blank == NULL) {
            return i == 3 || i == 4;
        }
    }
    return false;
}

/* A hit: line, value and END.  Its whole size, 0 if it is not all there. */
static size_t hit_read(struct drive_session *s, const struct flight *flight,
                       struct slice input, size_t line_size)
{
    struct slice line = {input.at, line_size - 2};
    uint64_t size;
    uint64_t cas;

    if (!value_line_read(line, &size, &cas)) {
        wrong(s, flight, "a bad VALUE line", line);
        return line_size;
    }
    struct slice tail = {input.at + line_size + size, 7};

    if (input.size < line_size + size + tail.size) {
        return 0;
    }
    if (!slice_equal(tail, SLICE("\r\nEND\r\n"))) {
        wrong(s, flight, "no END behind the value", tail);
    }
    judge_value(s, flight, (struct slice){input.at + line_size, size});
    if (flight->kind == DRIVE_GETS) {
        s->keys[flight->key].token = cas;
        s->keys[flight->key].token_version = flight->version;
    }
    return line_size + size + tail.size;
}

/* One answer off the front of the input; its size, 0 if it is not all there. */
static size_t answer_read(struct drive_session *s, struct slice input)
{
    const char *newline = memchr(input.at, '\n', input.size);

    if (newline == NULL) {
        return 0;
    }
    size_t line_size = (size_t)(newline - input.at) + 1;
    const struct flight *flight =
        &s->flights[s->flights_begin % DRIVE_DEPTH_MAX];
    struct slice line = {input.at, line_size > 1 ? line_size - 2 : 0};

    if (line.size > 6 && memcmp(line.at, "VALUE ", 6) == 0 &&
        (flight->kind == DRIVE_GET || flight->kind == DRIVE_GETS)) {
        return hit_read(s, flight, input, line_size);
    }
    judge_line(s, flight, line);
    return line_size;
}

static void answers_read(struct drive_session *s, uint64_t now_ns)
{
    size_t at = 0;

    while (at < s->input_size) {
        struct slice left = {s->input + at, s->input_size - at};

        if (drive_session_is_idle(s)) {
            struct flight nothing = {0};

            wrong(s, &nothing, "an answer to nothing", left);
            at = s->input_size;
            break;
        }
        uint64_t asked_ns =
            s->flights[s->flights_begin % DRIVE_DEPTH_MAX].at_ns;
        size_t size = answer_read(s, left);

        if (size == 0) {
            break;
        }
        at += size;
        s->flights_begin++;
        s->books->operations++;
        drive_latency_add(s->books, now_ns - asked_ns);
    }
    s->input_size -= at;
    memmove(s->input, s->input + at, s->input_size);
}

bool drive_session_read(struct drive_session *s, uint64_t now_ns)
{
    ssize_t n = recv(s->handle, s->input + s->input_size,
                     sizeof s->input - s->input_size, MSG_DONTWAIT);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        return false;
    }
    s->input_size += (size_t)n;
    answers_read(s, now_ns);
    return true;
}
