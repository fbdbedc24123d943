/* What becomes of a call: the shard's answer, or the lack of one, turned into
 * what the client gets. */
#include "base/check.h"
#include "base/mem.h"
#include "router/worker.h"

/* "EN" and the flags that a miss echoes. */
enum { MISS_LINE_SIZE_MAX = 1024 };

static bool call_reads(const struct call *call)
{
    return call->kind == CALL_GET || call->kind == CALL_META_GET;
}

/* What of a good answer a quiet request does not want to see: mg hides its
 * miss, ms and md their HD, ma every success, noreply everything. */
static bool quiet_hides(const struct call *call, const struct reply *reply)
{
    bool done = slice_equal(reply->line, SLICE("HD")) ||
                (reply->line.size > 2 && memcmp(reply->line.at, "HD ", 3) == 0);

    if (call->kind == CALL_LINE) {
        return true;
    }
    if (reply->kind == REPLY_ERROR) {
        return false;
    }
    if (call->kind == CALL_META_GET) {
        return reply->kind == REPLY_MISS;
    }
    return done || (call->command == COMMAND_MA && reply->kind == REPLY_HIT);
}

static void get_answer(struct worker *worker, struct call *call,
                       const struct reply *reply)
{
    bool hit = reply->kind == REPLY_HIT;

    metric_add(hit ? &worker->metrics.get_hits : &worker->metrics.get_misses,
               1);
    if (hit) {
        session_finish(call->session, call,
                       call->last ? reply->whole : reply->block);
    } else {
        /* An error here has no place between values: the key is not there. */
        metric_add(&worker->metrics.failed_reads, reply->kind == REPLY_ERROR);
        session_finish(call->session, call,
                       call->last ? SLICE("END\r\n") : (struct slice){0});
    }
}

void call_answer(struct worker *worker, struct call *call,
                 const struct reply *reply)
{
    if (call->session == NULL) {
        worker_call_free(worker, call);
        return;
    }
    if (call->kind == CALL_GET) {
        get_answer(worker, call, reply);
        return;
    }
    if (call->kind == CALL_META_GET && call->command == COMMAND_MG) {
        bool miss = reply->kind == REPLY_MISS;

        metric_add(
            miss ? &worker->metrics.get_misses : &worker->metrics.get_hits, 1);
    }
    bool hidden = call->quiet && quiet_hides(call, reply);

    session_finish(call->session, call,
                   hidden ? (struct slice){0} : reply->whole);
}

/* "EN" with the opaque and the key, as the shard itself would have said. */
static size_t miss_write(char line[MISS_LINE_SIZE_MAX], struct slice request)
{
    struct slice rest = request;
    struct slice word;
    struct slice key = {0};
    size_t size = 2;
    bool encoded = false;

    memcpy(line, "EN", 2);
    (void)request_next_word(&rest, &word);
    (void)request_next_word(&rest, &key);
    for (struct slice ahead = rest; request_next_word(&ahead, &word);) {
        encoded = encoded || slice_equal(word, SLICE("b"));
    }
    while (request_next_word(&rest, &word)) {
        struct slice echoed = word.at[0] == 'k' ? key : word;

        if ((word.at[0] != 'k' && word.at[0] != 'O') ||
            size + echoed.size + 8 > MISS_LINE_SIZE_MAX) {
            continue;
        }
        memcpy(line + size, word.at[0] == 'k' ? " k" : " ", 2);
        size += word.at[0] == 'k' ? 2 : 1;
        memcpy(line + size, echoed.at, echoed.size);
        size += echoed.size;
        if (word.at[0] == 'k' && encoded) {
            memcpy(line + size, " b", 2);
            size += 2;
        }
    }
    memcpy(line + size, "\r\n", 2);
    return size + 2;
}

static struct slice line_of(struct slice request)
{
    const char *end = memchr(request.at, '\r', request.size);

    return end == NULL ? request
                       : (struct slice){request.at, (size_t)(end - request.at)};
}

void call_fail(struct worker *worker, struct call *call, struct slice request,
               enum wire_line line)
{
    char miss[MISS_LINE_SIZE_MAX];
    struct slice answer = wire_line(line);

    if (call->session == NULL) {
        worker_call_free(worker, call);
        return;
    }
    metric_add(call_reads(call) ? &worker->metrics.failed_reads
                                : &worker->metrics.failed_writes,
               1);
    if (call->kind == CALL_GET) {
        answer = call->last ? SLICE("END\r\n") : (struct slice){0};
    } else if (call->kind == CALL_META_GET) {
        answer.at = miss;
        answer.size = call->quiet ? 0 : miss_write(miss, line_of(request));
    } else if (call->kind == CALL_LINE && call->quiet) {
        answer.size = 0;
    }
    session_finish(call->session, call, answer);
}
