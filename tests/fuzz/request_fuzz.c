/* Fuzz target: the request parser.  Checks what its callers rely on, not only
 * that it survives. */
#include "base/check.h"
#include "core/request.h"
#include "fuzz/fuzz.h"

enum {
    /* Small, so that a fuzzer finds the way to TOO_LARGE. */
    FUZZ_VALUE_SIZE_MAX = 64,
    /* Byte by byte is quadratic. */
    TRICKLE_SIZE_MAX = 512,
};

static enum parse parse_fresh(struct slice input, struct request *out)
{
    struct request_parser parser = {.value_size_max = FUZZ_VALUE_SIZE_MAX};

    return request_parse(&parser, input, out);
}

static void check_same(const struct request *a, const struct request *b)
{
    check(a->command == b->command && a->error == b->error);
    check(a->noreply == b->noreply && a->close == b->close);
    check(a->consumed == b->consumed && a->skip == b->skip);
    check(slice_equal(a->line, b->line) && slice_equal(a->key, b->key));
    check(slice_equal(a->rest, b->rest) && slice_equal(a->value, b->value));
    check(a->flags == b->flags && a->exptime == b->exptime);
    check(a->number == b->number && a->meta_set == b->meta_set);
    check(a->meta_count == b->meta_count);
}

static bool is_inside(struct slice part, struct slice whole)
{
    return part.size == 0 || (part.at >= whole.at &&
                              part.at + part.size <= whole.at + whole.size);
}

static void check_key(struct slice key)
{
    check(key.size >= 1 && key.size <= KEY_SIZE_MAX);
    for (size_t i = 0; i < key.size; i++) {
        check((unsigned char)key.at[i] > ' ' && key.at[i] != 0x7f);
    }
}

static void check_done(struct slice input, const struct request *r)
{
    struct slice rest = r->rest;
    struct slice word;

    check(r->error == WIRE_NONE && !r->close && r->skip == 0);
    check(r->command < COMMAND_COUNT);
    check(is_inside(r->line, input) && is_inside(r->rest, r->line));
    check(is_inside(r->value, input) && r->value.size <= FUZZ_VALUE_SIZE_MAX);
    check(memchr(r->line.at, '\n', r->line.size) == NULL);
    check(r->meta_count <= META_FLAGS_MAX);
    switch (command_shape(r->command)) {
    case SHAPE_META_NOOP:
    case SHAPE_ADMIN: check(r->key.size == 0); return;
    case SHAPE_META:
    case SHAPE_META_STORE:
        check(r->key.size >= 1 && r->key.size <= KEY_SIZE_MAX);
        if (!request_has(r, 'b')) {
            check_key(r->key);
        }
        return;
    default: check_key(r->key);
    }
    while (request_next_key(&rest, &word)) {
        check_key(word);
    }
    check(rest.size == 0);
}

static void check_bad(const struct request *r)
{
    check(r->error != WIRE_NONE);
    check((r->key.size > 0) == (r->error == WIRE_TOO_LARGE));
    check(r->skip <= (uint64_t)BLOCK_SIZE_MAX + 2);
    /* A block that is too large to be kept is at least known to be one. */
    check(r->error != WIRE_TOO_LARGE || r->skip > FUZZ_VALUE_SIZE_MAX);
}

/* One parser that is fed as slowly as can be. */
static void check_trickle(struct slice input, enum parse result,
                          const struct request *whole)
{
    struct request_parser parser = {.value_size_max = FUZZ_VALUE_SIZE_MAX};
    struct request r;

    for (size_t size = 0; size < whole->consumed; size++) {
        struct slice cut = {input.at, size};

        check(request_parse(&parser, cut, &r) == PARSE_MORE);
        check(r.needed > size && r.needed <= whole->consumed);
    }
    struct slice all = {input.at, whole->consumed};

    check(request_parse(&parser, all, &r) == result);
    check_same(&r, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    struct slice half = {input.at, size / 2};
    struct request r;
    struct request again;
    enum parse result = parse_fresh(input, &r);

    switch (result) {
    case PARSE_MORE:
        check(r.needed > size);
        check(parse_fresh(half, &again) == PARSE_MORE);
        return 0;
    case PARSE_LOST:
        check(r.close);
        result = parse_fresh(half, &again);
        check(result == PARSE_MORE || result == PARSE_LOST);
        return 0;
    case PARSE_DONE: check_done(input, &r); break;
    case PARSE_BAD: check_bad(&r); break;
    }
    check(r.consumed > 0 && r.consumed <= size);

    /* What follows does not matter, and no cut is taken for the whole. */
    struct slice exact = {input.at, r.consumed};
    struct slice cut = {input.at, r.consumed - 1};

    check(parse_fresh(exact, &again) == result);
    check_same(&again, &r);
    check(parse_fresh(cut, &again) == PARSE_MORE);
    check(again.needed == r.consumed);
    if (r.consumed <= TRICKLE_SIZE_MAX) {
        check_trickle(input, result, &r);
    }
    return 0;
}
