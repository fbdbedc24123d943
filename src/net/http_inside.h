/* http_inside.h -- what http.c, http_answer.c and http_stream.c share. */
#ifndef NET_HTTP_INSIDE_H
#define NET_HTTP_INSIDE_H

#include <pthread.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "net/http.h"
#include "net/http_listen.h"

#define HTTP_SERVER_MAGIC MAGIC('h', 't', 'p', 's')
#define HTTP_STREAM_MAGIC MAGIC('h', 't', 'p', 'w')

struct http_post {
    void (*run)(void *context);
    void *context;
    STAILQ_ENTRY(http_post) next;
};

struct http_stream {
    uint32_t magic;
    struct http_server *server;
    struct evhttp_request *raw; /* NULL once its connection is gone */
    void (*ended)(void *context);
    void *context;
    bool ending;
    bool cut; /* close at once: the backlog would never drain */
    TAILQ_ENTRY(http_stream) next;
};

TAILQ_HEAD(http_streams, http_stream);

struct http_server {
    uint32_t magic;
    const struct env *env;
    struct http_route *routes;
    size_t route_count;
    void *context;
    void (*tick)(void *context);
    char address[HTTP_ADDRESS_SIZE_MAX];

    struct event_base *base;
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound;
    struct event *tick_event;
    struct event *post_event;
    struct event *reap_event;
    struct http_streams streams; /* open */
    struct http_streams endings; /* their ended() is due */
    size_t stream_count;
    bool finishing; /* what is under way is answered, nothing new begun */

    pthread_t thread;
    int wake; /* eventfd: there are posts */
    pthread_mutex_t mutex;
    STAILQ_HEAD(, http_post) posts; /* under the mutex */
};

struct http_request {
    struct http_server *server;
    struct evhttp_request *raw;
    struct slice path; /* decoded, what the route leaves of it */
    struct evkeyvalq query;
    bool answered;
};

/* Ends all streams and calls their ended().  On the server's thread. */
void http_streams_end(struct http_server *server);

/* Calls the ended() that are due; http_server.reap_event runs it. */
void http_streams_reap(struct http_server *server);

void http_header_add(struct evhttp_request *raw, const char *name,
                     const char *value);

#endif
