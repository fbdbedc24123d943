/* name.h -- what a node is called: --name, or else the host's name. */
#ifndef NODE_NAME_H
#define NODE_NAME_H

#include <stdbool.h>

#include "base/err.h"
#include "proto/limits.h"

/* Writes the name.  given may be NULL.  A name that ringd will hear must be one
 * that a ring can hold; ERR_SYNTAX, ERR_RANGE with *why if it is not, and it
 * was given or must_fit. */
enum err node_name(char out[RING_NAME_SIZE_MAX + 1], const char *given,
                   bool must_fit, struct why *why);

#endif
