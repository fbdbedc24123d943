/* log_queue.h -- a bounded queue of lines: many threads put, one takes.
 *
 * No side ever waits for the other, and a thread that is stopped in the middle
 * of a put delays only what was put after it.  Each cell has a ticket that
 * tells whose turn it is: at position p it is p when the cell is free to be
 * put, p + 1 when it is there to be taken, and p + LOG_QUEUE_LINES_MAX when it
 * was taken.  Private to log.c.
 */
#ifndef BASE_LOG_QUEUE_H
#define BASE_LOG_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/slice.h"

struct log_cell {
    _Atomic uint64_t ticket;
    size_t size;
};

struct log_queue {
    _Atomic uint64_t tail; /* the next position to be put */
    uint64_t head;         /* the next to be taken; the taker's own */
    struct log_cell cells[LOG_QUEUE_LINES_MAX];
    /* Beside the cells, so that memory is touched only as lines arrive. */
    char lines[LOG_QUEUE_LINES_MAX][LOG_LINE_SIZE_MAX];
};

void log_queue_init(struct log_queue *queue);

/* Copies the line.  False: the queue is full. */
bool log_queue_put(struct log_queue *queue, struct slice line);

/* The oldest line, or false if there is none that is complete.  The line stays
 * where it is, and its cell taken, until log_queue_take(). */
bool log_queue_peek(const struct log_queue *queue, struct slice *out);
void log_queue_take(struct log_queue *queue);

#endif
