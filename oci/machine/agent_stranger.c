// SPDX-License-Identifier: Apache-2.0
// Connections of a guest: who may connect, and those that have not said what they are.
#include "agent_link_internal.h"
#include "frame.h"
#include "monotonic.h"
#include "transport.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STRANGER_MS 10000u
#define CATCH_UP_MAX 256u /* more than the agent sends between its answers to what is under way */

static void forget(struct link_stranger *stranger)
{
	if (stranger->fd < 0)
		return;
	loop_del(stranger->link->loop, &stranger->source);
	wire_reader_fini(&stranger->reader);
	stranger->fd = -1;
}

static void hang_up(struct link_stranger *stranger)
{
	int fd = stranger->fd;

	forget(stranger);
	if (fd >= 0)
		close(fd);
}

// ---- deadlines

uint64_t strangers_deadline(const struct agent_link *link)
{
	uint64_t next_ms = 0;

	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		if (link->strangers[i].fd >= 0 && (next_ms == 0 || link->strangers[i].deadline_ms < next_ms))
			next_ms = link->strangers[i].deadline_ms;
	return next_ms;
}

void strangers_expire(struct agent_link *link, uint64_t now_ms)
{
	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		if (link->strangers[i].fd >= 0 && link->strangers[i].deadline_ms <= now_ms)
			hang_up(&link->strangers[i]);
}

// ---- what a connection says that it is

static bool has_token(const struct agent_link *link, struct json_object *object)
{
	const char *token = link_string(object, "token");

	return token && link->token[0] && strcmp(token, link->token) == 0;
}

static void become_control(struct link_stranger *stranger, int64_t version, struct json_object *message)
{
	struct agent_link *link = stranger->link;
	const char *token = link_string(message, "token");
	int fd = stranger->fd;

	if (link->token[0] && !has_token(link, message)) {
		hang_up(stranger);
		return;
	}
	if (link->control_fd >= 0 || link->is_lost) {
		hang_up(stranger);
		link_lose(link, "the agent in the guest has connected twice");
		return;
	}
	if (version != WIRE_AGENT_VERSION) {
		hang_up(stranger);
		link_lose(link,
		          "the agent in the guest speaks version %" PRId64 " of the protocol, and pmvm-oci version %d",
		          version, WIRE_AGENT_VERSION);
		return;
	}
	if (!token || token[0] == '\0' || strlen(token) > LINK_TOKEN_MAX) {
		hang_up(stranger);
		link_lose(link, "the agent in the guest has sent a token that is none");
		return;
	}
	snprintf(link->token, sizeof(link->token), "%s", token);
	forget(stranger);
	link_use_control(link, fd);
}

static void become_stream(struct link_stranger *stranger, struct json_object *stream)
{
	struct agent_link *link = stranger->link;
	const char *process = link_string(stream, "process"), *which = link_string(stream, "which");
	int fd = stranger->fd;

	forget(stranger);
	if (!process || !which || !has_token(link, stream) || link->ops->stream(link->owner, process, which, fd) < 0)
		close(fd);
}

static void on_stranger(void *owner, short revents)
{
	struct link_stranger *stranger = owner;
	struct json_object *message, *stream = NULL;
	int64_t version;
	int rc = wire_read(&stranger->reader, stranger->fd, &message, NULL);

	(void)revents;
	if (rc < 0)
		hang_up(stranger);
	if (rc != 1)
		return;
	if (link_number(message, "hello", &version))
		become_control(stranger, version, message);
	else if (json_object_object_get_ex(message, "stream", &stream) && json_object_is_type(stream, json_type_object))
		become_stream(stranger, stream);
	else
		hang_up(stranger);
	json_object_put(message);
}

// ---- who may connect

void strangers_expect(struct agent_link *link, uint32_t port)
{
	// One of a connection that the agent has given up is not taken: the oldest.
	if (link->nexpected == LINK_EXPECTED_MAX)
		memmove(link->expected, link->expected + 1, --link->nexpected * sizeof(link->expected[0]));
	link->expected[link->nexpected++] = port;
}

// Once for each announcement.
static bool take_expected(struct agent_link *link, uint32_t port)
{
	for (unsigned i = 0; i < link->nexpected; i++) {
		if (link->expected[i] == port) {
			memmove(link->expected + i, link->expected + i + 1,
			        (--link->nexpected - i) * sizeof(link->expected[0]));
			return true;
		}
	}
	return false;
}

static bool may_connect(struct agent_link *link, const struct sockaddr_storage *peer)
{
	uint32_t port;

	if (link->is_lost || !link->transport->port_of(link->transport, peer, &port))
		return false;
	// Without a hello there is no container, so nobody but the agent.
	if (!link->token[0])
		return true;
	// The guest's packets come in their order: what the agent has sent before it connected can be read now.
	for (unsigned i = 0; i < CATCH_UP_MAX; i++) {
		if (take_expected(link, port))
			return true;
		if (!link_read_control(link))
			return false;
	}
	return false;
}

static void on_listener(void *owner, short revents)
{
	struct agent_link *link = owner;
	struct link_stranger *stranger = NULL;
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(link->listener.fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

	(void)revents;
	if (fd < 0)
		return;
	if (may_connect(link, &peer))
		for (unsigned i = 0; i < LINK_STRANGERS_MAX && !stranger; i++)
			if (link->strangers[i].fd < 0)
				stranger = &link->strangers[i];
	if (!stranger) {
		close(fd);
		return;
	}
	*stranger = (struct link_stranger) {
		.link = link,
		.fd = fd,
		.source = { .fd = fd, .events = POLLIN, .ready = on_stranger, .owner = stranger },
		.deadline_ms = monotonic_ms() + STRANGER_MS,
	};
	if (loop_add(link->loop, &stranger->source) < 0)
		hang_up(stranger);
	else
		link_arm(link);
}

int strangers_open(struct agent_link *link, int listener_fd)
{
	link->listener =
		(struct loop_source) { .fd = listener_fd, .events = POLLIN, .ready = on_listener, .owner = link };
	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		link->strangers[i].fd = -1;
	return loop_add(link->loop, &link->listener);
}

void strangers_close(struct agent_link *link)
{
	loop_del(link->loop, &link->listener);
	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		hang_up(&link->strangers[i]);
	if (link->listener.fd >= 0)
		close(link->listener.fd);
	link->listener.fd = -1;
}
