// SPDX-License-Identifier: Apache-2.0
// passt as a child process: its start and its end.
#include "net_passt.h"

#include "child.h"
#include "error.h"
#include "log.h"
#include "monotonic.h"
#include "net_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASST_START_MS 30000u
#define ARGS_MAX 128u

struct net_passt {
	struct net_link link;
	struct child child;
	char *id;
	void (*ended)(void *owner);
	void *owner;
};

// ---- the end

static void on_ended(void *owner)
{
	struct net_passt *p = owner;

	net_link_disconnect(&p->link);
	if (p->ended)
		p->ended(p->owner);
}

// It ends without its socket: on_ended reports that.
static void on_disconnected(void *owner, const char *why)
{
	struct net_passt *p = owner;

	if (why)
		log_guest("netdev %s: the connection with passt has ended: %s", p->id, why);
}

void net_passt_end(struct net_passt *p)
{
	net_link_disconnect(&p->link);
	child_end(&p->child);
}

// ---- the start

static int make_argv(const char *argv[ARGS_MAX], const char *const *args)
{
	// It writes its number to --pid when it is ready.
	static const char *const own[] = { "passt", "--foreground", "--quiet",        "--stderr", "--fd",
		                           "3",     "--pid",        "/proc/self/fd/1" };
	unsigned n = 0;

	for (; n < sizeof(own) / sizeof(own[0]); n++)
		argv[n] = own[n];
	for (; *args; args++) {
		if (n == ARGS_MAX - 1)
			return -E2BIG;
		argv[n++] = *args;
	}
	argv[n] = NULL;
	return 0;
}

static int not_started(int rc, struct vpmem_error *err)
{
	error_set(err, rc, "could not start passt: %s", strerror(-rc));
	if (rc == -ENOENT)
		error_hint(err, "-netdev user needs the program passt in PATH: sudo apt-get install passt");
	return rc;
}

static int make_sockets(int sockets[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	if (fcntl(sockets[0], F_SETFL, O_NONBLOCK) < 0) {
		int rc = -errno;

		close(sockets[0]);
		close(sockets[1]);
		return rc;
	}
	return 0;
}

static int spawn(struct net_passt *p, const char *const *args, struct vpmem_error *err)
{
	const char *argv[ARGS_MAX];
	char name[80];
	struct child_options opts = { .name = name,
		                      .argv = argv,
		                      .consequence = "the guest has no link any more",
		                      .ended = on_ended,
		                      .owner = p };
	int sockets[2], rc = make_argv(argv, args);

	if (rc == 0)
		rc = make_sockets(sockets);
	if (rc < 0)
		return not_started(rc, err);
	snprintf(name, sizeof(name), "netdev %.60s: passt", p->id);
	opts.socket_fd = sockets[1];
	rc = child_start(&p->child, &opts);
	close(sockets[1]);
	if (rc < 0) {
		close(sockets[0]);
		return not_started(rc, err);
	}
	net_link_connect(&p->link, sockets[0]);
	return 0;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

// Its number is the sign that it is ready. Anything else is why it is not going to be, or a warning.
static int read_start(struct net_passt *p, char *said, size_t said_size)
{
	char *line;
	ssize_t n = child_read(&p->child);

	while ((line = child_line(&p->child))) {
		bool ready = is_number(line);

		if (!ready && *line)
			snprintf(said, said_size, "%.300s", line);
		child_drop_line(&p->child);
		if (ready)
			return 1;
	}
	return n == 0 ? -ECHILD : 0;
}

static int await_start(struct net_passt *p, pthread_mutex_t *lock, struct vpmem_error *err)
{
	uint64_t deadline_ms = monotonic_ms() + PASST_START_MS, now;
	char said[304] = "";
	int rc = 0;

	pthread_mutex_unlock(lock);
	while (rc == 0 && (now = monotonic_ms()) < deadline_ms) {
		struct pollfd fd = { .fd = p->child.output.fd, .events = POLLIN };

		(void)poll(&fd, 1, (int)(deadline_ms - now));
		rc = fd.revents ? read_start(p, said, sizeof(said)) : 0;
	}
	pthread_mutex_lock(lock);
	if (rc > 0) {
		if (*said)
			log_info("netdev %s: passt: %s", p->id, said);
		// What came together with its number.
		child_log_lines(&p->child);
		return 0;
	}
	if (rc == 0)
		return error_set(err, -ETIMEDOUT, "passt is not ready after %u s", PASST_START_MS / 1000);
	return error_set(err, rc, "passt did not start: %s", *said ? said : "it has ended without a word");
}

void net_passt_close(struct net_passt *p)
{
	if (!p)
		return;
	if (p->link.loop)
		net_passt_end(p);
	net_link_close(&p->link);
	free(p->id);
	free(p);
}

int net_passt_open(const struct net_passt_options *opts, struct loop *loop, struct net_passt **out,
                   struct vpmem_error *err)
{
	struct net_passt *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return error_set(err, -ENOMEM, "netdev: out of memory");
	p->id = strdup(opts->id);
	p->ended = opts->ended;
	p->owner = opts->owner;
	rc = p->id ? net_link_open(&p->link, loop, on_disconnected, p) : -ENOMEM;
	if (rc < 0)
		error_set(err, rc, "cannot set up netdev '%s': %s", opts->id, strerror(-rc));
	if (rc == 0)
		rc = spawn(p, opts->args, err);
	if (rc == 0)
		rc = await_start(p, loop->lock, err);
	if (rc == 0) {
		rc = child_watch(&p->child, loop);
		if (rc < 0)
			error_set(err, rc, "cannot set up netdev '%s': %s", opts->id, strerror(-rc));
	}
	if (rc < 0)
		net_passt_close(p);
	else
		*out = p;
	return rc;
}

struct net_port *net_passt_port(struct net_passt *p)
{
	return &p->link.port;
}
