// SPDX-License-Identifier: Apache-2.0
// Commands to the monitor of pmvm, and the one event that counts.
#include "vm_monitor.h"

#include "error.h"
#include "json_stream.h"
#include "monotonic.h"
#include "socket_io.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 10000u

// ---- what comes

static const char *string_of(struct json_object *object, const char *name)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(object, name, &val) || !json_object_is_type(val, json_type_string))
		return NULL;
	return json_object_get_string(val);
}

static void on_refusal(struct vm_monitor *monitor, struct json_object *error)
{
	const char *text = string_of(error, "desc");

	snprintf(monitor->refused, sizeof(monitor->refused), "%s", text ? text : "no reason given");
	monitor->answer = QMP_REFUSED;
}

static void on_return(struct vm_monitor *monitor, struct json_object *val)
{
	const char *status = string_of(val, "status");

	if (status)
		snprintf(monitor->status, sizeof(monitor->status), "%s", status);
	if (monitor->value) {
		*monitor->value = json_object_get(val);
		monitor->value = NULL;
	}
	monitor->answer = QMP_DONE;
}

static void on_event(struct vm_monitor *monitor, const char *event, struct json_object *val)
{
	struct json_object *data = NULL, *connected = NULL;
	const char *id;

	monitor->has_stopped |= strcmp(event, "STOP") == 0 && !monitor->is_paused;
	id = json_object_object_get_ex(val, "data", &data) ? string_of(data, "device") : NULL;
	if (!id)
		return;
	if (monitor->deleted && strcmp(event, "DEVICE_DELETED") == 0)
		monitor->deleted(monitor->owner, id);
	if (monitor->unserved && strcmp(event, "VHOST_USER_CHANGE") == 0 &&
	    json_object_object_get_ex(data, "connected", &connected) && !json_object_get_boolean(connected))
		monitor->unserved(monitor->owner, id);
}

static void on_value(void *owner, struct json_object *val, const char *error)
{
	struct vm_monitor *monitor = owner;
	struct json_object *part = NULL;
	const char *event = error ? NULL : string_of(val, "event");

	if (error)
		monitor->answer = QMP_OVER;
	else if (event)
		on_event(monitor, event, val);
	else if (json_object_object_get_ex(val, "error", &part))
		on_refusal(monitor, part);
	else if (json_object_object_get_ex(val, "return", &part))
		on_return(monitor, part);
	else if (json_object_object_get_ex(val, "QMP", &part))
		monitor->answer = QMP_DONE;
}

static void read_some(struct vm_monitor *monitor)
{
	uint8_t buf[4096];
	ssize_t n = socket_receive(monitor->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0)
		json_stream_feed(monitor->stream, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		monitor->answer = QMP_OVER;
}

static int await(struct vm_monitor *monitor, unsigned timeout_ms)
{
	struct pollfd fd = { .fd = monitor->fd, .events = POLLIN };
	uint64_t now = monotonic_ms(), deadline = now + timeout_ms;

	while (monitor->answer == QMP_WAITS && now < deadline) {
		if (poll(&fd, 1, (int)(deadline - now)) > 0)
			read_some(monitor);
		now = monotonic_ms();
	}
	return monitor->answer == QMP_DONE ? 0 : monitor->answer == QMP_WAITS ? -ETIMEDOUT : -EIO;
}

// ---- commands

static int send_command(struct vm_monitor *monitor, const char *name, struct json_object *arguments)
{
	struct json_object *message = json_object_new_object();
	const char *text;
	size_t len;
	int rc;

	json_object_object_add(message, "execute", json_object_new_string(name));
	if (arguments)
		json_object_object_add(message, "arguments", arguments);
	text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN);
	len = strlen(text);
	rc = socket_send(monitor->fd, text, len, 0) == (ssize_t)len && socket_send(monitor->fd, "\n", 1, 0) == 1 ?
	             0 :
	             -errno;
	json_object_put(message);
	return rc;
}

static int run_within(struct vm_monitor *monitor, const char *name, struct json_object *arguments, unsigned limit_ms,
                      struct vpmem_error *err)
{
	int rc;

	if (monitor->fd < 0) {
		json_object_put(arguments);
		return error_set(err, -EPIPE, "pmvm: %s: it has ended", name);
	}
	monitor->answer = QMP_WAITS;
	rc = send_command(monitor, name, arguments);
	if (rc < 0)
		return error_set(err, -EPIPE, "pmvm: %s: %s", name, strerror(-rc));
	rc = await(monitor, limit_ms);
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "pmvm: %s: it does not answer within %u s", name, limit_ms / 1000);
	if (rc < 0)
		error_set(err, rc, "pmvm: %s: %s", name,
		          monitor->answer == QMP_REFUSED ? monitor->refused : "it has ended");
	return rc;
}

int vm_monitor_run(struct vm_monitor *monitor, const char *name, struct json_object *arguments, struct vpmem_error *err)
{
	return run_within(monitor, name, arguments, ANSWER_MS, err);
}

static int command(struct vm_monitor *monitor, const char *name, struct vpmem_error *err)
{
	return vm_monitor_run(monitor, name, NULL, err);
}

int vm_monitor_pause(struct vm_monitor *monitor, struct vpmem_error *err)
{
	int rc;

	monitor->is_paused = true;
	rc = command(monitor, "stop", err);
	monitor->is_paused = rc == 0;
	return rc;
}

int vm_monitor_resume(struct vm_monitor *monitor, struct vpmem_error *err)
{
	int rc = command(monitor, "cont", err);

	if (rc == 0)
		monitor->is_paused = false;
	return rc;
}

int vm_monitor_query(struct vm_monitor *monitor, const char *name, struct json_object **answer, struct vpmem_error *err)
{
	int rc;

	*answer = NULL;
	monitor->value = answer;
	rc = command(monitor, name, err);
	monitor->value = NULL;
	return rc;
}

// ---- its life

static void on_ready(void *owner, short revents)
{
	struct vm_monitor *monitor = owner;

	(void)revents;
	read_some(monitor);
	// Its end is that of the process, which is noticed by itself.
	if (monitor->answer == QMP_OVER)
		loop_set_events(monitor->loop, &monitor->source, 0);
	if (!monitor->has_stopped)
		return;
	monitor->has_stopped = false;
	snprintf(monitor->status, sizeof(monitor->status), "unknown");
	(void)command(monitor, "query-status", NULL);
	monitor->stopped(monitor->owner, monitor->status);
}

int vm_monitor_open(struct vm_monitor *monitor, int fd, struct loop *loop, unsigned start_ms,
                    void (*stopped)(void *owner, const char *state), void *owner, struct vpmem_error *err)
{
	int rc;

	*monitor = (struct vm_monitor) {
		.loop = loop,
		.fd = fd,
		.source = { .fd = fd, .events = POLLIN, .ready = on_ready, .owner = monitor },
		.stream = json_stream_create(on_value, monitor),
		.stopped = stopped,
		.owner = owner,
	};
	rc = monitor->stream ? await(monitor, start_ms) : -ENOMEM;
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "pmvm: its monitor does not answer within %u s", start_ms / 1000);
	if (rc < 0)
		return error_set(err, rc, "pmvm: it has ended at its start");
	rc = run_within(monitor, "qmp_capabilities", NULL, start_ms, err);
	rc = rc ? rc : loop_add(loop, &monitor->source);
	return rc;
}

void vm_monitor_close(struct vm_monitor *monitor)
{
	if (!monitor->loop)
		return;
	loop_del(monitor->loop, &monitor->source);
	json_stream_destroy(monitor->stream);
	close(monitor->fd);
	monitor->fd = -1;
	monitor->loop = NULL;
}
