// SPDX-License-Identifier: Apache-2.0
// The control connection of the agent: requests, their answers, events.
#include "agent_link.h"

#include "agent_link_internal.h"
#include "error.h"
#include "monotonic.h"
#include "transport.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_MAX 255

// ---- the end of the link

static void close_control(struct agent_link *link)
{
	if (link->control_fd < 0)
		return;
	loop_del(link->loop, &link->control);
	wire_reader_fini(&link->reader);
	close(link->control_fd);
	link->control_fd = -1;
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

void link_lose(struct agent_link *link, const char *fmt, ...)
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

void link_arm(struct agent_link *link)
{
	uint64_t next = strangers_deadline(link), now = monotonic_ms();

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

	strangers_expire(link, now);
	while ((request = take_expired(link, now))) {
		char error[96];

		snprintf(error, sizeof(error), "the agent in the guest did not answer \"%s\" in time", request->verb);
		answer(request, NULL, error);
	}
	if (!link->is_lost)
		link_arm(link);
}

// ---- the control connection

const char *link_string(struct json_object *object, const char *name)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(object, name, &val) || !json_object_is_type(val, json_type_string))
		return NULL;
	return json_object_get_string(val);
}

bool link_number(struct json_object *object, const char *name, int64_t *number)
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
	const char *error = link_string(message, "error");
	bool is_ok = json_object_object_get_ex(message, "ok", &ok) && json_object_is_type(ok, json_type_object);

	if (is_ok == (error != NULL) || id <= 0 || (uint64_t)id > link->last_id) {
		link_lose(link, "the agent in the guest has sent an answer that is none");
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
	const char *process = link_string(message, "process");
	int64_t number;

	if (strcmp(event, "exit") == 0 && process && link_number(message, "status", &number) && number >= 0 &&
	    number <= STATUS_MAX)
		link->ops->exited(link->owner, process, (int)number);
	else if (strcmp(event, "connect") == 0 && link_number(message, "port", &number) && number >= 0 &&
	         number <= UINT32_MAX)
		strangers_expect(link, (uint32_t)number);
	else
		link_lose(link, "the agent in the guest has sent an event that is none");
}

static void on_message(struct agent_link *link, struct json_object *message)
{
	const char *event = link_string(message, "event");
	int64_t id;

	if (event)
		on_event(link, message, event);
	else if (link_number(message, "id", &id))
		on_answer(link, message, id);
	else
		link_lose(link, "the agent in the guest has sent what is no answer and no event");
}

bool link_read_control(struct agent_link *link)
{
	struct json_object *message;
	struct vpmem_error err = { 0 };
	int rc = wire_read(&link->reader, link->control_fd, &message, &err);

	if (rc == 1) {
		on_message(link, message);
		json_object_put(message);
	} else if (rc == -EPIPE || rc == -ECONNRESET) {
		link_lose(link, "the agent in the guest has ended");
	} else if (rc < 0) {
		link_lose(link, "the agent in the guest: %s", err.text[0] ? err.text : strerror(-rc));
	}
	return rc == 1 && !link->is_lost;
}

static void on_control(void *owner, short revents)
{
	(void)revents;
	(void)link_read_control(owner);
}

void link_use_control(struct agent_link *link, int fd)
{
	int rc;

	link->control_fd = link->control.fd = fd;
	rc = loop_add(link->loop, &link->control);
	if (rc < 0)
		link_lose(link, "%s", strerror(-rc));
	else
		link->ops->hello(link->owner);
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
		link_lose(link, "the agent in the guest: %s", err.text[0] ? err.text : strerror(-rc));
	else
		link_arm(link);
}

// ---- the life of a link

int link_open(struct agent_link *link, const struct transport *transport, struct loop *loop, const struct link_ops *ops,
              void *owner)
{
	int rc;

	*link = (struct agent_link) {
		.loop = loop,
		.ops = ops,
		.owner = owner,
		.transport = transport,
		.control_fd = -1,
		.control = { .fd = -1, .events = POLLIN, .ready = on_control, .owner = link },
		.timer = { .expired = on_timer, .owner = link },
	};
	rc = strangers_open(link, transport->listener_fd);
	return rc ? rc : loop_add_timer(loop, &link->timer);
}

void link_close(struct agent_link *link)
{
	if (!link->loop)
		return;
	link->is_lost = true;
	loop_del_timer(link->loop, &link->timer);
	strangers_close(link);
	close_control(link);
	while (link->requests)
		answer(take_request(link, &link->requests), NULL, "the machine has ended");
	link->loop = NULL;
}
