/* request_inside.h -- what the files of the request parser share. */
#ifndef CORE_REQUEST_INSIDE_H
#define CORE_REQUEST_INSIDE_H

#include "core/request.h"
#include "core/words.h"

/* PARSE_BAD, and nothing about the key is to be done. */
enum parse request_bad(struct request *out, enum wire_line error);

/* The same for a command with a data block whose size is not known, so that
 * only closing keeps the block from being obeyed as commands. */
enum parse request_bad_close(struct request *out, enum wire_line error);

/* The same where the size is known: the block is swallowed.  One that is larger
 * than any value is more likely a lie, so close. */
enum parse request_bad_skip(const struct request_parser *parser,
                            struct request *out, enum wire_line error,
                            uint64_t size);

/* The size of a data block as the command line names it. */
bool request_read_size(struct slice word, uint64_t *size);

/* The last step of a command with a data block. */
enum parse request_take_block(const struct request_parser *parser,
                              struct slice input, struct request *out,
                              uint64_t size);

/* What follows the command word, by shape.  out->line and out->consumed are
 * set, words is behind the command word. */
enum parse request_parse_store(const struct request_parser *parser,
                               struct slice input, struct request *out,
                               struct words *words);
enum parse request_parse_delete(struct request *out, struct words *words);
enum parse request_parse_arith(struct request *out, struct words *words);
enum parse request_parse_touch(struct request *out, struct words *words);
enum parse meta_parse(const struct request_parser *parser, struct slice input,
                      struct request *out, struct words *words);

/* True if the line's last word is noreply. */
bool line_is_noreply(struct slice line);

/* Decodes base64 as RFC 4648 has it: padded, nothing else in between, spare
 * bits 0.  Returns how many bytes were written, 0 if text is not base64. */
size_t meta_key_decode(struct slice text, char out[static KEY_SIZE_MAX]);

#endif
