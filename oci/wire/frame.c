// SPDX-License-Identifier: Apache-2.0
// Frames: their length, their text by json-c, and the bounds that a hostile peer meets.
#include "frame.h"

#include "error.h"
#include "json_parse.h"
#include "socket_io.h"
#include "socket_wait.h"

#include <endian.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int send_all(int fd, const void *buf, size_t len, int flags, int64_t deadline_ms)
{
	const uint8_t *next = buf;

	while (len > 0) {
		ssize_t n = socket_send(fd, next, len, MSG_DONTWAIT | flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			int rc = socket_wait(fd, POLLOUT, deadline_ms);

			if (rc)
				return rc;
			continue;
		}
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

int wire_send(int fd, struct json_object *message, struct vpmem_error *err)
{
	const int64_t deadline_ms = socket_deadline(WIRE_SEND_TIMEOUT_MS);
	uint32_t head;
	const char *text;
	size_t len;
	int rc;

	text = json_object_to_json_string_length(message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
	                                         &len);
	if (!text)
		return error_set(err, -ENOMEM, "a message cannot be sent: out of memory");
	if (len > WIRE_FRAME_MAX)
		return error_set(err, -EMSGSIZE, "a message of %zu bytes cannot be sent: at most %d", len,
		                 WIRE_FRAME_MAX);
	head = htole32((uint32_t)len);
	rc = send_all(fd, &head, sizeof(head), MSG_MORE, deadline_ms);
	if (rc == 0)
		rc = send_all(fd, text, len, 0, deadline_ms);
	return rc ? error_set(err, rc, "a message cannot be sent: %s", strerror(-rc)) : 0;
}

/* Bytes until *have is want: 1. 0: more have to come. */
static int fill(int fd, void *buf, size_t want, size_t *have)
{
	while (*have < want) {
		ssize_t n = socket_receive(fd, (uint8_t *)buf + *have, want - *have, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		*have += (size_t)n;
	}
	return 1;
}

static int begin_text(struct wire_reader *reader, struct vpmem_error *err)
{
	uint32_t len;

	memcpy(&len, reader->head, sizeof(len));
	reader->len = le32toh(len);
	if (reader->len > WIRE_FRAME_MAX)
		return error_set(err, -EBADMSG, "the peer announced a message of %zu bytes: at most %d", reader->len,
		                 WIRE_FRAME_MAX);
	reader->text = malloc(reader->len + 1);
	if (!reader->text)
		return error_set(err, -ENOMEM, "no memory for a message of %zu bytes", reader->len);
	return 0;
}

static int parse(const struct wire_reader *reader, struct json_object **message, struct vpmem_error *err)
{
	int rc;

	reader->text[reader->len] = '\0';
	if (memchr(reader->text, '\0', reader->len))
		return error_set(err, -EBADMSG, "the peer sent a message with a NUL byte");
	rc = json_parse(reader->text, message, err);
	if (rc)
		return rc == -ENOMEM ? rc : -EBADMSG;
	if (json_object_is_type(*message, json_type_object))
		return 1;
	json_object_put(*message);
	*message = NULL;
	return error_set(err, -EBADMSG, "the peer sent a message that is no object");
}

static int receive_error(const struct wire_reader *reader, int rc, struct vpmem_error *err)
{
	if (rc == 0)
		return 0;
	if (rc == -EPIPE && reader->nhead > 0)
		return error_set(err, -EBADMSG, "the peer closed the connection within a message");
	if (rc == -EPIPE)
		return error_set(err, rc, "the peer closed the connection");
	return error_set(err, rc, "no message can be received: %s", strerror(-rc));
}

int wire_read(struct wire_reader *reader, int fd, struct json_object **message, struct vpmem_error *err)
{
	int rc = fill(fd, reader->head, sizeof(reader->head), &reader->nhead);

	*message = NULL;
	if (rc <= 0)
		return receive_error(reader, rc, err);
	if (!reader->text) {
		rc = begin_text(reader, err);
		if (rc)
			return rc;
	}
	rc = fill(fd, reader->text, reader->len, &reader->ntext);
	if (rc <= 0)
		return receive_error(reader, rc, err);
	rc = parse(reader, message, err);
	wire_reader_fini(reader);
	return rc;
}

void wire_reader_fini(struct wire_reader *reader)
{
	free(reader->text);
	*reader = (struct wire_reader) { .nhead = 0 };
}

int wire_receive(int fd, int timeout_ms, struct json_object **message, struct vpmem_error *err)
{
	const int64_t deadline_ms = socket_deadline(timeout_ms);
	struct wire_reader reader = { .nhead = 0 };
	int rc;

	while ((rc = wire_read(&reader, fd, message, err)) == 0) {
		rc = socket_wait(fd, POLLIN, deadline_ms);
		if (rc) {
			error_set(err, rc, "no message came: %s", strerror(-rc));
			break;
		}
	}
	wire_reader_fini(&reader);
	return rc > 0 ? 0 : rc;
}
