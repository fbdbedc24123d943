#include "net/fetch_curl.h"

#include <stdio.h>

/* A peer that vanished is noticed after about 10 + 3 * 5 s even when nothing
 * is sent. */
enum { FETCH_KEEPALIVE_IDLE_S = 10, FETCH_KEEPALIVE_EVERY_S = 5 };

bool fetch_curl_prepare(CURL *easy, char words[CURL_ERROR_SIZE])
{
    static const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_CONNECTTIMEOUT_MS, FETCH_CONNECT_MS_MAX},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, FETCH_KEEPALIVE_IDLE_S},
        {CURLOPT_TCP_KEEPINTVL, FETCH_KEEPALIVE_EVERY_S},
        /* A stop must not wait for a name server. */
        {CURLOPT_QUICK_EXIT, 1},
        /* A manager that moved is found at its new address soon. */
        {CURLOPT_DNS_CACHE_TIMEOUT, 5},
    };
    bool good = true;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        good = good && curl_easy_setopt(easy, numbers[i].option,
                                        numbers[i].value) == CURLE_OK;
    }
    words[0] = '\0';
    return good &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "torc") == CURLE_OK;
}

void fetch_curl_words(char out[FETCH_WORDS_SIZE_MAX], CURLcode code,
                      const char *words)
{
    (void)snprintf(out, FETCH_WORDS_SIZE_MAX, "%s",
                   words[0] != '\0' ? words : curl_easy_strerror(code));
}

struct curl_slist *fetch_curl_json_headers(void)
{
    struct curl_slist *first =
        curl_slist_append(NULL, "Content-Type: application/json");
    /* No pause of a second before a large body. */
    struct curl_slist *both = curl_slist_append(first, "Expect:");

    if (both == NULL) {
        curl_slist_free_all(first);
    }
    return both;
}
