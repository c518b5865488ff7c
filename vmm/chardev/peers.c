// SPDX-License-Identifier: Apache-2.0
// Where the peers of a character device come from.
#include "peers_internal.h"

#include "chardev_pty.h"
#include "error.h"
#include "listener.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PTY_POLL_MS 1000u

const char *peers_name(const struct peers *p)
{
	return p->name;
}

const char *peers_pty(const struct peers *p)
{
	return p->pty_path;
}

static void hand_over(struct peers *p, int fd)
{
	int rc = p->accepted(p->owner, fd);

	if (rc == 0)
		return;
	log_guest("%s: %s: cannot serve the peer: %s", peers_module(p), p->name, strerror(-rc));
	close(fd);
	peers_left(p);
}

void peers_take(struct peers *p, int fd)
{
	p->failed = false;
	if (p->begun)
		hand_over(p, fd);
	else
		p->waiting_fd = fd;
}

void peers_hint_denied(const struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	broker_hint(&(struct broker_call) { .is_denied = p->is_denied }, cfg->path, err);
}

// ---- listening

static int open_listener(struct peers *p, const struct chardev_config *cfg, int fd, struct vpmem_error *err)
{
	const struct listener_config listener = {
		.path = fd < 0 ? cfg->path : p->name,
		.listens = fd >= 0,
		.fd = fd,
		.module = p->module    ? p->module :
		          cfg->monitor ? "monitor" :
		                         "console",
		// A client of the monitor controls the machine, and can make it open files.
		.mode = cfg->monitor ? 0700 : 0777,
		// For others, one peer at a time: the next one waits.
		.npeers_max = cfg->monitor ? CHARDEV_MONITOR_PEERS_MAX : 1,
		.turn_away = cfg->monitor,
		.accepted = p->accepted,
		.owner = p->owner,
	};

	return listener_open(&listener, p->loop, &p->listener, err);
}

static char *name_inet(const struct chardev_config *cfg, const char *port)
{
	const char *host = cfg->host && *cfg->host ? cfg->host : "127.0.0.1", *end = cfg->server ? ",server=on" : "";
	bool brackets = strchr(host, ':') != NULL;
	char *name;
	int n = asprintf(&name, "tcp:%s%s%s:%s%s", brackets ? "[" : "", host, brackets ? "]" : "", port, end);

	return n < 0 ? NULL : name;
}

// With port=0 the kernel has chosen one.
static int name_port(struct peers *p, const struct chardev_config *cfg, unsigned port)
{
	char text[16], *name;

	snprintf(text, sizeof(text), "%u", port);
	name = name_inet(cfg, text);
	if (!name)
		return -ENOMEM;
	free(p->name);
	p->name = name;
	return 0;
}

static int open_inet(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	int fd, rc = inet_parse(cfg->host, cfg->port, &p->addr);
	unsigned port;

	if (rc < 0)
		return error_set(err, rc, "address resolution failed for %s: not a number", p->name);
	if (!cfg->server)
		return peers_connect(p, cfg, err);
	rc = inet_listen(&p->addr, cfg->monitor ? CHARDEV_MONITOR_PEERS_MAX : 1, &fd, &port, &p->is_denied);
	if (rc < 0) {
		error_set(err, rc, "Failed to listen on %s: %s", p->name, strerror(-rc));
		peers_hint_denied(p, cfg, err);
		return rc;
	}
	rc = name_port(p, cfg, port) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
	rc = rc ? rc : open_listener(p, cfg, fd, err);
	if (rc < 0)
		close(fd);
	return rc;
}

static int open_unix(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (cfg->server)
		return open_listener(p, cfg, -1, err);
	if (strlen(cfg->path) >= sizeof(addr.sun_path))
		return error_set(err, -ENAMETOOLONG, "UNIX socket path '%.200s' is too long", cfg->path);
	memcpy(addr.sun_path, cfg->path, strlen(cfg->path) + 1);
	memcpy(&p->addr.addr, &addr, sizeof(addr));
	p->addr.len = sizeof(addr);
	return peers_connect(p, cfg, err);
}

// ---- a descriptor that was passed

static bool listens(int fd)
{
	int val = 0;
	socklen_t len = sizeof(val);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &val, &len) == 0 && val;
}

static int open_fd(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	int fd = atoi(cfg->fd);
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return error_set(err, -ENOTSOCK, "File descriptor '%s' is not a socket", cfg->fd);
	if (listens(fd) != cfg->server) {
		error_set(err, -EINVAL, "File descriptor '%s' is %s", cfg->fd,
		          cfg->server ? "not a socket that listens" : "a socket that listens");
		error_hint(err, cfg->server ? "leave server=on out for a connected socket" : "add server=on");
		return -EINVAL;
	}
	// The description is ours: the program that passed it has no use for it but closing it.
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, -errno, "File descriptor '%s': %s", cfg->fd, strerror(errno));
	if (!cfg->server) {
		peers_take(p, fd);
		return 0;
	}
	return open_listener(p, cfg, fd, err);
}

// ---- pty

// The descriptor reports POLLHUP as long as nobody has the terminal open.
static void examine_pty(struct peers *p)
{
	struct pollfd poll_fd = { .fd = p->pty_fd, .events = POLLIN };
	int fd;

	if (poll(&poll_fd, 1, 0) >= 0 && !(poll_fd.revents & POLLHUP)) {
		fd = fcntl(p->pty_fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0) {
			peers_take(p, fd);
			return;
		}
	}
	loop_arm(p->loop, &p->again, PTY_POLL_MS);
}

static int open_pty(struct peers *p, struct vpmem_error *err)
{
	int rc = chardev_pty_open(&p->pty_fd, &p->pty_path);

	if (rc < 0)
		return error_set(err, rc, "Failed to create PTY: %s", strerror(-rc));
	free(p->name);
	p->name = NULL;
	if (asprintf(&p->name, "pty:%s", p->pty_path) < 0) {
		p->name = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	loop_arm(p->loop, &p->again, 0);
	return 0;
}

// ---- life

static void on_again(void *owner)
{
	struct peers *p = owner;

	if (p->pty_fd >= 0)
		examine_pty(p);
	else
		peers_connect_again(p);
}

static char *make_name(const struct chardev_config *cfg)
{
	const char *end = cfg->server ? ",server=on" : "";
	char *name;

	if (cfg->path)
		return asprintf(&name, "unix:%s%s", cfg->path, end) < 0 ? NULL : name;
	if (cfg->fd)
		return asprintf(&name, "fd:%s%s", cfg->fd, end) < 0 ? NULL : name;
	return name_inet(cfg, cfg->port ? cfg->port : "");
}

static int open_kind(struct peers *p, const struct chardev_config *cfg, struct vpmem_error *err)
{
	if (cfg->kind == CHARDEV_PTY)
		return open_pty(p, err);
	if (cfg->path)
		return open_unix(p, cfg, err);
	return cfg->fd ? open_fd(p, cfg, err) : open_inet(p, cfg, err);
}

int peers_open(const struct peers_config *cfg, struct loop *loop, struct peers **out, struct vpmem_error *err)
{
	struct peers *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	*p = (struct peers) {
		.accepted = cfg->accepted,
		.owner = cfg->owner,
		.loop = loop,
		.module = cfg->module,
		.name = make_name(cfg->chardev),
		.waiting_fd = -1,
		.pty_fd = -1,
		.connecting = { .fd = -1, .ready = peers_on_connecting, .owner = p },
		.again = { .expired = on_again, .owner = p },
	};
	rc = p->name ? loop_add(loop, &p->connecting) : -ENOMEM;
	rc = rc ? rc : loop_add_timer(loop, &p->again);
	if (rc < 0)
		error_set(err, rc, "cannot set up character device: %s", strerror(-rc));
	else
		rc = open_kind(p, cfg->chardev, err);
	if (rc < 0)
		peers_close(p);
	else
		*out = p;
	return rc;
}

void peers_begin(struct peers *p)
{
	int fd = p->waiting_fd;

	p->begun = true;
	p->waiting_fd = -1;
	if (fd >= 0)
		hand_over(p, fd);
}

bool peers_are_expected(const struct peers *p)
{
	return p->listener || p->pty_fd >= 0 || p->reconnect_ms > 0;
}

void peers_left(struct peers *p)
{
	if (p->listener)
		listener_peer_left(p->listener);
	else if (p->pty_fd >= 0)
		loop_arm(p->loop, &p->again, PTY_POLL_MS);
	else if (p->reconnect_ms > 0)
		loop_arm(p->loop, &p->again, p->reconnect_ms);
}

void peers_close(struct peers *p)
{
	if (!p)
		return;
	listener_close(p->listener);
	loop_del(p->loop, &p->connecting);
	loop_del_timer(p->loop, &p->again);
	for (unsigned i = 0; i < 3; i++) {
		int fd = (const int[]) { p->connecting.fd, p->waiting_fd, p->pty_fd }[i];

		if (fd >= 0)
			close(fd);
	}
	free(p->pty_path);
	free(p->name);
	free(p);
}
