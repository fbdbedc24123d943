/* Takes the answers of a batch apart and judges them. */
#include <stdio.h>

#include "ctl/demo_batch.h"

/* What a VALUE or VA line says. */
struct found {
    struct slice key;
    uint64_t flags, size;
};

static enum err unexpected(const char *asked, struct slice line,
                           struct why *why)
{
    size_t shown = line.size < 120 ? line.size : 120;

    return err_why(why, ERR_SYNTAX, "%s was answered by \"%.*s\"", asked,
                   (int)shown, line.at);
}

/* "VALUE key flags size" */
static bool value_line_read(const struct client_words *words,
                            struct found *found)
{
    if (words->count != 4 || !slice_equal(words->at[0], SLICE("VALUE"))) {
        return false;
    }
    found->key = words->at[1];
    return slice_read_u64(words->at[2], UINT32_MAX, &found->flags) &&
           slice_read_u64(words->at[3], DEMO_VALUE_SIZE_MAX, &found->size);
}

/* "VA size f<flags> k<key>", as "v f k" asked for. */
static bool va_line_read(const struct client_words *words, struct found *found)
{
    if (words->count < 4 || !slice_equal(words->at[0], SLICE("VA")) ||
        words->at[2].at[0] != 'f' || words->at[3].at[0] != 'k') {
        return false;
    }
    struct slice flags = {words->at[2].at + 1, words->at[2].size - 1};

    found->key = (struct slice){words->at[3].at + 1, words->at[3].size - 1};
    return slice_read_u64(words->at[1], DEMO_VALUE_SIZE_MAX, &found->size) &&
           slice_read_u64(flags, UINT32_MAX, &found->flags);
}

/* Answers come in the order asked; those before `from` have come. */
static size_t key_place(const struct op *op, size_t from, struct slice key)
{
    for (size_t i = from; i < op->key_count; i++) {
        char text[DEMO_KEY_SIZE_MAX];
        size_t size = demo_key_write(text, op->keys[i]);

        if (slice_equal(key, (struct slice){text, size})) {
            return i;
        }
    }
    return op->key_count;
}

static void wrong_note(struct batch *batch, uint32_t key, const char *words,
                       uint32_t version, uint32_t finished)
{
    char text[160];

    (void)snprintf(text, sizeof text,
                   "demo:%06u %s (version %u; %u had been acknowledged)", key,
                   words, version, finished);
    batch_trouble(batch, text);
    metric_add(&batch->counts.wrong, 1);
}

static void hit_judge(struct batch *batch, const struct op *op, size_t place,
                      struct slice value, uint64_t flags)
{
    uint32_t key = op->keys[place];
    uint32_t finished = op->finished[place];
    uint32_t version = 0;

    metric_add(&batch->counts.hits, 1);
    if (!demo_value_read(value, key, &version)) {
        wrong_note(batch, key, "came back as other bytes", 0, finished);
        return;
    }
    if (flags != demo_flags(key)) {
        wrong_note(batch, key, "came back with other flags", version, finished);
        return;
    }
    switch (demo_ledger_judge(batch->ledger, key, finished, version)) {
    case DEMO_RIGHT: break;
    case DEMO_STALE:
        wrong_note(batch, key, "came back older", version, finished);
        break;
    case DEMO_UNBORN:
        wrong_note(batch, key, "came back from nowhere", version, finished);
        break;
    }
}

static void missed_note(struct batch *batch, const struct op *op)
{
    for (size_t i = 0; i < op->key_count; i++) {
        if (!op->hit[i] && op->keys[i] % DEMO_CONNECTIONS == batch->writer &&
            batch->missed_count < BATCH_MISSED_MAX) {
            batch->missed[batch->missed_count++] = op->keys[i];
        }
    }
}

/* "EN k<key>": the miss of one mg, with the key it asked to be told. */
static bool miss_line_is(const struct op *op, struct slice line)
{
    char text[4 + DEMO_KEY_SIZE_MAX] = "EN k";

    return slice_equal(
        line, (struct slice){text, 4 + demo_key_write(text + 4, op->keys[0])});
}

static bool reading_ends(const struct op *op, struct slice line)
{
    switch (op->kind) {
    case OP_GET: return slice_equal(line, SLICE("END"));
    case OP_META_GET: return miss_line_is(op, line);
    case OP_META_GET_QUIET: return slice_equal(line, SLICE("MN"));
    default: return false;
    }
}

/* An error line stands for a whole get, or for one of several quiet mg, whose
 * mn still follows. */
static bool error_ends(struct batch *batch, const struct op *op,
                       struct slice line)
{
    char words[160];
    size_t shown = line.size < 120 ? line.size : 120;

    (void)snprintf(words, sizeof words, "a reading was refused: %.*s",
                   (int)shown, line.at);
    batch_trouble(batch, words);
    metric_add(&batch->counts.errors, 1);
    return op->kind != OP_META_GET_QUIET;
}

static enum err reading_answer(struct batch *batch, struct op *op,
                               struct client *client, struct why *why)
{
    size_t from = 0;

    metric_add(&batch->counts.keys, op->key_count);
    for (;;) {
        struct client_words words;
        struct found found;
        struct slice line, value;
        enum err e = client_line(client, &line, why);

        if (e != ERR_OK) {
            return e;
        }
        if (reading_ends(op, line)) {
            break;
        }
        if (client_line_is_error(line)) {
            if (error_ends(batch, op, line)) {
                return ERR_OK;
            }
            continue;
        }
        client_split(line, &words);
        if (op->kind == OP_GET ? !value_line_read(&words, &found)
                               : !va_line_read(&words, &found)) {
            return unexpected("a reading", line, why);
        }
        size_t place = key_place(op, from, found.key);

        if (place == op->key_count) {
            return unexpected("a reading of other keys", line, why);
        }
        e = client_block(client, found.size, &value, why);
        if (e != ERR_OK) {
            return e;
        }
        hit_judge(batch, op, place, value, found.flags);
        op->hit[place] = true;
        from = place + 1;
        if (op->kind == OP_META_GET) {
            break;
        }
    }
    missed_note(batch, op);
    return ERR_OK;
}

static bool change_done(const struct op *op, struct slice line)
{
    switch (op->kind) {
    case OP_SET: return slice_equal(line, SLICE("STORED"));
    case OP_META_SET: return slice_equal(line, SLICE("HD"));
    case OP_DELETE:
        return slice_equal(line, SLICE("DELETED")) ||
               slice_equal(line, SLICE("NOT_FOUND"));
    case OP_META_DELETE:
        return slice_equal(line, SLICE("HD")) || slice_equal(line, SLICE("NF"));
    default: return false;
    }
}

static enum err change_answer(struct batch *batch, const struct op *op,
                              struct client *client, struct why *why)
{
    bool stores = op->kind == OP_SET || op->kind == OP_META_SET;
    struct slice line;
    enum err e = client_line(client, &line, why);

    if (e != ERR_OK) {
        return e;
    }
    metric_add(stores ? &batch->counts.stores : &batch->counts.deletes, 1);
    if (change_done(op, line)) {
        demo_ledger_finish(batch->ledger, op->keys[0], op->version);
        return ERR_OK;
    }
    if (!client_line_is_error(line)) {
        return unexpected(stores ? "a set" : "a delete", line, why);
    }
    struct why words;

    (void)unexpected(stores ? "a set" : "a delete", line, &words);
    batch_trouble(batch, words.text);
    metric_add(&batch->counts.errors, 1);
    return ERR_OK;
}

enum err batch_answers(struct batch *batch, struct client *client,
                       struct why *why)
{
    for (size_t i = 0; i < batch->op_count; i++) {
        struct op *op = &batch->ops[i];
        enum err e = op->kind >= OP_SET
                         ? change_answer(batch, op, client, why)
                         : reading_answer(batch, op, client, why);

        if (e != ERR_OK) {
            return e;
        }
        metric_add(&batch->counts.requests, 1);
    }
    return ERR_OK;
}
