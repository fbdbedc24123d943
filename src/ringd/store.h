/* store.h -- where the committed ring is kept.
 *
 * One document, changed only by compare-and-swap: who has not seen the newest
 * version cannot overwrite it.  That, and no lease, is what keeps two managers
 * from committing two rings of one epoch.  A store is a table of functions, so
 * that a file, etcd or Kubernetes can stand behind it; none of them knows what
 * a ring is.
 */
#ifndef RINGD_STORE_H
#define RINGD_STORE_H

#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"

/* Which version was read: the store's own words, compared by it alone.  All
 * zero: there is no document. */
struct store_version {
    char text[64];
};

struct store {
    void *context;
    /* The document, the caller's to mem_free, and its version.  ERR_UNKNOWN:
     * there is none yet; *version is then good for the first swap. */
    enum err (*get)(void *context, char **out, size_t *size,
                    struct store_version *version, struct why *why);
    /* Puts the document in the place of that version, and returns only when it
     * would survive a crash; *version is then the new one.  ERR_CONFLICT: it
     * is not the version any more.  ERR_IO: it is not certain which document
     * would survive; nobody may be told of the new one, and the swap may be
     * tried again with *version as it then is. */
    enum err (*compare_and_swap)(void *context, struct slice document,
                                 struct store_version *version,
                                 struct why *why);
    void (*close)(void *context);
};

#endif
