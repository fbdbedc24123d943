#include "net/conn_buffer.h"

#include <string.h>

#include "net/conn_internal.h"

enum { PAGE_SIZE = 4096 };

static size_t room(const struct conn_input *input)
{
    return input->size - input->end;
}

bool input_is_full(const struct conn_input *input, size_t want)
{
    size_t held = input_held(input);

    return held > 0 && held == input->size && held >= want;
}

static void input_compact(struct conn_input *input)
{
    size_t held = input_held(input);

    memmove(input->at, input->at + input->begin, held);
    input->begin = 0;
    input->end = held;
}

/* Twice as much, but not more than is wanted: a peer that announces much and
 * sends little gets little. */
static bool input_grow(struct conn_pool *pool, struct conn_input *input,
                       size_t want)
{
    size_t enough = (want + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    size_t size = input->size * 2;

    /* A few bytes more is a line whose length nobody knows: doubling keeps the
     * copying linear.  Otherwise no more than was asked for. */
    if (size > enough && enough > input->size + PAGE_SIZE) {
        size = enough;
    }
    size_t held = input_held(input);
    char *at = pool_take(pool, size);

    if (at == NULL) {
        return false;
    }
    memcpy(at, input->at + input->begin, held);
    pool_give(pool, input->at, input->size);
    *input = (struct conn_input){at, size, 0, held};
    return true;
}

bool input_make_room(struct conn_pool *pool, struct conn_input *input,
                     size_t want)
{
    if (input->at == NULL) {
        char *at = pool_take(pool, CONN_BLOCK_SIZE);

        if (at == NULL) {
            return false;
        }
        *input = (struct conn_input){at, CONN_BLOCK_SIZE, 0, 0};
        return true;
    }
    if (input_held(input) == input->size) {
        check(want > input->size);
        return input_grow(pool, input, want);
    }
    /* A read into the last few bytes costs a system call and brings nothing;
     * moving an unfinished request to the front costs less. */
    if (input->begin > 0 && room(input) < input->size / 4) {
        input_compact(input);
    }
    return true;
}

void input_clear(struct conn_pool *pool, struct conn_input *input)
{
    if (input->at != NULL) {
        pool_give(pool, input->at, input->size);
        *input = (struct conn_input){0};
    }
}

static struct conn_chunk *chunk_create(struct conn_pool *pool, size_t size)
{
    size_t whole = CONN_BLOCK_SIZE;

    if (size > CONN_BLOCK_SIZE - sizeof(struct conn_chunk)) {
        whole = (size + sizeof(struct conn_chunk) + PAGE_SIZE - 1) / PAGE_SIZE *
                PAGE_SIZE;
    }
    struct conn_chunk *chunk = pool_take(pool, whole);

    if (chunk != NULL) {
        *chunk = (struct conn_chunk){.size = whole};
    }
    return chunk;
}

char *output_reserve(struct conn_pool *pool, struct conn_output *output,
                     size_t size)
{
    struct conn_chunk *last = output->last;

    if (last == NULL || last->size - sizeof *last - last->end < size) {
        struct conn_chunk *chunk = chunk_create(pool, size);

        if (chunk == NULL) {
            return NULL;
        }
        if (last == NULL) {
            output->first = chunk;
        } else {
            last->next = chunk;
        }
        output->last = chunk;
        last = chunk;
    }
    return last->bytes + last->end;
}

void output_commit(struct conn_output *output, size_t size)
{
    struct conn_chunk *last = output->last;

    if (size == 0) {
        return;
    }
    check(last != NULL && size <= last->size - sizeof *last - last->end);
    last->end += size;
    output->size += size;
}

static void chunks_free(struct conn_pool *pool, struct conn_chunk *chunk)
{
    while (chunk != NULL) {
        struct conn_chunk *next = chunk->next;

        pool_give(pool, chunk, chunk->size);
        chunk = next;
    }
}

void output_clear(struct conn_pool *pool, struct conn_output *output)
{
    chunks_free(pool, output->first);
    *output = (struct conn_output){0};
}

void output_cut(struct conn_pool *pool, struct conn_output *output, size_t size)
{
    size_t before = 0;

    check(size <= output->size);
    if (size == output->size) {
        return;
    }
    if (size == 0) {
        output_clear(pool, output);
        return;
    }
    for (struct conn_chunk *chunk = output->first;; chunk = chunk->next) {
        size_t held = chunk->end - chunk->begin;

        if (before + held >= size) {
            chunk->end = chunk->begin + (size - before);
            chunks_free(pool, chunk->next);
            chunk->next = NULL;
            output->last = chunk;
            break;
        }
        before += held;
    }
    output->size = size;
}

int output_pieces(const struct conn_output *output,
                  struct iovec pieces[static NET_PIECES_MAX], size_t *total)
{
    int count = 0;

    *total = 0;
    for (struct conn_chunk *chunk = output->first;
         chunk != NULL && count < NET_PIECES_MAX; chunk = chunk->next) {
        size_t held = chunk->end - chunk->begin;

        if (held > 0) {
            pieces[count++] = (struct iovec){chunk->bytes + chunk->begin, held};
            *total += held;
        }
    }
    return count;
}

void output_sent(struct conn_pool *pool, struct conn_output *output,
                 size_t size)
{
    check(size <= output->size);
    output->size -= size;
    while (size > 0) {
        struct conn_chunk *chunk = output->first;
        size_t held = chunk->end - chunk->begin;

        if (size < held) {
            chunk->begin += size;
            return;
        }
        size -= held;
        output->first = chunk->next;
        if (output->first == NULL) {
            output->last = NULL;
        }
        pool_give(pool, chunk, chunk->size);
    }
}
