/* conn_buffer.h -- the bytes of one connection, in and out.
 *
 * Input is one contiguous block, because a parser wants it so.  Output is a
 * chain of chunks, because nobody needs it in one piece and growing would copy
 * it.  Both are on loan from the pool and go back when they are empty.
 */
#ifndef NET_CONN_BUFFER_H
#define NET_CONN_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "net/conn.h"

/* at[begin..end) is filled; what is consumed moves begin, not the bytes. */
struct conn_input {
    char *at;
    size_t size, begin, end;
};

static inline size_t input_held(const struct conn_input *input)
{
    return input->end - input->begin;
}

/* Makes room to read into, at input->at + input->end: borrows a block, or moves
 * the bytes to its front, or doubles it towards `want` bytes of input.  False:
 * no memory.  Must not be asked of a full one that may not grow. */
bool input_make_room(struct conn_pool *pool, struct conn_input *input,
                     size_t want);
/* No byte more can be held until something is consumed or more is wanted. */
bool input_is_full(const struct conn_input *input, size_t want);
void input_clear(struct conn_pool *pool, struct conn_input *input);

struct conn_chunk {
    struct conn_chunk *next;
    size_t size; /* of the whole, with this header */
    size_t begin, end;
    char bytes[];
};

struct conn_output {
    struct conn_chunk *first, *last;
    size_t size; /* bytes waiting */
};

/* NULL: no memory. */
char *output_reserve(struct conn_pool *pool, struct conn_output *output,
                     size_t size);
void output_commit(struct conn_output *output, size_t size);
/* Keeps only the first `size` bytes that wait. */
void output_cut(struct conn_pool *pool, struct conn_output *output,
                size_t size);
/* Fills pieces with what waits; returns how many; *total: their bytes. */
int output_pieces(const struct conn_output *output,
                  struct iovec pieces[static NET_PIECES_MAX], size_t *total);
void output_sent(struct conn_pool *pool, struct conn_output *output,
                 size_t size);
void output_clear(struct conn_pool *pool, struct conn_output *output);

#endif
