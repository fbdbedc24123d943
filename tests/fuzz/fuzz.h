/* fuzz.h -- what a fuzz target offers to libFuzzer and to replay.c. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always returns 0; what must not be is a failed check(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
