// SPDX-License-Identifier: Apache-2.0
/*
 * GET /metrics by libmicrohttpd, which has one thread for all clients and limits their number, their time and the memory
 * for each. The text is made while a client's request is served, so other clients wait meanwhile.
 */
#include "metrics_http.h"

#include "error.h"
#include "listen_address.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS_MAX 32u
#define CLIENT_SECONDS 15u /* without traffic */

struct metrics_http {
	struct MHD_Daemon *daemon;
	metrics_http_fn *fn;
	void *owner;
	char *unix_path; /* NULL: TCP */
};

static const char openmetrics_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response,
                              const char *type)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_words(struct MHD_Connection *connection, unsigned status, const char *words)
{
	return answer(connection, status,
	              MHD_create_response_from_buffer(strlen(words), (void *)(uintptr_t)words, MHD_RESPMEM_PERSISTENT),
	              "text/plain; charset=utf-8");
}

static enum MHD_Result answer_metrics(struct metrics_http *http, struct MHD_Connection *connection)
{
	const char *accepted = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool is_openmetrics = accepted && strstr(accepted, "application/openmetrics-text");
	struct text text = { 0 };

	http->fn(http->owner, is_openmetrics, &text);
	if (text.failed) {
		text_free(&text);
		return answer_words(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	}
	// The response frees the buffer.
	return answer(connection, MHD_HTTP_OK,
	              MHD_create_response_from_buffer(text.len, text.buf, MHD_RESPMEM_MUST_FREE),
	              is_openmetrics ? openmetrics_type : text_type);
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version, const char *upload, size_t *upload_len, void **state)
{
	static int is_begun;

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	// The first call has the headers only. A body ends the connection.
	if (*state != &is_begun) {
		*state = &is_begun;
		return MHD_YES;
	}
	if (*upload_len > 0)
		return MHD_NO;
	if (strcmp(url, "/metrics") == 0)
		return answer_metrics(cls, connection);
	return answer_words(connection, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
}

int metrics_http_start(const char *address, metrics_http_fn *fn, void *owner, struct metrics_http **out,
                       struct vpmem_error *err)
{
	struct metrics_http *http = calloc(1, sizeof(*http));
	int fd;

	if (!http)
		return error_set(err, -ENOMEM, "out of memory");
	http->fn = fn;
	http->owner = owner;
	fd = listen_address(address, &http->unix_path, err);
	if (fd < 0) {
		free(http);
		return fd;
	}
	http->daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, serve, http,
	                                MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CLIENTS_MAX,
	                                MHD_OPTION_CONNECTION_TIMEOUT, CLIENT_SECONDS, MHD_OPTION_END);
	if (!http->daemon) {
		close(fd);
		metrics_http_stop(http);
		return error_set(err, -EIO, "%s: the HTTP server does not start", address);
	}
	*out = http;
	return 0;
}

void metrics_http_stop(struct metrics_http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	if (http->unix_path)
		unlink(http->unix_path);
	free(http->unix_path);
	free(http);
}
