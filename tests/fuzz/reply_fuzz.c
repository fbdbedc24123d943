/* Fuzz target: the reply parser.  The first byte says what was asked. */
#include "base/check.h"
#include "core/reply.h"
#include "fuzz/fuzz.h"
#include "proto/limits.h"

enum {
    FUZZ_VALUE_SIZE_MAX = 64,
    TRICKLE_SIZE_MAX = 512,
};

static enum reply_outcome parse_fresh(enum reply_expect expect,
                                      struct slice input, struct reply *out)
{
    struct reply_parser parser = {.value_size_max = FUZZ_VALUE_SIZE_MAX};

    return reply_parse(&parser, expect, input, out);
}

static void check_same(const struct reply *a, const struct reply *b)
{
    check(a->kind == b->kind && a->consumed == b->consumed);
    check(slice_equal(a->whole, b->whole) && slice_equal(a->line, b->line));
    check(slice_equal(a->block, b->block) && slice_equal(a->value, b->value));
    check(slice_equal(a->key, b->key) && a->epoch == b->epoch);
}

static void check_done(enum reply_expect expect, struct slice input,
                       const struct reply *r)
{
    check(r->consumed > 2 && r->consumed <= input.size);
    check(r->whole.at == input.at && r->whole.size == r->consumed);
    check(memcmp(input.at + r->consumed - 2, "\r\n", 2) == 0);
    check(r->line.at == input.at && r->line.size > 0);
    check(r->line.size + 2 <= REPLY_LINE_SIZE_MAX);
    check(r->value.size <= FUZZ_VALUE_SIZE_MAX);
    check((r->kind == REPLY_STATS) <= (expect == EXPECT_STATS));
    if (r->kind == REPLY_HIT && expect == EXPECT_VALUE) {
        check(r->key.size >= 1 && r->key.size <= KEY_SIZE_MAX);
        check(r->block.at == input.at);
        check(r->block.size + 5 == r->consumed);
        check(r->value.at + r->value.size + 2 == r->block.at + r->block.size);
    } else {
        check(r->key.size == 0 && r->block.size == 0);
        check(r->value.size == 0 || r->kind == REPLY_HIT);
    }
}

/* One parser that is fed as slowly as can be. */
static void check_trickle(enum reply_expect expect, struct slice input,
                          enum reply_outcome outcome, const struct reply *whole)
{
    struct reply_parser parser = {.value_size_max = FUZZ_VALUE_SIZE_MAX};
    enum reply_outcome found = REPLY_MORE;
    struct reply r;

    for (size_t size = 0; size <= input.size && found == REPLY_MORE; size++) {
        struct slice cut = {input.at, size};

        found = reply_parse(&parser, expect, cut, &r);
        check(found != REPLY_MORE || r.needed > size);
        check(outcome != REPLY_DONE || size == whole->consumed ||
              (found == REPLY_MORE && r.needed <= whole->consumed));
    }
    check(found == outcome);
    if (outcome == REPLY_DONE) {
        check_same(&r, whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum reply_expect expect = data[0] % (EXPECT_STATS + 1);
    struct slice input = {(const char *)data + 1, size - 1};
    struct reply r;
    struct reply again;
    enum reply_outcome outcome = parse_fresh(expect, input, &r);

    check((outcome == REPLY_BROKEN) == (r.why != NULL));
    if (outcome == REPLY_MORE) {
        struct slice half = {input.at, input.size / 2};

        check(r.needed > input.size);
        check(parse_fresh(expect, half, &again) == REPLY_MORE);
    }
    if (outcome == REPLY_DONE) {
        struct slice exact = {input.at, r.consumed};
        struct slice cut = {input.at, r.consumed - 1};

        check_done(expect, input, &r);
        check(parse_fresh(expect, exact, &again) == REPLY_DONE);
        check_same(&again, &r);
        check(parse_fresh(expect, cut, &again) == REPLY_MORE);
        check(again.needed == r.consumed);
    }
    if (input.size <= TRICKLE_SIZE_MAX) {
        check_trickle(expect, input, outcome, &r);
    }
    return 0;
}
