#include "ringd/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/slot.h"
#include "proto/limits.h"

struct store_file {
    const struct mem *mem;
    int lock; /* of <path>.lock: the document itself is replaced */
    char path[PATH_MAX];
    char next[PATH_MAX + 8]; /* what is written before it is renamed */
    char folder[PATH_MAX];
};

static enum err trouble(struct why *why, const char *what, const char *path)
{
    return err_why(why, ERR_IO, "cannot %s %.300s: %s", what, path,
                   strerror(errno));
}

static void version_make(struct slice document, struct store_version *out)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(out->text, sizeof out->text, "%zu-%016llx", document.size,
                   (unsigned long long)key_hash(document));
}

static enum err bytes_read(int fd, char *at, size_t size)
{
    while (size > 0) {
        ssize_t got = read(fd, at, size);

        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            errno = got == 0 ? EIO : errno; /* it became shorter meanwhile */
            return ERR_IO;
        }
        at += got;
        size -= (size_t)got;
    }
    return ERR_OK;
}

static enum err bytes_write(int fd, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t done = write(fd, bytes.at, bytes.size);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            return ERR_IO;
        }
        bytes.at += done;
        bytes.size -= (size_t)done;
    }
    return ERR_OK;
}

static enum err document_read(const struct store_file *store, int fd,
                              char **out, size_t *size, struct why *why)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return trouble(why, "look at", store->path);
    }
    if (!S_ISREG(status.st_mode)) {
        return err_why(why, ERR_IO, "%.300s is not a regular file",
                       store->path);
    }
    if (status.st_size > RING_DOCUMENT_SIZE_MAX) {
        return err_why(
            why, ERR_LIMIT, "%.300s has %lld bytes; allowed are at most %d",
            store->path, (long long)status.st_size, RING_DOCUMENT_SIZE_MAX);
    }
    char *text = mem_alloc(store->mem, (size_t)status.st_size + 1);

    if (text == NULL) {
        return err_why(why, ERR_NOMEM, "no memory to read %.300s", store->path);
    }
    if (bytes_read(fd, text, (size_t)status.st_size) != ERR_OK) {
        mem_free(store->mem, text);
        return trouble(why, "read", store->path);
    }
    text[status.st_size] = '\0';
    *out = text;
    *size = (size_t)status.st_size;
    return ERR_OK;
}

static enum err file_get(void *context, char **out, size_t *size,
                         struct store_version *version, struct why *why)
{
    const struct store_file *store = context;
    int fd = open(store->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT) {
        memset(version, 0, sizeof *version);
        return err_why(why, ERR_UNKNOWN, "there is no %.300s yet", store->path);
    }
    if (fd < 0) {
        return trouble(why, "open", store->path);
    }
    enum err e = document_read(store, fd, out, size, why);

    (void)close(fd);
    if (e == ERR_OK) {
        version_make((struct slice){*out, *size}, version);
    }
    return e;
}

/* The lock keeps other managers away, but not an editor. */
static enum err version_check(struct store_file *store,
                              const struct store_version *expected,
                              struct why *why)
{
    struct store_version found;
    char *text = NULL;
    size_t size;
    enum err e = file_get(store, &text, &size, &found, why);

    mem_free(store->mem, text);
    if (e != ERR_OK && e != ERR_UNKNOWN) {
        return e;
    }
    if (memcmp(&found, expected, sizeof found) != 0) {
        return err_why(why, ERR_CONFLICT,
                       "%.300s was changed by somebody else; restart to take "
                       "what it says now",
                       store->path);
    }
    return ERR_OK;
}

static enum err folder_sync(const struct store_file *store, struct why *why)
{
    int fd = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) {
        enum err e = trouble(why, "sync the folder", store->folder);

        if (fd >= 0) {
            (void)close(fd);
        }
        return e;
    }
    (void)close(fd);
    return ERR_OK;
}

static enum err next_write(const struct store_file *store,
                           struct slice document, struct why *why)
{
    int fd = open(store->next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0) {
        return trouble(why, "create", store->next);
    }
    enum err e = ERR_OK;

    if (bytes_write(fd, document) != ERR_OK || fsync(fd) != 0) {
        e = trouble(why, "write", store->next);
    }
    if (close(fd) != 0 && e == ERR_OK) {
        e = trouble(why, "write", store->next);
    }
    return e;
}

static enum err file_compare_and_swap(void *context, struct slice document,
                                      struct store_version *version,
                                      struct why *why)
{
    struct store_file *store = context;
    enum err e = version_check(store, version, why);

    if (e == ERR_OK) {
        e = next_write(store, document, why);
    }
    if (e != ERR_OK) {
        return e;
    }
    if (rename(store->next, store->path) != 0) {
        return trouble(why, "replace", store->path);
    }
    version_make(document, version);
    /* The new document is there, but a crash might still bring back the old
     * one: who asked must not tell anybody, and may ask again. */
    return folder_sync(store, why);
}

static void file_close(void *context)
{
    struct store_file *store = context;

    (void)close(store->lock);
    mem_free(store->mem, store);
}

static enum err lock_take(struct store_file *store, struct why *why)
{
    char path[PATH_MAX + 8];

    (void)snprintf(path, sizeof path, "%s.lock", store->path);
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock < 0) {
        return trouble(why, "open", path);
    }
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        enum err e =
            errno == EWOULDBLOCK
                ? err_why(why, ERR_CONFLICT,
                          "%.300s is in use by another torc-ringd; stop that "
                          "one, or give this one its own --store",
                          store->path)
                : trouble(why, "lock", path);

        (void)close(store->lock);
        return e;
    }
    return ERR_OK;
}

static enum err paths_make(struct store_file *store, const char *path,
                           struct why *why)
{
    const char *slash = strrchr(path, '/');
    size_t folder_size = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    if (path[0] == '\0' || path[strlen(path) - 1] == '/' ||
        strlen(path) + sizeof ".lock" > PATH_MAX) {
        return err_why(why, ERR_SYNTAX,
                       "the store's path is \"%.300s\"; allowed is a file's "
                       "path of at most %zu bytes",
                       path, (size_t)PATH_MAX - sizeof ".lock");
    }
    memcpy(store->path, path, strlen(path) + 1);
    (void)snprintf(store->next, sizeof store->next, "%s.next", store->path);
    memcpy(store->folder, slash == NULL ? "." : path,
           slash == NULL ? 1 : folder_size);
    return ERR_OK;
}

enum err store_file_open(const struct mem *mem, const char *path,
                         struct store *out, struct why *why)
{
    struct store_file *store = mem_alloc_zeroed(mem, sizeof *store);

    if (store == NULL) {
        return err_why(why, ERR_NOMEM, "no memory to open %.300s", path);
    }
    store->mem = mem;
    enum err e = paths_make(store, path, why);

    if (e == ERR_OK) {
        e = lock_take(store, why);
    }
    if (e != ERR_OK) {
        mem_free(mem, store);
        return e;
    }
    *out = (struct store){
        .context = store,
        .get = file_get,
        .compare_and_swap = file_compare_and_swap,
        .close = file_close,
    };
    return ERR_OK;
}
