// SPDX-License-Identifier: Apache-2.0
// A front end for the tests of sessions, in the place of QMP's; and events as text.
#include "monitor_fixture.h"

#include "event.h"
#include "qmp.h"

#include <stdlib.h>
#include <string.h>

struct fake_qmp fake_qmp;

static void *fake_open(struct session *s)
{
	fake_qmp.nopen++;
	session_write(s, "hello\r\n", 7);
	return s;
}

static void fake_input(void *state, const uint8_t *buf, size_t len)
{
	char *answer = calloc(1, fake_qmp.answer_len + 2);

	fake_qmp.ninput += len;
	// The answer is the first byte of the question, many times.
	memset(answer, buf[0], fake_qmp.answer_len);
	answer[fake_qmp.answer_len] = '\n';
	session_write(state, answer, fake_qmp.answer_len + 1);
	free(answer);
	if (fake_qmp.hang_up)
		session_hang_up(state);
}

static void fake_close(void *state)
{
	(void)state;
	fake_qmp.nclose++;
}

static void fake_event(void *state, const char *text)
{
	fake_qmp.nevents++;
	session_write(state, text, strlen(text));
	session_write(state, "\r\n", 2);
}

const struct front_end qmp_front_end = {
	.open = fake_open,
	.input = fake_input,
	.close = fake_close,
	.event = fake_event,
};
const struct front_end qmp_pretty_front_end = {
	.open = fake_open,
	.input = fake_input,
	.close = fake_close,
	.event = fake_event,
};

struct json_object *monitor_event_json(const struct machine_event *event)
{
	fake_qmp.ntexts++;
	return json_object_new_string(event->path ? event->path : "");
}

char *qmp_text(struct json_object *json)
{
	return strdup(json_object_get_string(json));
}
