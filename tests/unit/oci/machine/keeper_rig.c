// SPDX-License-Identifier: Apache-2.0
/*
 * keeper_rig.c - the keeper, the session and the process of a pod's container as programs, for keeper_test.py. Instead of vsock there is a Unix socket, and
 * the machine has neither images nor shares, so that it needs no rights. A container of a pod has one layer, which is
 * nowhere mounted.
 *
 * keeper_rig keeper STATE_DIR AGENT_SOCKET PMVM READY_FD [CONSOLE_SOCKET]
 * keeper_rig session STATE_DIR READY_FD PROCESS [CONSOLE_SOCKET]
 * keeper_rig member STATE_DIR READY_FD ID POD_DIR [CONSOLE_SOCKET]
 *
 * KEEPER_RIG_POD in the environment: the keeper is that of a sandbox. KEEPER_RIG_CONTAINER: the session is for this one.
 * KEEPER_RIG_CGROUP: the process of the session gets this control group.
 * KEEPER_RIG_SHARE: the container of a pod has a share. Its virtiofsd is a program that sleeps, whose pid is in the file that is
 * the socket otherwise.
 */
#include "bundle.h"
#include "error.h"
#include "json_parse.h"
#include "keeper_internal.h"
#include "layers.h"
#include "member.h"
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

// The number in which the path of the agent's socket ends; 0: it has none.
static bool port_of_unix(const struct transport *transport, const struct sockaddr_storage *peer, uint32_t *port)
{
	struct sockaddr_un addr;
	const char *slash;

	(void)transport;
	memcpy(&addr, peer, sizeof(addr));
	slash = strrchr(addr.sun_path, '/');
	*port = slash ? (uint32_t)strtoul(slash + 1, NULL, 10) : 0;
	return true;
}

static int open_unix(struct transport *transport, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", agent_socket);
	*transport = (struct transport) { .listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		                          .port = 1234,
		                          .vhost_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		                          .port_of = port_of_unix };
	if (bind(transport->listener_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(transport->listener_fd, 64) < 0)
		return error_set(err, -errno, "%s: %s", agent_socket, strerror(errno));
	return 0;
}

int parts_make(struct parts *parts, const struct machine_plan *plan, struct vpmem_error *err)
{
	static struct bind layer = { .source = "/dev/null", .readonly = true };
	static struct bind share = { .source = "/" };

	// The keeper of a sandbox has none.
	if (plan->addresses) {
		parts->images = &layer;
		parts->nimages = 1;
		parts->shares = &share;
		parts->nshares = getenv("KEEPER_RIG_SHARE") ? 1 : 0;
		parts->share_dir = (char *)plan->state_dir;
		parts->create = json_object_new_object();
		json_object_object_add(parts->create, "container", json_object_new_int64(plan->place.number));
		json_object_object_add(parts->create, "pci", json_object_new_string(plan->addresses[0]));
		json_object_object_add(parts->create, "pod_pid", json_object_new_int64(plan->place.pod_pid));
		return 0;
	}
	parts->image_dir = (char *)plan->state_dir;
	return json_parse("{\"config\": {\"is\": \"the guest's\"}}", &parts->create, err);
}

void parts_fini(struct parts *parts)
{
	json_object_put(parts->create);
}

// ---- virtiofsd, which serves nothing

bool share_server_is_confined(void)
{
	return true;
}

int share_server_start(struct helper *helper, const struct share_plan *plan, struct loop *loop,
                       void (*ended)(void *owner), void *owner, int *vhost_user_fd, struct vpmem_error *err)
{
	static const char *const argv[] = { "/bin/sleep", "1000", NULL };
	const struct helper_options opts = { .name = "virtiofsd", .argv = argv, .ended = ended, .owner = owner };
	char path[4096];
	int rc = helper_start(helper, &opts, loop, err);
	FILE *file;

	(void)vhost_user_fd;
	if (*plan->listener_fd < 0)
		*plan->listener_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/" SHARE_SOCKET, plan->socket_dir);
	file = fopen(path, "w");
	if (rc || !file)
		return -EIO;
	fprintf(file, "%d", (int)helper->pid);
	fclose(file);
	return 0;
}

int share_server_await(struct helper *helper, struct vpmem_error *err)
{
	return helper->pid > 0 ? 0 : error_set(err, -EIO, "virtiofsd has ended");
}

// ---- mounts, which need rights

int binds_make(const char *dir, const struct bind *binds, size_t nbinds, struct vpmem_error *err)
{
	(void)dir;
	(void)binds;
	(void)err;
	return nbinds == 0 ? 0 : -EINVAL;
}

int binds_take(const char *source, bool readonly, struct vpmem_error *err)
{
	(void)readonly;
	int fd = open(source, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? error_set(err, -errno, "%s: %s", source, strerror(errno)) : fd;
}

int binds_place(int namespace_fd, const char *dir, const char *name, int tree_fd, struct vpmem_error *err)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (namespace_fd < 0 || tree_fd < 0 || fd < 0)
		return error_set(err, -EINVAL, "%s: cannot be placed", path);
	close(fd);
	return 0;
}

int binds_displace(int namespace_fd, const char *dir, const char *name, struct vpmem_error *err)
{
	char path[4096];

	(void)namespace_fd;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return unlink(path) < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

int binds_cover_root(const char *dir, struct vpmem_error *err)
{
	return error_set(err, -ENOTSUP, "%s: nobody joins here", dir);
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
		.is_pod = getenv("KEEPER_RIG_POD"),
		.status_changed = note_status,
		.owner = argv[0],
	};

	agent_socket = argv[1];
	return keeper_run_with(&plan, atoi(argv[3]), open_unix);
}

static int run_session(char **argv)
{
	struct session_plan plan = { .state_dir = argv[0],
		                     .container = getenv("KEEPER_RIG_CONTAINER"),
		                     .cgroup = getenv("KEEPER_RIG_CGROUP"),
		                     .terminal = argv[3] != NULL,
		                     .console_socket = argv[3] };
	int status;

	if (json_parse(argv[2], &plan.process, NULL) < 0)
		return 2;
	status = session_run(&plan, atoi(argv[1]));
	json_object_put(plan.process);
	return status;
}

static int run_member(char **argv)
{
	static struct layer layer = { .path = (char *)"/cache/layer.erofs" };
	const struct bundle bundle = { .terminal = argv[4] != NULL };
	const struct rootfs rootfs = { .layers = &layer, .nlayers = 1 };
	const struct machine_plan plan = {
		.id = argv[2],
		.state_dir = argv[0],
		.pod_dir = argv[3],
		.bundle = &bundle,
		.rootfs = &rootfs,
		.console_socket = argv[4],
		.status_changed = note_status,
		.owner = argv[0],
	};

	return member_run(&plan, atoi(argv[1]));
}

int main(int argc, char **argv)
{
	if (argc >= 6 && strcmp(argv[1], "keeper") == 0)
		return run_keeper(argv + 2);
	if (argc >= 5 && strcmp(argv[1], "session") == 0)
		return run_session(argv + 2);
	if (argc >= 6 && strcmp(argv[1], "member") == 0)
		return run_member(argv + 2);
	return 2;
}
