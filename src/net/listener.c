#include "net/listener.h"

#include <errno.h>

#include "base/check.h"

static void on_rested(void *context)
{
    struct listener *listener = context;
    const struct net *net = loop_env(listener->loop)->net;

    net->watch_change(net->context, listener->watch, NET_READ);
}

void listener_init(struct listener *listener, struct loop *loop, int handle,
                   const struct listener_handler *handler, void *context)
{
    *listener = (struct listener){
        .loop = loop,
        .handle = handle,
        .rest = {.run = on_rested, .context = listener},
        .handler = handler,
        .context = context,
    };
}

static void listener_rest(struct listener *listener, int error)
{
    const struct net *net = loop_env(listener->loop)->net;

    net->watch_change(net->context, listener->watch, 0);
    timer_set(listener->loop, &listener->rest,
              loop_now_ms(listener->loop) + LISTENER_REST_MS);
    listener->handler->tired(listener->context, listener, error);
}

/* The handler may close the listener. */
static void on_ready(void *context, unsigned events)
{
    struct listener *listener = context;
    const struct net *net = loop_env(listener->loop)->net;

    (void)events;
    for (int i = 0; i < LISTENER_BATCH_MAX && listener->handle >= 0; i++) {
        int handle = net->accept(net->context, listener->handle);

        if (handle >= 0) {
            listener->handler->accepted(listener->context, listener, handle);
        } else if (handle == -EAGAIN) {
            return;
        } else if (handle == -EMFILE || handle == -ENFILE ||
                   handle == -ENOMEM || handle == -ENOBUFS) {
            listener_rest(listener, -handle);
            return;
        }
        /* Else that one connection died in the queue; the next may not. */
    }
}

bool listener_start(struct listener *listener)
{
    const struct net *net = loop_env(listener->loop)->net;

    check(listener->watch == NULL && listener->handle >= 0);
    listener->watch =
        net->watch_create(net->context, loop_poller(listener->loop),
                          listener->handle, NET_READ, on_ready, listener);
    return listener->watch != NULL;
}

void listener_close(struct listener *listener)
{
    const struct net *net = loop_env(listener->loop)->net;

    timer_clear(listener->loop, &listener->rest);
    if (listener->watch != NULL) {
        net->watch_destroy(net->context, listener->watch);
        listener->watch = NULL;
    }
    if (listener->handle >= 0) {
        net->unlisten(net->context, listener->handle);
        listener->handle = -1;
    }
}
