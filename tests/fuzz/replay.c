/* Runs a fuzz target over the files of a folder, whole and cut at every place,
 * so that what a fuzzer once found is a test for ever, with any compiler. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz/fuzz.h"

enum {
    FILE_SIZE_MAX = 1 << 16,
    /* Longer ones are cut only near their ends. */
    CUT_SIZE_MAX = 4096,
    PATH_SIZE_MAX = 4096,
};

/* From a block that holds no more, so that a sanitizer sees a byte too many
 * being read. */
static void target_run(const char *bytes, size_t size)
{
    uint8_t *block = mem_alloc(mem_system(), size);

    if (block == NULL) {
        abort();
    }
    memcpy(block, bytes, size);
    (void)LLVMFuzzerTestOneInput(block, size);
    mem_free(mem_system(), block);
}

static bool file_run(const char *path, char bytes[static FILE_SIZE_MAX])
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(bytes, 1, FILE_SIZE_MAX, file);

    (void)fclose(file);
    for (size_t i = 0; i <= size; i++) {
        if (i <= CUT_SIZE_MAX || size - i <= CUT_SIZE_MAX) {
            target_run(bytes, i);
        }
    }
    return true;
}

/* Returns the number of files, or -1. */
static int folder_run(const char *path, char bytes[static FILE_SIZE_MAX])
{
    DIR *folder = opendir(path);
    int count = 0;

    if (folder == NULL) {
        perror(path);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[PATH_SIZE_MAX];
        int size = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);

        if (entry->d_name[0] == '.' || size >= (int)sizeof name) {
            continue;
        }
        count = count >= 0 && file_run(name, bytes) ? count + 1 : -1;
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    char *bytes = mem_alloc(mem_system(), FILE_SIZE_MAX);
    int count = argc == 2 && bytes != NULL ? folder_run(argv[1], bytes) : -1;

    mem_free(mem_system(), bytes);
    if (count <= 0) {
        (void)fprintf(stderr, "usage: %s <folder with inputs>\n", argv[0]);
        return EXIT_FAILURE;
    }
    (void)printf("%d inputs, each whole and at every cut\n", count);
    return EXIT_SUCCESS;
}
