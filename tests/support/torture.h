/* torture.h -- fail the n-th allocation, for every n.
 *
 * What a scenario allocates it must take from the struct mem it is given; link
 * with support_dep.
 */
#ifndef SUPPORT_TORTURE_H
#define SUPPORT_TORTURE_H

#include "base/err.h"
#include "base/mem.h"

enum { TORTURE_RUNS_MAX = 100000 };

/* Runs the scenario with allocation 0 failing, then 1, and so on, until a run
 * meets no failure, which must return ERR_OK.  Every run that met one must
 * return ERR_NOMEM, and every run must give back all that it took; else the
 * test fails.  Returns how many allocations were made to fail. */
unsigned torture_allocations(enum err (*scenario)(const struct mem *mem,
                                                  void *context),
                             void *context);

#endif
