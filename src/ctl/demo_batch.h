/* demo_batch.h -- one batch of pipelined commands and its answers.
 *
 * The part of the demonstration's traffic that speaks the protocol; threads
 * and the order of things are demo_traffic's.
 */
#ifndef CTL_DEMO_BATCH_H
#define CTL_DEMO_BATCH_H

#include "base/metric.h"
#include "base/rand.h"
#include "ctl/client.h"
#include "ctl/demo_traffic.h"
#include "ctl/demo_value.h"

enum {
    BATCH_OPS = 16,
    BATCH_KEYS = 8, /* of one reading */
    BATCH_BYTES_MAX = BATCH_OPS * (DEMO_VALUE_SIZE_MAX + 256),
    BATCH_MISSED_MAX = 64,
};

enum op_kind {
    OP_GET,
    OP_META_GET,
    OP_META_GET_QUIET, /* several, ended by mn */
    OP_SET,
    OP_META_SET,
    OP_DELETE,
    OP_META_DELETE,
};

struct op {
    enum op_kind kind;
    size_t key_count;
    uint32_t keys[BATCH_KEYS];
    uint32_t finished[BATCH_KEYS]; /* readings: before it was sent */
    bool hit[BATCH_KEYS];
    uint32_t version; /* changes */
};

/* One thread's side of the traffic. */
struct batch {
    struct demo_ledger *ledger; /* shared */
    uint32_t writer;            /* keys % DEMO_CONNECTIONS == writer are its */
    struct rand rand;
    struct op ops[BATCH_OPS];
    size_t op_count;
    uint32_t missed[BATCH_MISSED_MAX]; /* own keys, to be stored next */
    size_t missed_count;
    struct why trouble; /* the first; "" if none */
    size_t size;
    char bytes[BATCH_BYTES_MAX];
    struct {
#define COUNTER(name) metric_t name;
        DEMO_COUNTERS(COUNTER)
#undef COUNTER
    } counts;
};

void batch_init(struct batch *batch, struct demo_ledger *ledger,
                uint32_t writer);
/* Thinks up the next batch; batch->bytes are to be sent. */
void batch_build(struct batch *batch);
/* Reads the answers and judges them.  An error: the connection is useless.
 * Counts all but the error returned. */
enum err batch_answers(struct batch *batch, struct client *client,
                       struct why *why);
/* Keeps the words if they are the first. */
void batch_trouble(struct batch *batch, const char *words);

#endif
