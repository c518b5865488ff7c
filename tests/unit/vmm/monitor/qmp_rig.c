// SPDX-License-Identifier: Apache-2.0
// A QMP client without a socket.
#include "qmp_rig.h"

#include "command.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the session

struct monitor *session_monitor(struct session *s)
{
	return (struct monitor *)s->rig;
}

struct machine *monitor_machine(struct monitor *mon)
{
	return &((struct qmp_rig *)mon)->fake->m;
}

void session_write(struct session *s, const void *buf, size_t len)
{
	text_add(&s->out, buf, len);
}

void session_hang_up(struct session *s)
{
	s->hung_up = true;
}

// ---- the client

void qmp_rig_open(struct qmp_rig *rig, const struct front_end *front_end)
{
	*rig = (struct qmp_rig) { .fake = fake_machine_create(), .front_end = front_end };
	rig->session = calloc(1, sizeof(*rig->session));
	assert_non_null(rig->session);
	rig->session->rig = rig;
	rig->state = front_end->open(rig->session);
	assert_non_null(rig->state);
}

void qmp_rig_start(struct qmp_rig *rig)
{
	qmp_rig_open(rig, &qmp_front_end);
	qmp_rig_output(rig);
	qmp_rig_expect(rig, "{\"execute\": \"qmp_capabilities\"}", "{\"return\": {}}");
}

void qmp_rig_close(struct qmp_rig *rig)
{
	assert_false(rig->session->hung_up);
	rig->front_end->close(rig->state);
	text_free(&rig->session->out);
	free(rig->session);
	fake_machine_destroy(rig->fake);
}

const char *qmp_rig_output(struct qmp_rig *rig)
{
	text_add(&rig->session->out, "", 1);
	rig->session->out.len = 0;
	return rig->session->out.buf;
}

const char *qmp_rig_ask_bytes(struct qmp_rig *rig, const void *buf, size_t len)
{
	rig->session->out.len = 0;
	rig->front_end->input(rig->state, buf, len);
	return qmp_rig_output(rig);
}

const char *qmp_rig_ask(struct qmp_rig *rig, const char *text)
{
	return qmp_rig_ask_bytes(rig, text, strlen(text));
}

static const char *ask_command(struct qmp_rig *rig, const char *command, const char *args)
{
	char request[1024];

	snprintf(request, sizeof(request), "{\"execute\": \"%s\"%s%s}\n", command, args ? ", \"arguments\": " : "",
	         args ? args : "");
	return qmp_rig_ask(rig, request);
}

struct json_object *qmp_rig_run(struct qmp_rig *rig, const char *command, const char *args)
{
	const char *text = ask_command(rig, command, args);
	struct json_object *reply = json_tokener_parse(text), *ret = NULL;

	if (!json_object_object_get_ex(reply, "return", &ret))
		fail_msg("%s: %s", command, text);
	json_object_get(ret);
	json_object_put(reply);
	return ret;
}

void qmp_rig_expect(struct qmp_rig *rig, const char *request, const char *line)
{
	char expected[2048];

	snprintf(expected, sizeof(expected), "%s\r\n", line);
	assert_string_equal(qmp_rig_ask(rig, request), expected);
}

void qmp_rig_expect_error(struct qmp_rig *rig, const char *command, const char *args, const char *error_class,
                          const char *desc)
{
	struct json_object *reply = json_tokener_parse(ask_command(rig, command, args)), *error;

	assert_true(json_object_object_get_ex(reply, "error", &error));
	assert_string_equal(json_object_get_string(json_object_object_get(error, "desc")), desc);
	assert_string_equal(json_object_get_string(json_object_object_get(error, "class")), error_class);
	json_object_put(reply);
}
