#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_inside.h"

enum {
    HTTP_STALL_S_MAX = 10, /* a watcher that takes not one byte */
    /* What a watcher may send us meanwhile, which nobody reads. */
    HTTP_STREAM_INPUT_SIZE_MAX = 4 << 10,
};

/* ended() never runs inside a call of ours: whoever walks over its watchers
 * and sends to each must not lose one from under its feet. */
static void stream_end_soon(struct http_stream *stream)
{
    struct http_server *server = stream->server;

    if (!stream->ending) {
        stream->ending = true;
        TAILQ_REMOVE(&server->streams, stream, next);
        TAILQ_INSERT_TAIL(&server->endings, stream, next);
        event_active(server->reap_event, EV_TIMEOUT, 0);
    }
}

static void stream_on_close(struct evhttp_connection *connection, void *context)
{
    struct http_stream *stream = context;

    (void)connection;
    check(stream->magic == HTTP_STREAM_MAGIC);
    /* libevent has let go of a request that was still being answered: it is
     * ours to free.  One that is still attached goes with the connection. */
    if (evhttp_request_get_connection(stream->raw) == NULL) {
        evhttp_request_free(stream->raw);
    }
    stream->raw = NULL;
    stream_end_soon(stream);
}

static void stream_finish(struct http_stream *stream)
{
    if (stream->raw != NULL) {
        struct evhttp_connection *connection =
            evhttp_request_get_connection(stream->raw);

        evhttp_connection_set_closecb(connection, NULL, NULL);
        if (stream->cut) {
            evhttp_connection_free(connection);
        } else {
            evhttp_send_reply_end(stream->raw);
        }
    }
    stream->ended(stream->context);
    stream->magic = MAGIC_DEAD;
    mem_free(stream->server->env->mem, stream);
}

void http_streams_reap(struct http_server *server)
{
    struct http_stream *stream;

    while ((stream = TAILQ_FIRST(&server->endings)) != NULL) {
        TAILQ_REMOVE(&server->endings, stream, next);
        server->stream_count--;
        stream_finish(stream);
    }
}

void http_streams_end(struct http_server *server)
{
    struct http_stream *stream;

    while ((stream = TAILQ_FIRST(&server->streams)) != NULL) {
        stream_end_soon(stream);
    }
    http_streams_reap(server);
}

static struct bufferevent *stream_bufferevent(const struct http_stream *stream)
{
    return evhttp_connection_get_bufferevent(
        evhttp_request_get_connection(stream->raw));
}

/* A watcher says nothing for hours, so only writing may time out; what it says
 * nevertheless is not read beyond a few bytes. */
static void stream_tune(const struct http_stream *stream)
{
    static const struct timeval stall = {.tv_sec = HTTP_STALL_S_MAX};
    struct bufferevent *bufferevent = stream_bufferevent(stream);

    bufferevent_set_timeouts(bufferevent, NULL, &stall);
    bufferevent_setwatermark(bufferevent, EV_READ, 0,
                             HTTP_STREAM_INPUT_SIZE_MAX);
}

struct http_stream *http_answer_stream(struct http_request *request,
                                       const char *content_type,
                                       void (*ended)(void *context),
                                       void *context)
{
    struct http_server *server = request->server;
    struct http_stream *stream = NULL;

    if (server->stream_count < HTTP_STREAMS_MAX) {
        stream = mem_alloc_zeroed(server->env->mem, sizeof *stream);
    }
    if (stream == NULL) {
        http_refuse(request, HTTP_SERVUNAVAIL,
                    "there are %zu streams open, at most %d are allowed: try "
                    "again later",
                    server->stream_count, HTTP_STREAMS_MAX);
        return NULL;
    }
    check(!request->answered);
    request->answered = true;
    stream->magic = HTTP_STREAM_MAGIC;
    stream->server = server;
    stream->raw = request->raw;
    stream->ended = ended;
    stream->context = context;
    TAILQ_INSERT_TAIL(&server->streams, stream, next);
    server->stream_count++;
    http_header_add(request->raw, "Content-Type", content_type);
    http_header_add(request->raw, "Cache-Control", "no-store");
    http_header_add(request->raw, "Connection", "close");
    evhttp_connection_set_closecb(evhttp_request_get_connection(request->raw),
                                  stream_on_close, stream);
    evhttp_send_reply_start(request->raw, HTTP_OK, NULL);
    stream_tune(stream);
    return stream;
}

void http_stream_send(struct http_stream *stream, struct slice bytes)
{
    check(stream->magic == HTTP_STREAM_MAGIC);
    /* An empty chunk would be the end of the answer. */
    if (stream->ending || bytes.size == 0) {
        return;
    }
    size_t backlog =
        evbuffer_get_length(bufferevent_get_output(stream_bufferevent(stream)));
    struct evbuffer *chunk = NULL;

    if (backlog + bytes.size <= HTTP_STREAM_BACKLOG_MAX) {
        chunk = evbuffer_new();
    }
    if (chunk == NULL || evbuffer_add(chunk, bytes.at, bytes.size) != 0) {
        stream->cut = true;
        stream_end_soon(stream);
    } else {
        evhttp_send_reply_chunk(stream->raw, chunk);
    }
    if (chunk != NULL) {
        evbuffer_free(chunk);
    }
}

void http_stream_end(struct http_stream *stream)
{
    check(stream->magic == HTTP_STREAM_MAGIC);
    stream_end_soon(stream);
}
