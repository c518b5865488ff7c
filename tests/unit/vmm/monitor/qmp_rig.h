// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_rig.h - a QMP client on a session that keeps the output, with a fake machine.
 */
#ifndef QMP_RIG_H
#define QMP_RIG_H

#include "fake_machine.h"
#include "json_text.h"
#include "session.h"
#include "text.h"

#include <json-c/json.h>

struct qmp_rig {
	struct fake_machine *fake;
	struct session *session;
	const struct front_end *front_end;
	void *state; /* of the front end */
};

/* `out` is the output that qmp_rig_output has not returned yet. */
struct session {
	struct qmp_rig *rig;
	struct text out;
	bool hung_up;
};

/* Greeted. */
void qmp_rig_open(struct qmp_rig *rig, const struct front_end *front_end);
/* Greeted, the greeting thrown away, and negotiated. */
void qmp_rig_start(struct qmp_rig *rig);
void qmp_rig_close(struct qmp_rig *rig);

/* All that was sent since the last call; valid until the next one. */
const char *qmp_rig_output(struct qmp_rig *rig);
/* Sends bytes and returns what came back. */
const char *qmp_rig_ask_bytes(struct qmp_rig *rig, const void *buf, size_t len);
const char *qmp_rig_ask(struct qmp_rig *rig, const char *text);
/* The "return" of a command without arguments, or with; owned by the caller. Fails the test on an error. */
struct json_object *qmp_rig_run(struct qmp_rig *rig, const char *command, const char *args);

/* The reply is this line. */
void qmp_rig_expect(struct qmp_rig *rig, const char *request, const char *line);
/* The reply to a command with arguments (JSON; NULL: none) is an error of this class and text. */
void qmp_rig_expect_error(struct qmp_rig *rig, const char *command, const char *args, const char *error_class,
                          const char *desc);

#endif
