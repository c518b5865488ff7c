// SPDX-License-Identifier: Apache-2.0
// passt as a child process: its start, what it prints, its end.
#include "net_passt.h"

#include "error.h"
#include "log.h"
#include "monotonic.h"
#include "net_link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASST_START_MS 30000u
#define PASST_END_MS 2000
#define ARGS_MAX 128u
#define OUTPUT_SIZE 512u

/* The descriptors of passt: its end of the pair; what it prints is on the two standard ones. */
#define PASST_SOCKET_FD 3

struct net_passt {
	struct net_link link;
	char *id;
	pid_t pid;  /* 0: it was waited for */
	int pid_fd; /* readable when it has ended */
	struct loop_source exited, output;
	char text[OUTPUT_SIZE]; /* of its output: a line that is not complete yet */
	size_t text_len;
	void (*ended)(void *owner);
	void *owner;
};

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

// Its descriptors, in this order: the socket may replace one of the others, after those were used.
static int add_actions(posix_spawn_file_actions_t *actions, int socket_fd, int output_fd)
{
	int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	rc = rc ? rc : posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
	return rc ? rc : posix_spawn_file_actions_adddup2(actions, socket_fd, PASST_SOCKET_FD);
}

// Signals are blocked in some threads here, and in none of passt.
static int block_nothing(posix_spawnattr_t *attr)
{
	sigset_t none;
	int rc;

	sigemptyset(&none);
	rc = posix_spawnattr_setsigmask(attr, &none);
	return rc ? rc : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
}

/*
 * Not fork: that would copy the page tables of guest memory, and make every page of it writable again only by a fault.
 * Returns the process, or -errno.
 */
static pid_t start_child(const char *const *argv, int socket_fd, int output_fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	pid_t pid = 0;
	int rc = posix_spawn_file_actions_init(&actions);

	if (rc)
		return -rc;
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = add_actions(&actions, socket_fd, output_fd);
		rc = rc ? rc : block_nothing(&attr);
		rc = rc ? rc : posix_spawnp(&pid, argv[0], &actions, &attr, (char *const *)argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return rc ? -rc : pid;
}

static int not_started(int rc, struct vpmem_error *err)
{
	error_set(err, rc, "could not start passt: %s", strerror(-rc));
	if (rc == -ENOENT)
		error_hint(err, "-netdev user needs the program passt in PATH: sudo apt-get install passt");
	return rc;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

// A pair of sockets, and a pipe for its output. As root it becomes somebody else, who has to open the pipe for --pid.
static int make_channels(int sockets[2], int pipes[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 || pipe2(pipes, O_CLOEXEC) < 0 ||
	    fchmod(pipes[1], 0622) < 0 || fcntl(sockets[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(pipes[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int spawn(struct net_passt *p, const char *const *args, struct vpmem_error *err)
{
	const char *argv[ARGS_MAX];
	int sockets[2] = { -1, -1 }, pipes[2] = { -1, -1 }, rc = make_argv(argv, args);

	rc = rc ? rc : make_channels(sockets, pipes);
	if (rc == 0) {
		p->pid = start_child(argv, sockets[1], pipes[1]);
		rc = p->pid < 0 ? (int)p->pid : 0;
	}
	close_fd(&sockets[1]);
	close_fd(&pipes[1]);
	if (rc < 0) {
		p->pid = 0;
		close_fd(&sockets[0]);
		close_fd(&pipes[0]);
		return not_started(rc, err);
	}
	net_link_connect(&p->link, sockets[0]);
	p->output.fd = pipes[0];
	p->pid_fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return p->pid_fd < 0 ? not_started(-errno, err) : 0;
}

// ---- what it prints

// The first line that is complete, or NULL. It is removed by drop_line.
static char *first_line(struct net_passt *p)
{
	char *end = memchr(p->text, '\n', p->text_len);

	if (!end && p->text_len == sizeof(p->text) - 1)
		end = p->text + p->text_len;
	if (!end)
		return NULL;
	*end = '\0';
	return p->text;
}

static void drop_line(struct net_passt *p)
{
	size_t len = strlen(p->text) + 1;

	len = len < p->text_len ? len : p->text_len;
	p->text_len -= len;
	memmove(p->text, p->text + len, p->text_len);
}

// Returns the bytes, 0 at the end, or -EAGAIN.
static ssize_t read_output(struct net_passt *p)
{
	ssize_t n = read(p->output.fd, p->text + p->text_len, sizeof(p->text) - 1 - p->text_len);

	if (n > 0)
		p->text_len += (size_t)n;
	return n < 0 ? -errno : n;
}

static void log_lines(struct net_passt *p)
{
	char *line;

	while ((line = first_line(p))) {
		if (*line)
			log_guest("netdev %s: passt: %s", p->id, line);
		drop_line(p);
	}
}

static void on_output(void *owner, short revents)
{
	struct net_passt *p = owner;
	ssize_t n = read_output(p);

	(void)revents;
	log_lines(p);
	if (n == 0)
		loop_set_events(p->link.loop, &p->output, 0);
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

// Its number is the sign that it is ready. Anything else is why it is not going to be, or a warning.
static int read_start(struct net_passt *p, char *said, size_t said_size)
{
	char *line;
	ssize_t n = read_output(p);

	while ((line = first_line(p))) {
		bool ready = is_number(line);

		if (!ready && *line)
			snprintf(said, said_size, "%.300s", line);
		drop_line(p);
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
		struct pollfd fd = { .fd = p->output.fd, .events = POLLIN };

		(void)poll(&fd, 1, (int)(deadline_ms - now));
		rc = fd.revents ? read_start(p, said, sizeof(said)) : 0;
	}
	pthread_mutex_lock(lock);
	if (rc > 0) {
		if (*said)
			log_info("netdev %s: passt: %s", p->id, said);
		// What came together with its number.
		log_lines(p);
		return 0;
	}
	if (rc == 0)
		return error_set(err, -ETIMEDOUT, "passt is not ready after %u s", PASST_START_MS / 1000);
	return error_set(err, rc, "passt did not start: %s", *said ? said : "it has ended without a word");
}

// ---- the end

// Waits for the process, which has ended or will do so at once. Its status, as of waitpid.
static int reap(struct net_passt *p)
{
	int status = 0;

	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	loop_del(p->link.loop, &p->exited);
	close_fd(&p->pid_fd);
	return status;
}

static void on_exited(void *owner, short revents)
{
	struct net_passt *p = owner;
	int status = reap(p);

	(void)revents;
	on_output(p, POLLIN);
	if (WIFSIGNALED(status))
		log_warn("netdev %s: passt was killed by signal %d: the guest has no link any more", p->id,
		         WTERMSIG(status));
	else
		log_warn("netdev %s: passt has ended with status %d: the guest has no link any more", p->id,
		         WEXITSTATUS(status));
	net_link_disconnect(&p->link);
	if (p->ended)
		p->ended(p->owner);
}

// It ends without its socket: on_exited reports that.
static void on_disconnected(void *owner, const char *why)
{
	struct net_passt *p = owner;

	if (why)
		log_guest("netdev %s: the connection with passt has ended: %s", p->id, why);
}

void net_passt_end(struct net_passt *p)
{
	struct pollfd fd = { .fd = p->pid_fd, .events = POLLIN };

	net_link_disconnect(&p->link);
	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		if (p->pid_fd < 0 || poll(&fd, 1, PASST_END_MS) <= 0)
			kill(p->pid, SIGKILL);
		(void)reap(p);
	}
	loop_del(p->link.loop, &p->output);
	close_fd(&p->output.fd);
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
	p->pid_fd = -1;
	p->output = (struct loop_source) { .fd = -1, .events = POLLIN, .ready = on_output, .owner = p };
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
		p->exited = (struct loop_source) { .fd = p->pid_fd, .events = POLLIN, .ready = on_exited, .owner = p };
		rc = loop_add(loop, &p->exited);
		rc = rc ? rc : loop_add(loop, &p->output);
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
