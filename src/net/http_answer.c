#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "net/http_inside.h"

enum { HTTP_REFUSAL_SIZE_MAX = 1024 };

struct slice http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_query(const struct http_request *request, const char *name)
{
    return evhttp_find_header(&request->query, name);
}

struct slice http_body(const struct http_request *request)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request->raw);
    size_t size = evbuffer_get_length(body);
    const unsigned char *at = evbuffer_pullup(body, -1);

    return (struct slice){at == NULL ? "" : (const char *)at, size};
}

void http_header_add(struct evhttp_request *raw, const char *name,
                     const char *value)
{
    (void)evhttp_add_header(evhttp_request_get_output_headers(raw), name,
                            value);
}

void http_answer(struct http_request *request, int status,
                 const char *content_type, struct slice body)
{
    struct evbuffer *buffer = evbuffer_new();

    check(!request->answered);
    request->answered = true;
    http_header_add(request->raw, "Content-Type", content_type);
    if (buffer == NULL || evbuffer_add(buffer, body.at, body.size) != 0) {
        evhttp_send_reply(request->raw, HTTP_SERVUNAVAIL, NULL, NULL);
    } else if (evhttp_request_get_command(request->raw) == EVHTTP_REQ_HEAD) {
        evhttp_send_reply(request->raw, status, NULL, NULL);
    } else {
        evhttp_send_reply(request->raw, status, NULL, buffer);
    }
    if (buffer != NULL) {
        evbuffer_free(buffer);
    }
}

/* The words may quote what a peer sent, so everything that is not plain ASCII
 * is escaped: the answer is JSON whatever they are.  Cut where room ends. */
static size_t json_escape(char *out, size_t room, const char *words)
{
    size_t size = 0;

    for (; *words != '\0' && size + 7 <= room; words++) {
        unsigned char byte = (unsigned char)*words;

        if (byte == '"' || byte == '\\') {
            out[size++] = '\\';
            out[size++] = (char)byte;
        } else if (byte < ' ' || byte >= 0x7f) {
            size += (size_t)snprintf(out + size, room - size, "\\u%04x", byte);
        } else {
            out[size++] = (char)byte;
        }
    }
    return size;
}

void http_refuse(struct http_request *request, int status, const char *format,
                 ...)
{
    char words[HTTP_REFUSAL_SIZE_MAX / 2];
    char body[HTTP_REFUSAL_SIZE_MAX] = "{\"error\": \"";
    size_t size = strlen(body);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    size +=
        json_escape(body + size, sizeof body - size - sizeof "\"}\n", words);
    size += (size_t)snprintf(body + size, sizeof body - size, "\"}\n");
    http_answer(request, status, "application/json",
                (struct slice){body, size});
}
