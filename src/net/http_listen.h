/* http_listen.h -- the listening socket of the HTTP server. */
#ifndef NET_HTTP_LISTEN_H
#define NET_HTTP_LISTEN_H

#include <stddef.h>

#include "base/err.h"

enum { HTTP_ADDRESS_SIZE_MAX = 320 };

/* Listens on "host:port", "[v6]:port", ":port" or "*:port"; port 0: any free
 * one.  Always a real socket, whatever env->net is: libevent knows no other.
 * *handle is the caller's to close; bound gets host:port as it really is, in
 * numbers.  ERR_SYNTAX, ERR_IO with *why naming the address. */
enum err http_listen(const char *address, int *handle,
                     char bound[HTTP_ADDRESS_SIZE_MAX], struct why *why);

#endif
