// SPDX-License-Identifier: Apache-2.0
// One conversation with one monitor. The negotiation and all commands are sent together; ids say which answer is whose.
#include "qmp_session.h"

#include "json_at.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE (64u << 10)

static void close_connection(struct qmp_session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->writes = false;
}

void qmp_session_fail(struct qmp_session *s, const char *fmt, ...)
{
	va_list args;

	if (qmp_session_is_over(s))
		return;
	va_start(args, fmt);
	vsnprintf(s->error, sizeof(s->error), fmt, args);
	va_end(args);
	s->state = QMP_FAILED;
	close_connection(s);
}

// ---- connecting

static void note_peer(struct qmp_session *s)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		s->peer_pid = peer.pid;
}

static void try_connect(struct qmp_session *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(s->path);

	if (len >= sizeof(addr.sun_path)) {
		qmp_session_fail(s, "the path is longer than %zu bytes", sizeof(addr.sun_path) - 1);
		return;
	}
	memcpy(addr.sun_path, s->path, len + 1);
	if (s->fd < 0)
		s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		qmp_session_fail(s, "socket: %s", strerror(errno));
		return;
	}
	if (connect(s->fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0) {
		s->state = QMP_GREETING;
		note_peer(s);
	} else if (errno != EAGAIN && errno != EINTR) {
		qmp_session_fail(s, "connect: %s", strerror(errno));
	}
}

// ---- sending

/* A peer that has ended shows as the end of the stream, or as an error while something of ours is unread. */
static void fail_transfer(struct qmp_session *s, const char *what)
{
	if (errno == EPIPE || errno == ECONNRESET)
		qmp_session_fail(s, "the monitor hung up");
	else if (errno != EAGAIN && errno != EINTR)
		qmp_session_fail(s, "%s: %s", what, strerror(errno));
}

static void send_rest(struct qmp_session *s)
{
	ssize_t n = send(s->fd, s->out + s->out_off, s->out_len - s->out_off, MSG_NOSIGNAL);

	if (n > 0)
		s->out_off += (size_t)n;
	else if (n < 0)
		fail_transfer(s, "send");
	s->writes = s->state == QMP_ANSWERS && s->out_off < s->out_len;
}

static void send_commands(struct qmp_session *s)
{
	struct text text = { 0 };
	char end[32];

	text_add_str(&text, "{\"execute\": \"qmp_capabilities\"}\n");
	for (unsigned i = 0; i < s->ncommands; i++) {
		text_add_str(&text, "{\"execute\": \"");
		text_add_str(&text, s->commands[i].name);
		text_add_str(&text, "\", \"arguments\": ");
		text_add_str(&text, s->commands[i].arguments ? s->commands[i].arguments : "{}");
		snprintf(end, sizeof(end), ", \"id\": %u}\n", i);
		text_add_str(&text, end);
	}
	s->out = text.buf;
	s->out_len = text.len;
	s->out_off = 0;
	if (text.failed) {
		qmp_session_fail(s, "out of memory");
		return;
	}
	s->state = QMP_ANSWERS;
	send_rest(s);
}

// ---- receiving

static void take_answer(struct qmp_session *s, struct json_object *msg)
{
	uint64_t id;

	// An event has no id, nor has the answer to the negotiation.
	if (!json_at_uint(msg, "id", &id) || id >= s->ncommands || s->answered[id])
		return;
	s->answered[id] = true;
	s->answers[id] = json_object_get(json_at(msg, "return"));
	if (++s->nanswered < s->ncommands)
		return;
	s->state = QMP_DONE;
	close_connection(s);
}

static void take_message(struct qmp_session *s, struct json_object *msg)
{
	if (!json_object_is_type(msg, json_type_object))
		qmp_session_fail(s, "what it sends is not QMP");
	else if (s->state == QMP_ANSWERS)
		take_answer(s, msg);
	else if (json_at(msg, "QMP"))
		send_commands(s);
	else
		qmp_session_fail(s, "no greeting of QMP");
}

static bool is_within_limits(struct qmp_session *s, const char *buf, size_t len)
{
	s->value_len += len;
	for (size_t i = 0; i < len; i++)
		s->value_tokens += strchr("{[:,", buf[i]) != NULL && buf[i] != '\0';
	if (s->value_len <= QMP_VALUE_SIZE_MAX && s->value_tokens <= QMP_VALUE_TOKENS_MAX)
		return true;
	qmp_session_fail(s, "a message has more than %u bytes or %u tokens", QMP_VALUE_SIZE_MAX, QMP_VALUE_TOKENS_MAX);
	return false;
}

static void parse(struct qmp_session *s, const char *buf, size_t len)
{
	while (len > 0 && !qmp_session_is_over(s)) {
		struct json_object *msg = json_tokener_parse_ex(s->parser, buf, (int)len);
		enum json_tokener_error error = json_tokener_get_error(s->parser);
		size_t used = error == json_tokener_success ? json_tokener_get_parse_end(s->parser) : len;

		if (error != json_tokener_success && error != json_tokener_continue) {
			qmp_session_fail(s, "not JSON: %s", json_tokener_error_desc(error));
			return;
		}
		// The line's end, which follows a message, is no beginning of one.
		if (error == json_tokener_continue && s->value_len == 0 && strspn(buf, "\r\n\t ") >= len)
			return;
		if (is_within_limits(s, buf, used) && error == json_tokener_success) {
			s->value_len = s->value_tokens = 0;
			take_message(s, msg);
		}
		json_object_put(msg);
		buf += used;
		len -= used;
	}
}

static void receive(struct qmp_session *s)
{
	char buf[READ_SIZE + 1];
	ssize_t n = recv(s->fd, buf, READ_SIZE, 0);

	if (n == 0) {
		qmp_session_fail(s, "the monitor hung up");
	} else if (n < 0) {
		fail_transfer(s, "receive");
	} else if ((s->received_len += (size_t)n) > QMP_BYTES_MAX) {
		qmp_session_fail(s, "it sent more than %u bytes", QMP_BYTES_MAX);
	} else {
		buf[n] = '\0';
		parse(s, buf, (size_t)n);
	}
}

void qmp_session_start(struct qmp_session *s, const char *path, const struct qmp_command *commands, unsigned ncommands)
{
	*s = (struct qmp_session) { .fd = -1, .path = path, .commands = commands, .ncommands = ncommands };
	s->parser = json_tokener_new_ex(QMP_DEPTH_MAX);
	if (!s->parser) {
		qmp_session_fail(s, "out of memory");
		return;
	}
	json_tokener_set_flags(s->parser,
	                       JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS | JSON_TOKENER_VALIDATE_UTF8);
	try_connect(s);
}

void qmp_session_serve(struct qmp_session *s)
{
	if (s->state == QMP_CONNECTS)
		try_connect(s);
	if (s->state == QMP_ANSWERS && s->writes)
		send_rest(s);
	if (s->state == QMP_GREETING || s->state == QMP_ANSWERS)
		receive(s);
}

void qmp_session_end(struct qmp_session *s)
{
	close_connection(s);
	for (unsigned i = 0; i < s->ncommands; i++) {
		json_object_put(s->answers[i]);
		s->answers[i] = NULL;
	}
	free(s->out);
	s->out = NULL;
	if (s->parser)
		json_tokener_free(s->parser);
	s->parser = NULL;
}
