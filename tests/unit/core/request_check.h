/* request_check.h -- parses one request in every way it can arrive. */
#ifndef TESTS_UNIT_CORE_REQUEST_CHECK_H
#define TESTS_UNIT_CORE_REQUEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/request.h"

/* The longest value that the parsers of these tests take. */
enum { CHECK_VALUE_SIZE_MAX = 100 };

/* A string literal with its size, so that it may hold zero bytes. */
#define TEXT(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

/* Parses the first size bytes of text out of a block that holds no more, so
 * that a sanitizer sees a byte too many being read. */
static inline enum parse parse_cut(struct request_parser *parser,
                                   struct slice text, size_t size,
                                   struct request *out)
{
    char *block = mem_alloc(mem_system(), size);

    assert_non_null(block);
    memcpy(block, text.at, size);
    enum parse result = request_parse(parser, (struct slice){block, size}, out);

    mem_free(mem_system(), block);
    return result;
}

static inline void assert_same_answer(const struct request *a,
                                      const struct request *b)
{
    assert_int_equal(a->command, b->command);
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->noreply, b->noreply);
    assert_int_equal(a->close, b->close);
    assert_int_equal(a->consumed, b->consumed);
    assert_int_equal(a->skip, b->skip);
    assert_int_equal(a->key.size, b->key.size);
    assert_int_equal(a->rest.size, b->rest.size);
    assert_int_equal(a->value.size, b->value.size);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->exptime, b->exptime);
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->meta_set, b->meta_set);
    assert_int_equal(a->meta_count, b->meta_count);
}

/* The same bytes give the same answer however they were cut on the way, no cut
 * is taken for the whole, and what follows does not matter. */
static inline void check_cuts(struct slice text, enum parse result,
                              const struct request *whole)
{
    struct request_parser patient = {.value_size_max = CHECK_VALUE_SIZE_MAX};
    struct request cut;
    size_t size = result == PARSE_MORE ? text.size + 1 : whole->consumed;

    for (size_t i = 0; i < size && i <= text.size; i++) {
        struct request_parser fresh = {.value_size_max = CHECK_VALUE_SIZE_MAX};

        assert_int_equal(parse_cut(&fresh, text, i, &cut), PARSE_MORE);
        assert_true(cut.needed > i);
        assert_true(result == PARSE_MORE || cut.needed <= size);
        assert_int_equal(parse_cut(&patient, text, i, &cut), PARSE_MORE);
    }
    if (result != PARSE_MORE) {
        assert_int_equal(parse_cut(&patient, text, size, &cut), result);
        assert_same_answer(&cut, whole);
        assert_int_equal(patient.scanned, 0);
    }
}

static inline enum parse parse_checked(struct slice text, struct request *out)
{
    struct request_parser parser = {.value_size_max = CHECK_VALUE_SIZE_MAX};
    enum parse result = request_parse(&parser, text, out);

    assert_true(result != PARSE_MORE || out->needed > text.size);
    if (result != PARSE_LOST) {
        assert_true(out->consumed <= text.size);
        check_cuts(text, result, out);
    }
    return result;
}

static inline void assert_slice(struct slice found, const char *expected)
{
    assert_int_equal(found.size, strlen(expected));
    assert_memory_equal(found.at, expected, found.size);
}

/* A line that is refused. */
struct refusal {
    struct slice text;
    enum wire_line error;
    bool close;
    bool noreply;
    uint64_t skip;
};

static inline void check_refusals(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct request r;
        enum parse result = parse_checked(rows[i].text, &r);

        if (result != PARSE_BAD || r.error != rows[i].error ||
            r.close != rows[i].close || r.skip != rows[i].skip ||
            r.noreply != rows[i].noreply) {
            print_error("row %zu: %.*s\n", i, (int)rows[i].text.size,
                        rows[i].text.at);
        }
        assert_int_equal(result, PARSE_BAD);
        assert_int_equal(r.error, rows[i].error);
        assert_int_equal(r.close, rows[i].close);
        assert_int_equal(r.noreply, rows[i].noreply);
        assert_int_equal(r.skip, rows[i].skip);
        assert_int_equal(r.key.size > 0, r.error == WIRE_TOO_LARGE);
    }
}

#endif
