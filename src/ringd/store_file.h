/* store_file.h -- the ring in a file, for one manager.
 *
 * Replaced as a whole: written beside, synced, renamed, and the folder synced,
 * so a crash leaves the old document or the new one.  A lock on <path>.lock
 * keeps a second manager away for as long as the store is open.
 */
#ifndef RINGD_STORE_FILE_H
#define RINGD_STORE_FILE_H

#include "base/mem.h"
#include "ringd/store.h"

/* ERR_CONFLICT: another process has it open.  ERR_IO with *why naming the
 * path. */
enum err store_file_open(const struct mem *mem, const char *path,
                         struct store *out, struct why *why);

#endif
