#include "core/admin_line.h"

/* *first: the first word that is not a closing noreply; false: none. */
static bool line_read(const struct request *request, struct slice *first,
                      bool *noreply)
{
    struct slice rest = request->rest;
    struct slice word, last = {0};
    size_t count = 0;

    while (request_next_word(&rest, &word)) {
        *first = count == 0 ? word : *first;
        last = word;
        count++;
    }
    *noreply = count > 0 && slice_equal(last, SLICE("noreply"));
    return count > (*noreply ? 1 : 0);
}

struct admin_line admin_flush_read(const struct request *request)
{
    struct admin_line line = {.valid = true};
    struct slice first;

    if (line_read(request, &first, &line.noreply)) {
        line.valid = slice_read_i64(first, INT32_MIN, INT32_MAX, &line.number);
    }
    return line;
}

struct admin_line admin_verbosity_read(const struct request *request)
{
    struct admin_line line = {0};
    struct slice first;

    if (line_read(request, &first, &line.noreply)) {
        line.valid = slice_read_i64(first, 0, UINT32_MAX, &line.number);
    } else {
        line.valid = line.noreply;
    }
    return line;
}
