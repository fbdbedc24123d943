/* http.h -- a small HTTP/1.1 server on a thread of its own (libevent's evhttp).
 *
 * For what people and machines ask beside the data path: /metrics, /livez,
 * /readyz, /ring, and ringd's API.  Handlers run on the server's thread, one
 * at a time.  Bodies and headers are bounded; a request beyond is refused.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    HTTP_BODY_SIZE_MAX = 4 << 20,
    HTTP_HEADERS_SIZE_MAX = 16 << 10,
    HTTP_STREAMS_MAX = 4096, /* watchers at once; one more is told 503 */
    HTTP_STREAM_BACKLOG_MAX = 8 << 20, /* a watcher further behind is cut off */
};

struct http_server;
struct http_request;
struct http_stream;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE };

struct http_route {
    enum http_method method;
    const char *path; /* exact, or a prefix if it ends in '/' */
    void (*handle)(void *context, struct http_request *request);
};

struct http_options {
    const char *address; /* host:port, [v6]:port, *:port; port 0: any */
    const struct http_route *routes;
    size_t route_count;
    void *context;
    /* May be NULL: called on the server's thread about once a second. */
    void (*tick)(void *context);
};

/* ERR_SYNTAX, ERR_IO with *why naming the address.  env and what options point
 * to, except the address and the list of routes, are borrowed for the server's
 * life. */
enum err http_start(struct http_server **out, const struct env *env,
                    const struct http_options *options, struct why *why);
/* Ends all streams (their ended() is called), sends what is left and joins the
 * thread; *server is NULL then.  Not from a handler; nobody may post or send
 * any more.  Safe on NULL. */
void http_stop(struct http_server **server);
/* host:port really bound. */
const char *http_address(const struct http_server *server);

/* From any thread: run(context) soon, on the server's thread. */
void http_post(struct http_server *server, void (*run)(void *context),
               void *context);

/* The part of the path after a prefix route; the whole path otherwise.  As it
 * was sent: %xx is not decoded. */
struct slice http_path(const struct http_request *request);
/* A query parameter, decoded; NULL if absent. */
const char *http_query(const struct http_request *request, const char *name);
struct slice http_body(const struct http_request *request);

/* Exactly one of these answers a request, before its handler returns. */
void http_answer(struct http_request *request, int status,
                 const char *content_type, struct slice body);
/* {"error": "..."} */
void http_refuse(struct http_request *request, int status, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));
/* A chunked answer that stays open.  ended(context) is called once, soon after
 * the peer has gone, fell too far behind or http_stream_end was called: from
 * the server's loop, never from inside one of these functions, so a handler may
 * walk over its streams and send to each.  The stream is valid until then.
 * NULL: too many, 503 was sent. */
struct http_stream *http_answer_stream(struct http_request *request,
                                       const char *content_type,
                                       void (*ended)(void *context),
                                       void *context);
/* On the server's thread.  A peer that falls too far behind is ended. */
void http_stream_send(struct http_stream *stream, struct slice bytes);
void http_stream_end(struct http_stream *stream);

#endif
