// SPDX-License-Identifier: Apache-2.0
/*
 * keeper_rig.c - the keeper and the session as programs, for keeper_test.py. Instead of vsock there is a Unix socket, and
 * the machine has neither images nor shares, so that it needs no rights.
 *
 * keeper_rig keeper STATE_DIR AGENT_SOCKET PMVM READY_FD [CONSOLE_SOCKET]
 * keeper_rig session STATE_DIR READY_FD PROCESS [CONSOLE_SOCKET]
 */
#include "bundle.h"
#include "error.h"
#include "json_parse.h"
#include "keeper_internal.h"
#include "layers.h"
#include "nics.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CREATE_TIMEOUT_MS 3000u

static const char *agent_socket;

static int open_unix(struct transport *transport, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", agent_socket);
	*transport = (struct transport) { .listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		                          .port = 1234,
		                          .vhost_fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	if (bind(transport->listener_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(transport->listener_fd, 16) < 0)
		return error_set(err, -errno, "%s: %s", agent_socket, strerror(errno));
	return 0;
}

int parts_make(struct parts *parts, const struct machine_plan *plan, struct vpmem_error *err)
{
	(void)plan;
	return json_parse("{\"config\": {\"is\": \"the guest's\"}}", &parts->create, err);
}

void parts_fini(struct parts *parts)
{
	json_object_put(parts->create);
}

// There is no network.
int nics_join(struct nics *nics, struct json_object **network, struct vpmem_error *err)
{
	(void)nics;
	(void)network;
	return error_set(err, -ENOTSUP, "no network here");
}

void nics_release(struct nics *nics)
{
	(void)nics;
}

void nics_fini(struct nics *nics)
{
	(void)nics;
}

static void note_status(void *owner, const char *status)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/status", (const char *)owner);
	file = fopen(path, "a");
	fprintf(file, "%s\n", status);
	fclose(file);
}

static int run_keeper(char **argv)
{
	const struct bundle bundle = { .terminal = argv[4] != NULL, .console_rows = 11, .console_columns = 22 };
	const struct rootfs rootfs = { 0 };
	const struct machine_plan plan = {
		.id = "c1",
		.state_dir = argv[0],
		.paths = { .pmvm = argv[2], .kernel = "/kernel", .initrd = "/initrd" },
		.ram_size = UINT64_C(256) << 20,
		.cpus = 1,
		.bundle = &bundle,
		.rootfs = &rootfs,
		.console_socket = argv[4],
		.create_timeout_ms = CREATE_TIMEOUT_MS,
		.status_changed = note_status,
		.owner = argv[0],
	};

	agent_socket = argv[1];
	return keeper_run_with(&plan, atoi(argv[3]), open_unix);
}

static int run_session(char **argv)
{
	struct session_plan plan = { .state_dir = argv[0], .terminal = argv[3] != NULL, .console_socket = argv[3] };
	int status;

	if (json_parse(argv[2], &plan.process, NULL) < 0)
		return 2;
	status = session_run(&plan, atoi(argv[1]));
	json_object_put(plan.process);
	return status;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && strcmp(argv[1], "keeper") == 0)
		return run_keeper(argv + 2);
	if (argc >= 5 && strcmp(argv[1], "session") == 0)
		return run_session(argv + 2);
	return 2;
}
