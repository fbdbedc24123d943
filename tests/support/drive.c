/* drive.c -- the driver's command line, its loop and its report.
 *
 *   drive --port 11211 --operations 100000 --mix get=0.9,set=0.1
 *
 * Prints one JSON object; ends with 0 if no answer was wrong, no connection
 * lost and, unless --tolerant, no error answered.
 */
#include "support/drive.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/check.h"

enum { STALL_TIMEOUT_MS = 10000, PACE_MS = 2 };

struct drive {
    struct drive_plan plan;
    struct drive_books books;
    struct drive_zipf zipf;
    struct drive_session *sessions[DRIVE_CONNECTIONS_MAX];
    struct pollfd polls[DRIVE_CONNECTIONS_MAX];
    uint64_t issued;
    uint64_t began_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    check(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool drive_begin(struct drive *drive)
{
    const struct mem *mem = mem_system();
    const struct drive_plan *plan = &drive->plan;

    if (!drive_zipf_init(&drive->zipf, mem, plan->keys / plan->connections,
                         plan->alpha)) {
        return false;
    }
    for (unsigned i = 0; i < plan->connections; i++) {
        drive->sessions[i] =
            drive_session_create(mem, plan, &drive->zipf, &drive->books, i);
        if (drive->sessions[i] == NULL) {
            return false;
        }
    }
    drive->began_ns = now_ns();
    return true;
}

static void drive_end(struct drive *drive)
{
    for (unsigned i = 0; i < drive->plan.connections; i++) {
        drive_session_destroy(&drive->sessions[i]);
    }
    drive_zipf_fini(&drive->zipf);
}

/* How many requests may be issued now.  *over: none ever again. */
static uint64_t allowance(const struct drive *drive, uint64_t now, bool *over)
{
    const struct drive_plan *plan = &drive->plan;
    double elapsed_s = (double)(now - drive->began_ns) / 1e9;

    *over = drive->issued >= plan->operations || elapsed_s >= plan->seconds;
    if (*over) {
        return 0;
    }
    uint64_t left = plan->operations - drive->issued;
    uint64_t due = (uint64_t)(plan->rate * elapsed_s) + 1;

    if (plan->rate > 0 && due < plan->operations) {
        return due > drive->issued ? due - drive->issued : 0;
    }
    return left;
}

/* Issues what may be issued.  False: everything is done. */
static bool issue_all(struct drive *drive, uint64_t now)
{
    bool over;
    uint64_t left = allowance(drive, now, &over);
    bool busy = false;
    bool open = false;

    for (unsigned i = 0; i < drive->plan.connections; i++) {
        struct drive_session *session = drive->sessions[i];
        struct pollfd *poll = &drive->polls[i];

        *poll = (struct pollfd){.fd = -1};
        if (session == NULL) {
            continue;
        }
        uint64_t issued = drive_session_issue(session, left, now);

        left -= issued;
        drive->issued += issued;
        open = true;
        busy = busy || !drive_session_is_idle(session);
        poll->fd = drive_session_handle(session);
        poll->events =
            (short)(POLLIN |
                    (drive_session_wants_to_write(session) ? POLLOUT : 0));
    }
    return busy || (open && !over);
}

static void serve(struct drive *drive, unsigned i, uint64_t now)
{
    struct drive_session *session = drive->sessions[i];
    short happened = drive->polls[i].revents;
    bool alive = true;

    if (session == NULL || happened == 0) {
        return;
    }
    if ((happened & POLLOUT) != 0) {
        alive = drive_session_write(session);
    }
    if (alive && (happened & (POLLIN | POLLERR | POLLHUP)) != 0) {
        alive = drive_session_read(session, now);
    }
    if (!alive) {
        drive->books.lost++;
        drive_session_destroy(&drive->sessions[i]);
    }
}

static bool drive_run(struct drive *drive)
{
    uint64_t heard_ns = now_ns();

    while (issue_all(drive, now_ns())) {
        int ready = poll(drive->polls, (nfds_t)drive->plan.connections,
                         drive->plan.rate > 0 ? PACE_MS : STALL_TIMEOUT_MS);
        uint64_t now = now_ns();

        if (ready > 0) {
            heard_ns = now;
        } else if (now - heard_ns >= STALL_TIMEOUT_MS * UINT64_C(1000000)) {
            (void)fprintf(stderr, "drive: no answer for %d s\n",
                          STALL_TIMEOUT_MS / 1000);
            return false;
        }
        for (unsigned i = 0; i < drive->plan.connections; i++) {
            serve(drive, i, now);
        }
    }
    return true;
}

static void drive_report(const struct drive *drive, bool finished)
{
    const struct drive_books *books = &drive->books;
    double seconds = (double)(now_ns() - drive->began_ns) / 1e9;

    (void)printf(
        "{\"finished\": %s, \"operations\": %llu, \"hits\": %llu, "
        "\"misses\": %llu, \"stored\": %llu, \"errors\": %llu, "
        "\"wrong\": %llu, \"lost\": %llu, \"seconds\": %.3f, "
        "\"per_second\": %.0f, \"p50_ms\": %.3f, "
        "\"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
        finished ? "true" : "false", (unsigned long long)books->operations,
        (unsigned long long)books->hits, (unsigned long long)books->misses,
        (unsigned long long)books->stored, (unsigned long long)books->errors,
        (unsigned long long)books->wrong, (unsigned long long)books->lost,
        seconds, (double)books->operations / seconds,
        drive_latency_ms(books, 0.5), drive_latency_ms(books, 0.99),
        (double)books->latency_max_ns / 1e6);
}

int main(int argc, char **argv)
{
    struct drive *drive = mem_alloc_zeroed(mem_system(), sizeof *drive);
    int status = 1;

    if (drive == NULL || !drive_options(&drive->plan, argc, argv)) {
        mem_free(mem_system(), drive);
        return 2;
    }
    if (drive_begin(drive)) {
        bool finished = drive_run(drive);
        const struct drive_books *books = &drive->books;

        drive_report(drive, finished);
        status = !finished || books->wrong > 0 || books->lost > 0 ||
                 (books->errors > 0 && !drive->plan.tolerant);
    }
    drive_end(drive);
    mem_free(mem_system(), drive);
    return status;
}
