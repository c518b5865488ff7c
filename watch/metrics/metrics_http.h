// SPDX-License-Identifier: Apache-2.0
/*
 * metrics_http.h - GET /metrics over HTTP, on a TCP or a Unix socket. Nothing else can be done by it.
 */
#ifndef PMVM_METRICS_HTTP_H
#define PMVM_METRICS_HTTP_H

#include "text.h"

#include <stdbool.h>
#include <vpmem.h>

struct metrics_http;

/* Fills the text with all metrics, of a sample that is taken for it. Called in the server's thread. */
typedef void metrics_http_fn(void *owner, bool is_openmetrics, struct text *text);

/* Listens on "unix:PATH", "HOST:PORT", "[IPV6]:PORT" or ":PORT", and serves in a thread of its own. */
int metrics_http_start(const char *address, metrics_http_fn *fn, void *owner, struct metrics_http **out,
                       struct vpmem_error *err);

/* Waits for the thread; removes a Unix socket. NULL is allowed. */
void metrics_http_stop(struct metrics_http *http);

#endif
