// SPDX-License-Identifier: Apache-2.0
// A process of ours that outlives the command.
#include "launch.h"

#include "cgroup.h"
#include "error.h"
#include "frame.h"
#include "fresh_process.h"
#include "oci_log.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAUNCH_FAILED 255

static void report(int fd, const struct vpmem_error *why)
{
	struct json_object *message = json_object_new_object();
	struct vpmem_error err;

	json_object_object_add(message, "error", json_object_new_string(why->text));
	json_object_object_add(message, "hint", json_object_new_string(why->hint));
	wire_send(fd, message, &err);
	json_object_put(message);
}

static _Noreturn void become(const struct launch_options *opts, int ready_fd)
{
	struct vpmem_error err = { "", "" };

	if (opts->lock_fd >= 0)
		close(opts->lock_fd);
	setsid();
	fresh_process_signals();
	signal(SIGPIPE, SIG_IGN);
	if (cgroup_enter(opts->cgroup, &err) < 0) {
		report(ready_fd, &err);
		_exit(LAUNCH_FAILED);
	}
	exit(opts->run(opts->owner, ready_fd));
}

int launch(const struct launch_options *opts, pid_t *pid, int *ready_fd, struct vpmem_error *err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	fflush(NULL);
	*pid = fork();
	if (*pid == 0) {
		close(fds[0]);
		become(opts, fds[1]);
	}
	close(fds[1]);
	if (*pid > 0) {
		*ready_fd = fds[0];
		return 0;
	}
	close(fds[0]);
	return error_set(err, -errno, "cannot start a process: %s", strerror(errno));
}

static const char *text_of(struct json_object *report, const char *name)
{
	struct json_object *text = report ? json_object_object_get(report, name) : NULL;

	return json_object_is_type(text, json_type_string) ? json_object_get_string(text) : NULL;
}

int launch_wait(int ready_fd, const char *what, unsigned timeout_s, struct vpmem_error *err)
{
	struct json_object *report = NULL;
	struct vpmem_error why = { "", "" };
	int rc = wire_receive(ready_fd, (int)timeout_s * 1000, &report, &why);
	const char *text = rc == 0 ? text_of(report, "error") : NULL;
	const char *note = rc == 0 ? text_of(json_object_object_get(report, "ok"), "note") : NULL;

	close(ready_fd);
	if (note)
		oci_log_debug("%s: %s", what, note);
	if (rc == -ETIMEDOUT) {
		error_set(err, rc, "%s: no answer within %u s", what, timeout_s);
		error_hint(err, "see create-timeout of the settings, and --debug");
	} else if (rc < 0) {
		error_set(err, rc, "%s: it ended before it was ready", what);
	} else if (text) {
		const char *hint = text_of(report, "hint");

		rc = error_set(err, -EREMOTEIO, "%s", text);
		if (hint)
			error_hint(err, "%s", hint);
	}
	json_object_put(report);
	return rc;
}
