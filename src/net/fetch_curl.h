/* fetch_curl.h -- what every request of ours has in common: HTTP/1.1 within the
 * cluster, no proxy whatever the environment says, no signals, a second to
 * connect. */
#ifndef NET_FETCH_CURL_H
#define NET_FETCH_CURL_H

#include <stdbool.h>

#include <curl/curl.h>

enum { FETCH_CONNECT_MS_MAX = 1000, FETCH_WORDS_SIZE_MAX = 512 };

/* Sets *easy up; words gets what went wrong and outlives *easy.  False: no
 * memory. */
bool fetch_curl_prepare(CURL *easy, char words[CURL_ERROR_SIZE]);

/* Writes the words of a failed transfer: libcurl's own if it left any. */
void fetch_curl_words(char out[FETCH_WORDS_SIZE_MAX], CURLcode code,
                      const char *words);

/* For CURLOPT_HTTPHEADER; NULL: no memory. */
struct curl_slist *fetch_curl_json_headers(void);

#endif
