// SPDX-License-Identifier: Apache-2.0
// QMP, the monitor for programs: greeting, negotiation, requests, replies, events.
#include "command.h"
#include "error.h"
#include "json_make.h"
#include "json_stream.h"
#include "json_text.h"
#include "qmp.h"
#include "session.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qmp {
	struct session *session;
	struct json_stream *stream;
	struct qmp_negotiation negotiation;
	bool pretty;
};

// ---- output

static void send_text(struct qmp *qmp, struct text *text)
{
	text_add(text, "\r\n", 2);
	// A client without a reply would wait for it without end.
	if (text->failed)
		session_hang_up(qmp->session);
	else
		session_write(qmp->session, text->buf, text->len);
	text_free(text);
}

static void send(struct qmp *qmp, struct json_object *json)
{
	struct text text = { 0 };

	json_text_add(&text, json, qmp->pretty);
	send_text(qmp, &text);
}

static const char *error_class(int rc)
{
	switch (rc) {
	case -ENODEV:
		return "DeviceNotFound";
	case -EUNATCH:
		return "DeviceNotActive";
	case -ENOSYS:
		return "CommandNotFound";
	default:
		return "GenericError";
	}
}

// HMP shows the next step as a line of its own. QMP has no member for it, so it follows the text.
static struct json_object *description(const struct vpmem_error *err)
{
	char desc[sizeof(err->text) + sizeof(err->hint) + 16];

	if (!err->hint[0])
		return json_object_new_string(err->text);
	snprintf(desc, sizeof(desc), "%s (hint: %s)", err->text, err->hint);
	return json_object_new_string(desc);
}

// `id` is borrowed; a request that has null as its id gets null back, one without gets none.
static void reply_error(struct qmp *qmp, int rc, const struct vpmem_error *err, bool has_id, struct json_object *id)
{
	struct json_object *reply = json_object_new_object(), *error = json_object_new_object();

	put_str(error, "class", error_class(rc));
	put(error, "desc", description(err));
	if (has_id)
		put(reply, "id", json_object_get(id));
	put(reply, "error", error);
	send(qmp, reply);
	json_object_put(reply);
}

static void reply_return(struct qmp *qmp, struct json_object *ret, bool has_id, struct json_object *id)
{
	struct json_object *reply = json_object_new_object();

	put(reply, "return", ret ? ret : json_object_new_object());
	if (has_id)
		put(reply, "id", json_object_get(id));
	send(qmp, reply);
	json_object_put(reply);
}

char *qmp_text(struct json_object *json)
{
	struct text text = { 0 };

	json_text_add(&text, json, false);
	text_add(&text, "", 1);
	if (!text.failed)
		return text.buf;
	text_free(&text);
	return NULL;
}

// ---- requests

struct request {
	const char *command;
	struct json_object *args;
	const char *exec_key; // "execute" or "exec-oob"
};

static int take_exec(struct request *req, const char *key, struct json_object *val, struct vpmem_error *err)
{
	if (!json_object_is_type(val, json_type_string))
		return error_set(err, -EINVAL, "QMP input member '%s' must be a string", key);
	if (req->exec_key)
		return error_set(err, -EINVAL, "QMP input member '%s' clashes with '%s'", key, req->exec_key);
	req->exec_key = key;
	req->command = json_object_get_string(val);
	return 0;
}

static int take_member(struct qmp *qmp, struct request *req, const char *key, struct json_object *val,
                       struct vpmem_error *err)
{
	if (!strcmp(key, "id"))
		return 0;
	if (!strcmp(key, "execute") || (!strcmp(key, "exec-oob") && qmp->negotiation.oob))
		return take_exec(req, key, val, err);
	if (strcmp(key, "arguments") != 0)
		return error_set(err, -EINVAL, "QMP input member '%.200s' is unexpected", key);
	if (!json_object_is_type(val, json_type_object))
		return error_set(err, -EINVAL, "QMP input member 'arguments' must be an object");
	req->args = val;
	return 0;
}

static int take_request(struct qmp *qmp, struct json_object *json, struct request *req, struct vpmem_error *err)
{
	json_object_object_foreach(json, key, val)
	{
		int rc = take_member(qmp, req, key, val, err);

		if (rc < 0)
			return rc;
	}
	return req->exec_key ? 0 : error_set(err, -EINVAL, "QMP input lacks member 'execute'");
}

static int run(struct qmp *qmp, const struct request *req, struct json_object **ret, struct vpmem_error *err)
{
	struct monitor *mon = session_monitor(qmp->session);
	const struct command_context ctx = {
		.monitor = mon,
		.machine = monitor_machine(mon),
		.qmp = &qmp->negotiation,
	};
	const struct command *cmd = command_find(req->command);

	if (!qmp->negotiation.done && strcmp(req->command, "qmp_capabilities") != 0)
		return error_set(err, -ENOSYS, "Expecting capabilities negotiation with 'qmp_capabilities'");
	if (!cmd)
		return error_set(err, -ENOSYS, "The command %.200s has not been found", req->command);
	// Commands run one at a time.
	if (!strcmp(req->exec_key, "exec-oob"))
		return error_set(err, -EINVAL, "The command %s does not support OOB", cmd->name);
	return command_run(cmd, &ctx, req->args, ret, err);
}

static void handle(void *state, struct json_object *json, const char *parse_error)
{
	struct qmp *qmp = state;
	struct json_object *id = NULL, *ret = NULL;
	struct vpmem_error err = { "", "" };
	struct request req = { 0 };
	bool has_id = false;
	int rc;

	if (parse_error) {
		rc = error_set(&err, -EINVAL, "%s", parse_error);
	} else if (!json_object_is_type(json, json_type_object)) {
		rc = error_set(&err, -EINVAL, "QMP input must be a JSON object");
	} else {
		has_id = json_object_object_get_ex(json, "id", &id);
		rc = take_request(qmp, json, &req, &err);
	}
	if (rc == 0)
		rc = run(qmp, &req, &ret, &err);
	if (rc < 0) {
		json_object_put(ret);
		reply_error(qmp, rc, &err, has_id, id);
	} else {
		reply_return(qmp, ret, has_id, id);
	}
}

// ---- a client

static void greet(struct qmp *qmp)
{
	struct json_object *greeting = json_object_new_object(), *body = json_object_new_object();
	struct json_object *capabilities = json_object_new_array(), *version = NULL;

	(void)command_run(command_find("query-version"), &(struct command_context) { 0 }, NULL, &version, NULL);
	add_to(capabilities, json_object_new_string("oob"));
	put(body, "version", version);
	put(body, "capabilities", capabilities);
	put(greeting, "QMP", body);
	send(qmp, greeting);
	json_object_put(greeting);
}

static void qmp_close(void *state)
{
	struct qmp *qmp = state;

	json_stream_destroy(qmp->stream);
	free(qmp);
}

static void *open_front_end(struct session *s, bool pretty)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp)
		return NULL;
	*qmp = (struct qmp) { .session = s, .pretty = pretty };
	qmp->stream = json_stream_create(handle, qmp);
	if (!qmp->stream) {
		free(qmp);
		return NULL;
	}
	greet(qmp);
	return qmp;
}

static void *qmp_open(struct session *s)
{
	return open_front_end(s, false);
}

static void *qmp_open_pretty(struct session *s)
{
	return open_front_end(s, true);
}

static void qmp_input(void *state, const uint8_t *buf, size_t len)
{
	json_stream_feed(((struct qmp *)state)->stream, buf, len);
}

// May be called while a command runs that released the machine lock: nothing here uses the stream.
static void qmp_event(void *state, const char *event)
{
	struct qmp *qmp = state;
	struct json_object *json;
	struct text text = { 0 };

	if (!qmp->negotiation.done)
		return;
	json = qmp->pretty ? json_tokener_parse(event) : NULL;
	if (json)
		json_text_add(&text, json, true);
	else
		text_add(&text, event, strlen(event));
	json_object_put(json);
	send_text(qmp, &text);
}

const struct front_end qmp_front_end = {
	.open = qmp_open,
	.input = qmp_input,
	.close = qmp_close,
	.event = qmp_event,
};

const struct front_end qmp_pretty_front_end = {
	.open = qmp_open_pretty,
	.input = qmp_input,
	.close = qmp_close,
	.event = qmp_event,
};
