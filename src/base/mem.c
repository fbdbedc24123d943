#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void *system_resize(void *context, void *block, size_t size)
{
    (void)context;
    /* What realloc does with size 0 differs from libc to libc. */
    if (size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, size);
}

const struct mem *mem_system(void)
{
    static const struct mem system = {.resize = system_resize};

    return &system;
}

void *mem_alloc(const struct mem *mem, size_t size)
{
    return mem->resize(mem->context, NULL, size > 0 ? size : 1);
}

void *mem_alloc_zeroed(const struct mem *mem, size_t size)
{
    size_t wanted = size > 0 ? size : 1;

    /* Fresh pages of the kernel are zero already: calloc knows which are, and
     * leaves a large table unresident until it is used. */
    if (mem->resize == system_resize) {
        return calloc(1, wanted);
    }
    void *block = mem->resize(mem->context, NULL, wanted);

    if (block != NULL) {
        memset(block, 0, wanted);
    }
    return block;
}

void *mem_resize(const struct mem *mem, void *block, size_t size)
{
    return mem->resize(mem->context, block, size);
}

char *mem_copy_text(const struct mem *mem, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(mem, size);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void mem_free(const struct mem *mem, void *block)
{
    if (block != NULL) {
        (void)mem->resize(mem->context, block, 0);
    }
}

static void *faulty_resize(void *context, void *block, size_t size)
{
    struct mem_faulty *faulty = context;

    if (size == 0) {
        faulty->allocated -= block != NULL;
        return faulty->inner->resize(faulty->inner->context, block, 0);
    }
    if (faulty->fail_in >= 0 && faulty->fail_in-- == 0) {
        faulty->failed++;
        return NULL;
    }
    void *moved = faulty->inner->resize(faulty->inner->context, block, size);

    faulty->allocated += block == NULL && moved != NULL;
    return moved;
}

void mem_faulty_init(struct mem_faulty *faulty, const struct mem *inner)
{
    *faulty = (struct mem_faulty){
        .mem = {.context = faulty, .resize = faulty_resize},
        .inner = inner,
        .fail_in = -1,
    };
}
