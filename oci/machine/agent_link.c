// SPDX-License-Identifier: Apache-2.0
// Connections of the agent, its answers and events.
#include "agent_link.h"

#include "error.h"
#include "monotonic.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <linux/vm_sockets.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STRANGER_MS 10000u
#define STATUS_MAX 255

// ---- the end of the link

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

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
	close_fd(&fd);
}

static void close_control(struct agent_link *link)
{
	if (link->control_fd < 0)
		return;
	loop_del(link->loop, &link->control);
	wire_reader_fini(&link->reader);
	close_fd(&link->control_fd);
}

static struct link_request *take_request(struct agent_link *link, struct link_request **place)
{
	struct link_request *request = *place;

	*place = request->next;
	link->nrequests--;
	return request;
}

static void answer(struct link_request *request, struct json_object *ok, const char *error)
{
	request->answered(request->owner, ok, error);
	free(request);
}

__attribute__((format(printf, 2, 3))) static void lose(struct agent_link *link, const char *fmt, ...)
{
	char why[256];
	va_list args;

	if (link->is_lost)
		return;
	link->is_lost = true;
	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	close_control(link);
	while (link->requests)
		answer(take_request(link, &link->requests), NULL, why);
	link->ops->lost(link->owner, why);
}

// ---- deadlines

static void arm(struct agent_link *link)
{
	uint64_t next = 0, now = monotonic_ms();

	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		if (link->strangers[i].fd >= 0 && (next == 0 || link->strangers[i].deadline_ms < next))
			next = link->strangers[i].deadline_ms;
	for (const struct link_request *r = link->requests; r; r = r->next)
		if (next == 0 || r->deadline_ms < next)
			next = r->deadline_ms;
	if (next > 0)
		loop_arm(link->loop, &link->timer, next > now ? (unsigned)(next - now) : 0);
}

static struct link_request *take_expired(struct agent_link *link, uint64_t now)
{
	for (struct link_request **place = &link->requests; *place; place = &(*place)->next)
		if ((*place)->deadline_ms <= now)
			return take_request(link, place);
	return NULL;
}

static void on_timer(void *owner)
{
	struct agent_link *link = owner;
	uint64_t now = monotonic_ms();
	struct link_request *request;

	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		if (link->strangers[i].fd >= 0 && link->strangers[i].deadline_ms <= now)
			hang_up(&link->strangers[i]);
	while ((request = take_expired(link, now))) {
		char error[96];

		snprintf(error, sizeof(error), "the agent in the guest did not answer \"%s\" in time", request->verb);
		answer(request, NULL, error);
	}
	if (!link->is_lost)
		arm(link);
}

// ---- the control connection

static const char *string_of(struct json_object *object, const char *name)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(object, name, &val) || !json_object_is_type(val, json_type_string))
		return NULL;
	return json_object_get_string(val);
}

// False: it is no integer.
static bool number_of(struct json_object *object, const char *name, int64_t *number)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(object, name, &val) || !json_object_is_type(val, json_type_int))
		return false;
	*number = json_object_get_int64(val);
	return true;
}

static void on_answer(struct agent_link *link, struct json_object *message, int64_t id)
{
	struct link_request **place = &link->requests;
	struct json_object *ok = NULL;
	const char *error = string_of(message, "error");
	bool is_ok = json_object_object_get_ex(message, "ok", &ok) && json_object_is_type(ok, json_type_object);

	if (is_ok == (error != NULL) || id <= 0 || (uint64_t)id > link->last_id) {
		lose(link, "the agent in the guest has sent an answer that is none");
		return;
	}
	while (*place && (*place)->id != (uint64_t)id)
		place = &(*place)->next;
	// The answer to a request that has expired comes late, and nobody wants it.
	if (*place)
		answer(take_request(link, place), is_ok ? ok : NULL, error);
}

static void on_event(struct agent_link *link, struct json_object *message, const char *event)
{
	const char *process = string_of(message, "process");
	int64_t status;

	if (strcmp(event, "exit") != 0 || !process || !number_of(message, "status", &status) || status < 0 ||
	    status > STATUS_MAX)
		lose(link, "the agent in the guest has sent an event that is none");
	else
		link->ops->exited(link->owner, process, (int)status);
}

static void on_message(struct agent_link *link, struct json_object *message)
{
	const char *event = string_of(message, "event");
	int64_t id;

	if (event)
		on_event(link, message, event);
	else if (number_of(message, "id", &id))
		on_answer(link, message, id);
	else
		lose(link, "the agent in the guest has sent what is no answer and no event");
}

static void on_control(void *owner, short revents)
{
	struct agent_link *link = owner;
	struct json_object *message;
	struct vpmem_error err = { 0 };
	int rc = wire_read(&link->reader, link->control_fd, &message, &err);

	(void)revents;
	if (rc == 1) {
		on_message(link, message);
		json_object_put(message);
	} else if (rc == -EPIPE || rc == -ECONNRESET) {
		lose(link, "the agent in the guest has ended");
	} else if (rc < 0) {
		lose(link, "the agent in the guest: %s", err.text[0] ? err.text : strerror(-rc));
	}
}

// ---- connections that have not said what they are

static bool has_token(const struct agent_link *link, struct json_object *object)
{
	const char *token = string_of(object, "token");

	return token && link->token[0] && strcmp(token, link->token) == 0;
}

static void become_control(struct link_stranger *stranger, int64_t version, struct json_object *message)
{
	struct agent_link *link = stranger->link;
	const char *token = string_of(message, "token");
	int rc;

	if (link->token[0] && !has_token(link, message)) {
		hang_up(stranger);
		return;
	}
	if (link->control_fd >= 0 || link->is_lost) {
		hang_up(stranger);
		lose(link, "the agent in the guest has connected twice");
		return;
	}
	if (version != LINK_VERSION) {
		hang_up(stranger);
		lose(link, "the agent in the guest speaks version %" PRId64 " of the protocol, and pmvm-oci version %d",
		     version, LINK_VERSION);
		return;
	}
	if (!token || token[0] == '\0' || strlen(token) > LINK_TOKEN_MAX) {
		hang_up(stranger);
		lose(link, "the agent in the guest has sent a token that is none");
		return;
	}
	snprintf(link->token, sizeof(link->token), "%s", token);
	link->control_fd = stranger->fd;
	forget(stranger);
	link->control.fd = link->control_fd;
	rc = loop_add(link->loop, &link->control);
	if (rc < 0)
		lose(link, "%s", strerror(-rc));
	else
		link->ops->hello(link->owner);
}

static void become_stream(struct link_stranger *stranger, struct json_object *stream)
{
	struct agent_link *link = stranger->link;
	const char *process = string_of(stream, "process"), *which = string_of(stream, "which");
	int fd = stranger->fd;

	forget(stranger);
	if (!process || !which || !has_token(link, stream) || link->ops->stream(link->owner, process, which, fd) < 0)
		close_fd(&fd);
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
	if (number_of(message, "hello", &version))
		become_control(stranger, version, message);
	else if (json_object_object_get_ex(message, "stream", &stream) && json_object_is_type(stream, json_type_object))
		become_stream(stranger, stream);
	else
		hang_up(stranger);
	json_object_put(message);
}

static bool is_our_guest(const struct agent_link *link, const struct sockaddr_vm *peer)
{
	return link->cid == 0 || (peer->svm_family == AF_VSOCK && peer->svm_cid == link->cid);
}

static void on_listener(void *owner, short revents)
{
	struct agent_link *link = owner;
	struct link_stranger *stranger = NULL;
	struct sockaddr_vm peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(link->listener_fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);

	(void)revents;
	if (fd < 0)
		return;
	for (unsigned i = 0; i < LINK_STRANGERS_MAX && !stranger; i++)
		if (link->strangers[i].fd < 0)
			stranger = &link->strangers[i];
	if (!stranger || !is_our_guest(link, &peer)) {
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
		arm(link);
}

// ---- requests

void link_ask(struct agent_link *link, const char *verb, struct json_object *arguments, unsigned timeout_ms,
              link_answered *answered, void *owner)
{
	struct json_object *message = arguments ? arguments : json_object_new_object();
	struct link_request *request = NULL;
	struct vpmem_error err = { 0 };
	int rc;

	if (link->control_fd < 0 || link->nrequests >= LINK_REQUESTS_MAX || !message ||
	    !(request = calloc(1, sizeof(*request)))) {
		json_object_put(message);
		answered(owner, NULL,
		         link->control_fd < 0 ? "the agent in the guest is not there" :
		                                "too much is asked of the agent in the guest at once");
		return;
	}
	*request = (struct link_request) { .id = ++link->last_id,
		                           .deadline_ms = monotonic_ms() + timeout_ms,
		                           .answered = answered,
		                           .owner = owner,
		                           .next = link->requests };
	snprintf(request->verb, sizeof(request->verb), "%s", verb);
	link->requests = request;
	link->nrequests++;
	json_object_object_add(message, "id", json_object_new_int64((int64_t)request->id));
	json_object_object_add(message, "do", json_object_new_string(verb));
	rc = wire_send(link->control_fd, message, &err);
	json_object_put(message);
	if (rc == -EMSGSIZE)
		answer(take_request(link, &link->requests), NULL, err.text);
	else if (rc < 0)
		lose(link, "the agent in the guest: %s", err.text[0] ? err.text : strerror(-rc));
	else
		arm(link);
}

// ---- the life of a link

int link_open(struct agent_link *link, int listener_fd, uint32_t cid, struct loop *loop, const struct link_ops *ops,
              void *owner)
{
	int rc;

	*link = (struct agent_link) {
		.loop = loop,
		.ops = ops,
		.owner = owner,
		.cid = cid,
		.listener_fd = listener_fd,
		.control_fd = -1,
		.listener = { .fd = listener_fd, .events = POLLIN, .ready = on_listener, .owner = link },
		.control = { .fd = -1, .events = POLLIN, .ready = on_control, .owner = link },
		.timer = { .expired = on_timer, .owner = link },
	};
	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		link->strangers[i].fd = -1;
	rc = loop_add(loop, &link->listener);
	return rc ? rc : loop_add_timer(loop, &link->timer);
}

void link_close(struct agent_link *link)
{
	if (!link->loop)
		return;
	link->is_lost = true;
	loop_del(link->loop, &link->listener);
	loop_del_timer(link->loop, &link->timer);
	for (unsigned i = 0; i < LINK_STRANGERS_MAX; i++)
		hang_up(&link->strangers[i]);
	close_control(link);
	close_fd(&link->listener_fd);
	while (link->requests)
		answer(take_request(link, &link->requests), NULL, "the machine has ended");
	link->loop = NULL;
}
