#include "base/log_queue.h"

#include <stdatomic.h>
#include <string.h>

#include "base/check.h"

_Static_assert((LOG_QUEUE_LINES_MAX & (LOG_QUEUE_LINES_MAX - 1)) == 0,
               "positions wrap to cells by a mask");

static size_t cell_index(uint64_t position)
{
    return position & (LOG_QUEUE_LINES_MAX - 1);
}

void log_queue_init(struct log_queue *queue)
{
    queue->head = 0;
    atomic_init(&queue->tail, 0);
    for (uint64_t i = 0; i < LOG_QUEUE_LINES_MAX; i++) {
        atomic_init(&queue->cells[i].ticket, i);
    }
}

/* Makes one position the caller's. */
static bool position_claim(struct log_queue *queue, uint64_t *out)
{
    uint64_t position =
        atomic_load_explicit(&queue->tail, memory_order_relaxed);

    for (;;) {
        struct log_cell *cell = &queue->cells[cell_index(position)];
        int64_t turn = (int64_t)(atomic_load_explicit(&cell->ticket,
                                                      memory_order_acquire) -
                                 position);

        if (turn < 0) {
            return false;
        }
        if (turn > 0) {
            /* Somebody else claimed it meanwhile. */
            position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak_explicit(
                       &queue->tail, &position, position + 1,
                       memory_order_relaxed, memory_order_relaxed)) {
            *out = position;
            return true;
        }
    }
}

bool log_queue_put(struct log_queue *queue, struct slice line)
{
    uint64_t position;

    check(line.size <= LOG_LINE_SIZE_MAX);
    if (!position_claim(queue, &position)) {
        return false;
    }
    struct log_cell *cell = &queue->cells[cell_index(position)];

    memcpy(queue->lines[cell_index(position)], line.at, line.size);
    cell->size = line.size;
    atomic_store_explicit(&cell->ticket, position + 1, memory_order_release);
    return true;
}

bool log_queue_peek(const struct log_queue *queue, struct slice *out)
{
    size_t index = cell_index(queue->head);
    const struct log_cell *cell = &queue->cells[index];

    if (atomic_load_explicit(&cell->ticket, memory_order_acquire) !=
        queue->head + 1) {
        return false;
    }
    *out = (struct slice){queue->lines[index], cell->size};
    return true;
}

void log_queue_take(struct log_queue *queue)
{
    struct log_cell *cell = &queue->cells[cell_index(queue->head)];

    atomic_store_explicit(&cell->ticket, queue->head + LOG_QUEUE_LINES_MAX,
                          memory_order_release);
    queue->head++;
}
