/* Builds batches; demo_answer.c takes the answers apart. */
#include "ctl/demo_batch.h"

#include <stdio.h>

#include "base/check.h"

void batch_init(struct batch *batch, struct demo_ledger *ledger,
                uint32_t writer)
{
    batch->ledger = ledger;
    batch->writer = writer;
    rand_init(&batch->rand, writer + 1);
}

void batch_trouble(struct batch *batch, const char *words)
{
    if (batch->trouble.text[0] == '\0') {
        (void)snprintf(batch->trouble.text, sizeof batch->trouble.text, "%s",
                       words);
    }
}

static void bytes_add(struct batch *batch, struct slice bytes)
{
    check(bytes.size <= sizeof batch->bytes - batch->size);
    memcpy(batch->bytes + batch->size, bytes.at, bytes.size);
    batch->size += bytes.size;
}

static void key_add(struct batch *batch, uint32_t key)
{
    char text[DEMO_KEY_SIZE_MAX];

    bytes_add(batch, (struct slice){text, demo_key_write(text, key)});
}

/* The cube of a number in [0, 1) is small far more often than not: one key in
 * a hundred takes a fifth of the requests. */
static uint32_t key_draw(struct batch *batch)
{
    double unit = rand_unit(&batch->rand);

    return (uint32_t)(unit * unit * unit * DEMO_KEYS);
}

static uint32_t own_key_draw(struct batch *batch)
{
    uint32_t key = key_draw(batch);

    return key - key % DEMO_CONNECTIONS + batch->writer;
}

static void get_write(struct batch *batch, const struct op *op)
{
    bytes_add(batch, SLICE("get"));
    for (size_t i = 0; i < op->key_count; i++) {
        bytes_add(batch, SLICE(" "));
        key_add(batch, op->keys[i]);
    }
    bytes_add(batch, SLICE("\r\n"));
}

static void meta_get_write(struct batch *batch, const struct op *op)
{
    bool quiet = op->kind == OP_META_GET_QUIET;

    for (size_t i = 0; i < op->key_count; i++) {
        bytes_add(batch, SLICE("mg "));
        key_add(batch, op->keys[i]);
        bytes_add(batch, quiet ? SLICE(" v f k q\r\n") : SLICE(" v f k\r\n"));
    }
    if (quiet) {
        bytes_add(batch, SLICE("mn\r\n"));
    }
}

static void set_write(struct batch *batch, const struct op *op)
{
    char value[DEMO_VALUE_SIZE_MAX];
    char rest[64];
    uint32_t key = op->keys[0];
    size_t size = demo_value_write(value, key, op->version);
    int rest_size = op->kind == OP_SET
                        ? snprintf(rest, sizeof rest, " %u 0 %zu\r\n",
                                   demo_flags(key), size)
                        : snprintf(rest, sizeof rest, " %zu F%u T0\r\n", size,
                                   demo_flags(key));

    bytes_add(batch, op->kind == OP_SET ? SLICE("set ") : SLICE("ms "));
    key_add(batch, key);
    bytes_add(batch, (struct slice){rest, (size_t)rest_size});
    bytes_add(batch, (struct slice){value, size});
    bytes_add(batch, SLICE("\r\n"));
}

static void delete_write(struct batch *batch, const struct op *op)
{
    bytes_add(batch, op->kind == OP_DELETE ? SLICE("delete ") : SLICE("md "));
    key_add(batch, op->keys[0]);
    bytes_add(batch, SLICE("\r\n"));
}

static void reading_build(struct batch *batch, enum op_kind kind,
                          size_t key_count)
{
    struct op *op = &batch->ops[batch->op_count++];

    *op = (struct op){.kind = kind, .key_count = key_count};
    for (size_t i = 0; i < key_count; i++) {
        /* A quarter of what is read was written by other threads. */
        uint32_t key = rand_below(&batch->rand, 4) == 0 ? key_draw(batch)
                                                        : own_key_draw(batch);

        op->keys[i] = key;
        op->finished[i] = demo_ledger_finished(batch->ledger, key);
    }
    if (kind == OP_GET) {
        get_write(batch, op);
    } else {
        meta_get_write(batch, op);
    }
}

/* Two changes of a key in one pipeline would make its order a matter of
 * opinion where one of them has to be sent again. */
static bool changes_already(const struct batch *batch, uint32_t key)
{
    for (size_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].kind >= OP_SET && batch->ops[i].keys[0] == key) {
            return true;
        }
    }
    return false;
}

static void change_build(struct batch *batch, enum op_kind kind, uint32_t key)
{
    struct op *op = &batch->ops[batch->op_count];

    if (changes_already(batch, key)) {
        return;
    }
    batch->op_count++;
    *op = (struct op){.kind = kind,
                      .key_count = 1,
                      .keys = {key},
                      .version = demo_ledger_begin(batch->ledger, key)};
    if (kind == OP_SET || kind == OP_META_SET) {
        set_write(batch, op);
    } else {
        delete_write(batch, op);
    }
}

static void op_draw(struct batch *batch)
{
    uint64_t dice = rand_below(&batch->rand, 100);
    size_t several = 2 + (size_t)rand_below(&batch->rand, BATCH_KEYS - 1);

    if (dice < 35) {
        reading_build(batch, OP_GET, 1);
    } else if (dice < 50) {
        reading_build(batch, OP_GET, several);
    } else if (dice < 70) {
        reading_build(batch, OP_META_GET, 1);
    } else if (dice < 85) {
        reading_build(batch, OP_META_GET_QUIET, several);
    } else if (dice < 91) {
        change_build(batch, OP_SET, own_key_draw(batch));
    } else if (dice < 97) {
        change_build(batch, OP_META_SET, own_key_draw(batch));
    } else if (dice < 98) {
        change_build(batch, OP_DELETE, own_key_draw(batch));
    } else {
        change_build(batch, OP_META_DELETE, own_key_draw(batch));
    }
}

void batch_build(struct batch *batch)
{
    batch->op_count = 0;
    batch->size = 0;
    /* What was missed comes first, but never fills a batch. */
    while (batch->missed_count > 0 && batch->op_count < BATCH_OPS / 2) {
        uint32_t key = batch->missed[--batch->missed_count];

        change_build(batch, key % 8 < 4 ? OP_SET : OP_META_SET, key);
    }
    while (batch->op_count < BATCH_OPS) {
        op_draw(batch);
    }
}
