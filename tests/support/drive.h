/* drive.h -- a client that knows what it may be told.
 *
 * It drives pipelined, mixed requests through many connections and checks each
 * answer against what it did itself.  A value is made from its key and a
 * version, and each key is written and read by one connection only, so from
 * every value read it follows whether it may be there: not older than the last
 * one acknowledged, not younger than the last one sent.  A miss is always
 * allowed; it is a cache.
 *
 * One thread, poll(2); what is measured is the server, not this.
 */
#ifndef TESTS_SUPPORT_DRIVE_H
#define TESTS_SUPPORT_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/slice.h"

enum drive_kind {
    DRIVE_GET,
    DRIVE_GETS,
    DRIVE_SET,
    DRIVE_ADD,
    DRIVE_CAS,
    DRIVE_DELETE,
    DRIVE_KIND_COUNT
};

enum {
    DRIVE_HEADER_SIZE = 16, /* key and version, in hexadecimal */
    DRIVE_VALUE_SIZE_MAX = 64 << 10,
    DRIVE_KEY_SIZE_MAX = 250,
    DRIVE_INPUT_SIZE = 256 << 10,
    DRIVE_DEPTH_MAX = 256,
    DRIVE_CONNECTIONS_MAX = 256,
    DRIVE_COMPLAINTS_MAX = 10, /* told in words; the rest is counted */
    DRIVE_BUCKETS = 512,       /* of the latency histogram */
};

/* What to do; from the command line. */
struct drive_plan {
    const char *host;
    uint64_t port;
    const char *prefix; /* of all keys */
    uint64_t operations;
    double seconds; /* stop after so long, whatever is left */
    double rate;    /* requests a second at most; 0: as fast as it goes */
    uint64_t connections;
    uint64_t depth; /* requests on their way per connection */
    uint64_t keys;  /* all connections together */
    uint64_t key_size;
    uint64_t value_size; /* mean: from half of it to one and a half */
    double alpha;        /* of Zipf's law; 0 is uniform */
    double share[DRIVE_KIND_COUNT];
    bool fill;     /* a miss is followed by a set, as by a read-through */
    bool tolerant; /* error answers are counted, but are no failure */
    uint64_t seed;
};

/* What came of it. */
struct drive_books {
    uint64_t operations, hits, misses, stored;
    uint64_t errors; /* error lines */
    uint64_t wrong;  /* answers that cannot be true */
    uint64_t lost;   /* connections that the server ended */
    uint64_t complaints;
    uint64_t latency[DRIVE_BUCKETS];
    uint64_t latency_max_ns;
};

/* False, with a word on stderr: a flag is wrong. */
bool drive_options(struct drive_plan *plan, int argc, char **argv);

/* A key's name, key_size bytes or as many as its number needs. */
size_t drive_key(const struct drive_plan *plan, uint64_t key,
                 char out[static DRIVE_KEY_SIZE_MAX]);
/* The value of a version of a key; out has room for DRIVE_VALUE_SIZE_MAX. */
size_t drive_value(const struct drive_plan *plan, uint64_t key,
                   uint32_t version, char *out);
/* Reads key and version back out of a value; false if it is none of ours. */
bool drive_value_read(struct slice value, uint64_t *key, uint32_t *version);

/* Chooses among count keys, the lower the more often. */
struct drive_zipf {
    const struct mem *mem;
    double *sums; /* of the first i+1 weights */
    size_t count;
};

bool drive_zipf_init(struct drive_zipf *zipf, const struct mem *mem,
                     size_t count, double alpha);
void drive_zipf_fini(struct drive_zipf *zipf);
size_t drive_zipf_draw(const struct drive_zipf *zipf, struct rand *rand);

void drive_latency_add(struct drive_books *books, uint64_t duration_ns);
/* The latency that this share of all requests stayed under. */
double drive_latency_ms(const struct drive_books *books, double share);

/* One connection, with the keys that are its own. */
struct drive_session;

/* index: of this one among all.  NULL, with a word on stderr: no memory
 * or no connection. */
struct drive_session *drive_session_create(const struct mem *mem,
                                           const struct drive_plan *plan,
                                           const struct drive_zipf *zipf,
                                           struct drive_books *books,
                                           unsigned index);
void drive_session_destroy(struct drive_session **session);

int drive_session_handle(const struct drive_session *session);
/* Issues up to budget more requests, as the depth allows; how many. */
uint64_t drive_session_issue(struct drive_session *session, uint64_t budget,
                             uint64_t now_ns);
bool drive_session_wants_to_write(const struct drive_session *session);
/* Both: false when the connection is gone. */
bool drive_session_write(struct drive_session *session);
bool drive_session_read(struct drive_session *session, uint64_t now_ns);
/* Nothing is on its way. */
bool drive_session_is_idle(const struct drive_session *session);

#endif
