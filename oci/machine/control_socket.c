// SPDX-License-Identifier: Apache-2.0
// The keeper's socket for the verbs.
#include "control_socket.h"

#include "descriptor.h"
#include "error.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void hang_up(struct control_client *client)
{
	if (client->fd < 0)
		return;
	loop_del(client->control->loop, &client->source);
	wire_reader_fini(&client->reader);
	close(client->fd);
	client->fd = -1;
	client->control->ops->gone(client->control->owner, client);
}

// ---- answers

struct control_ticket control_ticket(struct control_client *client)
{
	return (struct control_ticket) { client, client->serial };
}

struct control_client *control_client_of(struct control_ticket ticket)
{
	struct control_client *client = ticket.client;

	return client->fd >= 0 && client->serial == ticket.serial ? client : NULL;
}

int control_tell(struct control_client *client, struct json_object *message, int fd)
{
	int rc = message ? wire_send(client->fd, message, NULL) : -ENOMEM;

	json_object_put(message);
	if (rc == 0 && fd >= 0)
		rc = descriptor_send(client->fd, fd);
	if (rc < 0)
		hang_up(client);
	return rc;
}

static void finish(struct control_ticket ticket, const char *name, struct json_object *val)
{
	struct control_client *client = control_client_of(ticket);
	struct json_object *message = client ? json_object_new_object() : NULL;

	if (!client || !message) {
		json_object_put(val);
		return;
	}
	json_object_object_add(message, name, val);
	client->is_busy = false;
	loop_set_events(client->control->loop, &client->source, POLLIN);
	(void)control_tell(client, message, -1);
}

void control_answer(struct control_ticket ticket, struct json_object *ok)
{
	finish(ticket, "ok", ok ? ok : json_object_new_object());
}

void control_refuse(struct control_ticket ticket, const char *error)
{
	finish(ticket, "error", json_object_new_string(error));
}

// ---- requests

static void on_client(void *owner, short revents)
{
	struct control_client *client = owner;
	struct json_object *request;
	int rc;

	// A client that ends while its request is under way is noticed as well.
	if (client->is_busy) {
		if (revents & (POLLRDHUP | POLLHUP | POLLERR))
			hang_up(client);
		return;
	}
	rc = wire_read(&client->reader, client->fd, &request, NULL);
	if (rc < 0)
		hang_up(client);
	if (rc != 1)
		return;
	client->is_busy = true;
	loop_set_events(client->control->loop, &client->source, POLLRDHUP);
	client->control->ops->request(client->control->owner, client, request);
	json_object_put(request);
}

static void on_listener(void *owner, short revents)
{
	struct control_socket *control = owner;
	struct control_client *client = NULL;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	for (unsigned i = 0; fd >= 0 && i < CONTROL_CLIENTS_MAX && !client; i++)
		if (control->clients[i].fd < 0)
			client = &control->clients[i];
	if (!client) {
		if (fd >= 0)
			close(fd);
		return;
	}
	*client = (struct control_client) {
		.control = control,
		.fd = fd,
		.source = { .fd = fd, .events = POLLIN, .ready = on_client, .owner = client },
		.serial = ++control->last_serial,
	};
	if (loop_add(control->loop, &client->source) < 0) {
		close(fd);
		client->fd = -1;
	}
}

// ---- the life of the socket

int control_open(struct control_socket *control, const char *state_dir, struct loop *loop,
                 const struct control_ops *ops, void *owner, struct vpmem_error *err)
{
	int rc;

	*control = (struct control_socket) { .loop = loop, .ops = ops, .owner = owner };
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	control->fd = control_listen(state_dir, err);
	if (control->fd < 0)
		return control->fd;
	control->listener =
		(struct loop_source) { .fd = control->fd, .events = POLLIN, .ready = on_listener, .owner = control };
	rc = loop_add(loop, &control->listener);
	return rc ? error_set(err, rc, "control socket: %s", strerror(-rc)) : 0;
}

void control_close(struct control_socket *control)
{
	if (!control->loop)
		return;
	loop_del(control->loop, &control->listener);
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		hang_up(&control->clients[i]);
	if (control->fd >= 0)
		close(control->fd);
	control->fd = -1;
	control->loop = NULL;
}
