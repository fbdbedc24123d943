/* client.h -- one blocking connection to something that speaks memcached.
 *
 * Send any number of commands, then take their answers apart in order: lines,
 * and blocks of a size that a line announced.  What it hands out points into
 * its buffer and lives until the next call.
 *
 * For the tool: it waits with poll(2), so it needs net_system().
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "base/env.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    CLIENT_LINE_SIZE_MAX = 64 << 10,
    CLIENT_BLOCK_SIZE_MAX = 1 << 30,
    CLIENT_WORDS_MAX = 24,
};

struct client;

/* address: "host:port" or "unix:/path".  timeout_ms bounds every single wait.
 * ERR_IO, ERR_TIMEOUT, ERR_SYNTAX with *why naming the address. */
enum err client_open(struct client **out, const struct env *env,
                     const char *address, uint64_t timeout_ms, struct why *why);
/* Safe on NULL; sets *client to NULL. */
void client_close(struct client **client);

/* All errors below leave the connection useless; *why names the address.
 * ERR_IO, ERR_CLOSED, ERR_TIMEOUT, ERR_NOMEM, ERR_SYNTAX. */
enum err client_send(struct client *client, struct slice bytes,
                     struct why *why);
/* The next line, without its "\r\n". */
enum err client_line(struct client *client, struct slice *line,
                     struct why *why);
/* The next size bytes, which must be followed by "\r\n". */
enum err client_block(struct client *client, uint64_t size, struct slice *block,
                      struct why *why);

/* Splits a line at its spaces; at most CLIENT_WORDS_MAX words. */
struct client_words {
    struct slice at[CLIENT_WORDS_MAX];
    size_t count;
};
void client_split(struct slice line, struct client_words *words);

/* ERROR, CLIENT_ERROR and SERVER_ERROR lines. */
bool client_line_is_error(struct slice line);

#endif
