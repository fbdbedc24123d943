#include "support/fake_stream.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

struct fake_socket *fake_socket_create(const struct mem *mem,
                                       enum fake_kind kind)
{
    struct fake_socket *at = mem_alloc_zeroed(mem, sizeof *at);

    check(at != NULL);
    at->kind = kind;
    return at;
}

void fake_socket_destroy(const struct mem *mem, struct fake_socket *at)
{
    mem_free(mem, at->waiting);
    mem_free(mem, at->bytes);
    mem_free(mem, at);
}

void fake_socket_join(struct fake_socket *a, struct fake_socket *b)
{
    a->other = b;
    b->other = a;
}

void fake_socket_part(struct fake_socket *at)
{
    if (at->other != NULL) {
        at->other->is_at_end = true;
        at->other->other = NULL;
        at->other = NULL;
    }
}

static void break_end(struct fake_socket *at)
{
    at->error = ECONNRESET;
    at->begin = at->end = at->visible = 0;
}

void fake_socket_reset(struct fake_socket *at)
{
    break_end(at);
    if (at->other != NULL) {
        break_end(at->other);
    }
}

size_t fake_socket_under_way(const struct fake_socket *at)
{
    return at->end - at->begin - at->visible;
}

bool fake_socket_is_drained(const struct fake_socket *at)
{
    return at->begin == at->end;
}

ssize_t fake_socket_read(struct fake_socket *at, void *out, size_t size)
{
    if (at->error != 0) {
        return -at->error;
    }
    if (at->visible == 0) {
        return at->is_at_end && fake_socket_is_drained(at) ? 0 : -EAGAIN;
    }
    size_t taken = size < at->visible ? size : at->visible;

    memcpy(out, at->bytes + at->begin, taken);
    at->begin += taken;
    at->visible -= taken;
    return (ssize_t)taken;
}

size_t fake_socket_room(const struct fake_socket *at, size_t window)
{
    if (at->other == NULL) {
        return 0;
    }
    size_t held = at->other->end - at->other->begin;

    return held < window ? window - held : 0;
}

void fake_socket_put(const struct mem *mem, struct fake_socket *at,
                     const void *bytes, size_t size)
{
    if (at->begin > 0) {
        memmove(at->bytes, at->bytes + at->begin, at->end - at->begin);
        at->end -= at->begin;
        at->begin = 0;
    }
    if (at->end + size > at->size) {
        size_t grown = (at->end + size) * 2;

        at->bytes = mem_resize(mem, at->bytes, grown);
        check(at->bytes != NULL);
        at->size = grown;
    }
    memcpy(at->bytes + at->end, bytes, size);
    at->end += size;
}

unsigned fake_socket_events(const struct fake_socket *at, uint64_t now_ns,
                            size_t window)
{
    if (at->kind == FAKE_LISTENER) {
        return at->waiting_count > 0 ? NET_READ : 0;
    }
    if (at->is_connecting) {
        return at->connected_ns <= now_ns ? NET_WRITE : 0;
    }
    if (at->error != 0) {
        return NET_READ | NET_WRITE;
    }
    bool readable =
        at->visible > 0 || (at->is_at_end && fake_socket_is_drained(at));
    bool writable = at->other == NULL || fake_socket_room(at, window) > 0;

    return (readable ? (unsigned)NET_READ : 0) |
           (writable ? (unsigned)NET_WRITE : 0);
}

void fake_queue_push(const struct mem *mem, struct fake_socket *at, int handle)
{
    int *grown = mem_resize(mem, at->waiting,
                            (at->waiting_count + 1) * sizeof at->waiting[0]);

    check(grown != NULL);
    at->waiting = grown;
    at->waiting[at->waiting_count++] = handle;
}

int fake_queue_pop(struct fake_socket *at)
{
    if (at->waiting_count == 0) {
        return -EAGAIN;
    }
    int oldest = at->waiting[0];

    at->waiting_count--;
    memmove(at->waiting, at->waiting + 1,
            at->waiting_count * sizeof at->waiting[0]);
    return oldest;
}
