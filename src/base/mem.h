/* mem.h -- where memory comes from.
 *
 * Modules take their memory from a struct mem so that a test can make the n-th
 * allocation fail and count what was not given back.  mem_system() is
 * jemalloc (the process is linked against it; sanitizer builds keep their own).
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

struct mem {
    void *context;
    /* size 0 frees block and returns NULL; block NULL allocates.  NULL for a
     * size above 0 means that there was no memory; block is then untouched. */
    void *(*resize)(void *context, void *block, size_t size);
};

/* Safe for several threads at once. */
const struct mem *mem_system(void);

/* NULL: there was no memory.  A size of 0 is taken as 1, so that a block is
 * always a block. */
void *mem_alloc(const struct mem *mem, size_t size);
void *mem_alloc_zeroed(const struct mem *mem, size_t size);
/* Like mem->resize: a size of 0 frees. */
void *mem_resize(const struct mem *mem, void *block, size_t size);
char *mem_copy_text(const struct mem *mem, const char *text);
/* Safe on NULL. */
void mem_free(const struct mem *mem, void *block);

/* A struct mem that can be told to fail.  Not safe for several threads. */
struct mem_faulty {
    struct mem mem; /* hand out &faulty.mem */
    const struct mem *inner;
    int64_t fail_in;   /* allocations left before one fails; < 0: never.
                        * Growing a block counts; one failure, then none */
    int64_t allocated; /* blocks handed out and not yet freed */
    uint64_t failed;   /* allocations refused */
};

void mem_faulty_init(struct mem_faulty *faulty, const struct mem *inner);

#endif
