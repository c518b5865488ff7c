// SPDX-License-Identifier: Apache-2.0
// Init of a guest that runs one container or several: boots, connects to the host, serves it until one of them ends.
#include "agent.h"
#include "agent_boot.h"
#include "agent_file.h"
#include "agent_net.h"
#include "agent_process.h"
#include "agent_request.h"
#include "error.h"
#include "log.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TRIES 16u
#define RETRY_NS 20000000

static void host_is_gone(struct agent *agent, const struct vpmem_error *err)
{
	log_error("agent: %s", err->text);
	loop_del(&agent->loop, &agent->control);
	close(agent->control_fd);
	agent->control_fd = -1;
}

void agent_send(struct agent *agent, struct json_object *message)
{
	struct vpmem_error err;

	if (agent->control_fd >= 0 && wire_send(agent->control_fd, message, &err))
		host_is_gone(agent, &err);
	json_object_put(message);
}

// A port that no process of a container has, or finds first.
static int bind_random(int fd, unsigned *port)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int rc = -EADDRINUSE;

	for (unsigned i = 0; rc == -EADDRINUSE && i < TRIES; i++) {
		if (getrandom(&addr.svm_port, sizeof(addr.svm_port), 0) != (ssize_t)sizeof(addr.svm_port))
			return -EIO;
		// Neither a reserved port nor VMADDR_PORT_ANY.
		addr.svm_port |= 1u << 30;
		addr.svm_port &= ~(1u << 31);
		rc = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	}
	*port = addr.svm_port;
	return rc;
}

static void announce(struct agent *agent, unsigned port)
{
	struct json_object *event = json_object_new_object();

	json_object_object_add(event, "event", json_object_new_string("connect"));
	json_object_object_add(event, "port", json_object_new_int64(port));
	agent_send(agent, event);
}

static int connect_once(struct agent *agent, int *fd)
{
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = agent->port,
	};
	unsigned port;
	int rc;

	*fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	rc = bind_random(*fd, &port);
	// The first connection is the one by which others are announced.
	if (rc == 0 && agent->control_fd >= 0)
		announce(agent, port);
	if (rc == 0 &&
	    (connect(*fd, (const struct sockaddr *)&host, sizeof(host)) < 0 || fcntl(*fd, F_SETFL, O_NONBLOCK) < 0))
		rc = -errno;
	if (rc)
		close(*fd);
	return rc;
}

int agent_connect(struct agent *agent, int *fd, struct vpmem_error *err)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	int rc = connect_once(agent, fd);

	// The host's queue of connections is full for a moment, when processes of a container fill it.
	for (unsigned i = 1; rc == -ECONNRESET && i < TRIES; i++) {
		nanosleep(&pause, NULL);
		rc = connect_once(agent, fd);
	}
	return rc ? error_set(err, rc, "vsock port %u of the host: %s", agent->port, strerror(-rc)) : 0;
}

static void host_says(void *owner, short revents)
{
	struct agent *agent = owner;
	struct json_object *message;
	struct vpmem_error err = { .text = "" };
	int rc;

	(void)revents;
	while (agent->control_fd >= 0 && (rc = wire_read(&agent->reader, agent->control_fd, &message, &err)) != 0) {
		if (rc > 0) {
			rc = request_serve(agent, message, &err);
			json_object_put(message);
		}
		if (rc < 0)
			host_is_gone(agent, &err);
	}
}

static void children_ended(void *owner, short revents)
{
	struct signalfd_siginfo info;
	struct agent *agent = owner;

	(void)revents;
	while (read(agent->children_fd, &info, sizeof(info)) > 0)
		;
	crun_reap(&agent->crun, process_ended, agent);
}

static int make_token(struct agent *agent, struct vpmem_error *err)
{
	uint8_t bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_set(err, -errno, "no random numbers: %s", strerror(errno));
	for (unsigned i = 0; i < TOKEN_BYTES; i++)
		snprintf(agent->token + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int say_hello(struct agent *agent, struct vpmem_error *err)
{
	int fd, rc = make_token(agent, err);
	struct json_object *hello;

	if (rc == 0)
		rc = agent_connect(agent, &fd, err);
	if (rc)
		return rc;
	agent->control_fd = fd;
	hello = json_object_new_object();
	json_object_object_add(hello, "hello", json_object_new_int(WIRE_AGENT_VERSION));
	json_object_object_add(hello, "token", json_object_new_string(agent->token));
	rc = wire_send(agent->control_fd, hello, err);
	json_object_put(hello);
	return rc;
}

static int start(struct agent *agent, struct vpmem_error *err)
{
	sigset_t children;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_SETMASK, &children, NULL);
	agent->children_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = agent->children_fd < 0 ? -errno : loop_init(&agent->loop, &agent->lock);
	if (rc)
		return error_set(err, rc, "no event loop: %s", strerror(-rc));
	pthread_mutex_lock(&agent->lock);
	rc = boot_file_systems(err);
	if (rc == 0)
		rc = directory_make(AGENT_DIR, err);
	if (rc == 0)
		rc = file_write("/proc/self/oom_score_adj", "-1000", err);
	if (rc == 0)
		rc = boot_modules(err);
	if (rc == 0)
		rc = boot_reporting(err);
	// lo, as a runtime of the host would; the rest of the network comes with a request, if there is any.
	if (rc == 0)
		rc = agent_net_configure(NULL, err);
	if (rc == 0)
		rc = boot_port(&agent->port, err);
	if (rc == 0)
		rc = say_hello(agent, err);
	if (rc)
		return rc;
	agent->control =
		(struct loop_source) { .fd = agent->control_fd, .events = POLLIN, .ready = host_says, .owner = agent };
	agent->children = (struct loop_source) {
		.fd = agent->children_fd, .events = POLLIN, .ready = children_ended, .owner = agent
	};
	rc = loop_add(&agent->loop, &agent->control);
	return rc ? rc : loop_add(&agent->loop, &agent->children);
}

int main(void)
{
	static struct agent agent = { .lock = PTHREAD_MUTEX_INITIALIZER, .control_fd = -1, .children_fd = -1 };
	struct vpmem_error err = { .text = "" };

	if (getpid() != 1) {
		log_error("agent: it is init of a guest of pmvm-oci, and runs nowhere else");
		return 1;
	}
	if (start(&agent, &err))
		log_error("agent: %s", err.text);
	while (agent.control_fd >= 0 && loop_once(&agent.loop) == 0)
		;
	boot_power_off();
}
