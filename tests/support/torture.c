#include "support/torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

unsigned torture_allocations(enum err (*scenario)(const struct mem *mem,
                                                  void *context),
                             void *context)
{
    struct mem_faulty faulty;

    for (unsigned run = 0; run < TORTURE_RUNS_MAX; run++) {
        mem_faulty_init(&faulty, mem_system());
        faulty.fail_in = run;
        enum err e = scenario(&faulty.mem, context);

        if (faulty.allocated != 0) {
            fail_msg("with allocation %u failing, %lld blocks were lost", run,
                     (long long)faulty.allocated);
        }
        if (e != (faulty.failed > 0 ? ERR_NOMEM : ERR_OK)) {
            fail_msg("with allocation %u failing, the answer was: %s", run,
                     err_text(e));
        }
        if (faulty.failed == 0) {
            return run;
        }
    }
    fail_msg("still failing after %d runs", TORTURE_RUNS_MAX);
    return 0;
}
