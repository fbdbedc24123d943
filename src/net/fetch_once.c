#include "base/check.h"
#include "base/mem.h"
#include "net/fetch.h"
#include "net/fetch_curl.h"

enum { FETCH_ANSWER_CAPACITY_MIN = 4096 };

struct fetch_answer {
    const struct mem *mem;
    char *at;
    size_t size, capacity, size_max;
    enum err failure;
};

/* Always leaves room for a terminator. */
static enum err answer_reserve(struct fetch_answer *answer, size_t more)
{
    if (more > answer->size_max - answer->size) {
        return ERR_LIMIT;
    }
    size_t needed = answer->size + more + 1;
    size_t capacity =
        answer->capacity == 0 ? FETCH_ANSWER_CAPACITY_MIN : answer->capacity;

    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity != answer->capacity) {
        char *at = mem_resize(answer->mem, answer->at, capacity);

        if (at == NULL) {
            return ERR_NOMEM;
        }
        answer->at = at;
        answer->capacity = capacity;
    }
    return ERR_OK;
}

static size_t answer_on_bytes(char *at, size_t one, size_t size, void *context)
{
    struct fetch_answer *answer = context;

    (void)one;
    answer->failure = answer_reserve(answer, size);
    if (answer->failure != ERR_OK) {
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(answer->at + answer->size, at, size);
    answer->size += size;
    return size;
}

static bool once_prepare(CURL *easy, const struct fetch_once *what,
                         const struct curl_slist *headers,
                         struct fetch_answer *answer)
{
    long timeout_ms =
        what->timeout_ms > 0 ? (long)what->timeout_ms : FETCH_SILENCE_MS_MAX;
    bool good =
        curl_easy_setopt(easy, CURLOPT_URL, what->url) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_on_bytes) ==
            CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer) == CURLE_OK;

    if (strcmp(what->method, "GET") == 0) {
        return good;
    }
    if (what->body.size > 0 || strcmp(what->method, "POST") == 0) {
        good =
            good &&
            curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                             (curl_off_t)what->body.size) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                             what->body.size > 0 ? what->body.at : "") ==
                CURLE_OK;
    }
    return good && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                                    what->method) == CURLE_OK;
}

static enum err once_failure(const struct fetch_once *what,
                             const struct fetch_answer *answer, CURLcode code,
                             const char *curl_words, struct why *why)
{
    char words[FETCH_WORDS_SIZE_MAX];

    if (answer->failure == ERR_LIMIT) {
        return err_why(why, ERR_LIMIT,
                       "%s: the answer has more than the %zu bytes allowed",
                       what->url, answer->size_max);
    }
    fetch_curl_words(words, code, curl_words);
    return err_why(why, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_IO,
                   "%.200s: %.250s", what->url, words);
}

static enum err once_perform(CURL *easy, const struct fetch_once *what,
                             struct fetch_answer *answer, int *status,
                             struct why *why)
{
    char words[CURL_ERROR_SIZE];
    struct curl_slist *headers = fetch_curl_json_headers();
    enum err e = ERR_OK;
    long code = 0;

    if (headers == NULL || !fetch_curl_prepare(easy, words) ||
        !once_prepare(easy, what, headers, answer) ||
        answer_reserve(answer, 0) != ERR_OK) {
        e = err_why(why, ERR_NOMEM, "%s: out of memory", what->url);
    } else {
        CURLcode result = curl_easy_perform(easy);

        if (result != CURLE_OK) {
            e = once_failure(what, answer, result, words, why);
        }
    }
    if (e == ERR_OK) {
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
        *status = (int)code;
    }
    curl_slist_free_all(headers);
    return e;
}

enum err fetch_once(const struct env *env, const struct fetch_once *what,
                    int *status, char **answer, size_t *answer_size,
                    struct why *why)
{
    struct fetch_answer taken = {.mem = env->mem,
                                 .size_max = what->answer_size_max};

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_why(why, ERR_NOMEM, "%s: libcurl does not start", what->url);
    }
    CURL *easy = curl_easy_init();
    enum err e = ERR_NOMEM;

    if (easy == NULL) {
        (void)err_why(why, e, "%s: out of memory", what->url);
    } else {
        e = once_perform(easy, what, &taken, status, why);
        curl_easy_cleanup(easy);
    }
    curl_global_cleanup();
    if (e != ERR_OK) {
        mem_free(env->mem, taken.at);
        return e;
    }
    taken.at[taken.size] = '\0';
    *answer = taken.at;
    *answer_size = taken.size;
    return ERR_OK;
}
