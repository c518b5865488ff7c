// SPDX-License-Identifier: Apache-2.0
// A child process: its start, what it prints, its end.
#include "child.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_MS 2000

// ---- the start

// Its descriptors, in this order: the socket may replace one of the others, after those were used.
static int add_actions(posix_spawn_file_actions_t *actions, int socket_fd, int output_fd)
{
	int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	rc = rc ? rc : posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(actions, output_fd, STDERR_FILENO);
	return rc ? rc : posix_spawn_file_actions_adddup2(actions, socket_fd, CHILD_SOCKET_FD);
}

// Signals are blocked in some threads here, and in none of a child.
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
static pid_t spawn(const char *const *argv, int socket_fd, int output_fd)
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

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

// A pipe for its output. One that becomes somebody else may open it by its name in /proc.
static int make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) < 0 || fchmod(fds[1], 0622) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static void on_output(void *owner, short revents);
static void on_exited(void *owner, short revents);

int child_start(struct child *child, const struct child_options *opts)
{
	int fds[2] = { -1, -1 }, rc;

	*child = (struct child) { .name = strdup(opts->name),
		                  .pid_fd = -1,
		                  .exited = { .fd = -1, .events = POLLIN, .ready = on_exited, .owner = child },
		                  .output = { .fd = -1, .events = POLLIN, .ready = on_output, .owner = child },
		                  .consequence = opts->consequence,
		                  .ended = opts->ended,
		                  .owner = opts->owner };
	rc = child->name ? make_pipe(fds) : -ENOMEM;
	child->output.fd = fds[0];
	if (rc == 0) {
		pid_t pid = spawn(opts->argv, opts->socket_fd, fds[1]);

		child->pid = pid > 0 ? pid : 0;
		rc = pid < 0 ? (int)pid : 0;
	}
	close_fd(&fds[1]);
	if (rc == 0) {
		child->pid_fd = pidfd_open(child->pid, 0);
		rc = child->pid_fd < 0 ? -errno : 0;
	}
	if (rc < 0)
		child_end(child);
	return rc;
}

// ---- what it prints

char *child_line(struct child *child)
{
	char *end = memchr(child->text, '\n', child->text_len);

	if (!end && child->text_len == sizeof(child->text) - 1)
		end = child->text + child->text_len;
	if (!end)
		return NULL;
	*end = '\0';
	return child->text;
}

void child_drop_line(struct child *child)
{
	size_t len = strlen(child->text) + 1;

	len = len < child->text_len ? len : child->text_len;
	child->text_len -= len;
	memmove(child->text, child->text + len, child->text_len);
}

ssize_t child_read(struct child *child)
{
	ssize_t n = read(child->output.fd, child->text + child->text_len, sizeof(child->text) - 1 - child->text_len);

	if (n > 0)
		child->text_len += (size_t)n;
	return n < 0 ? -errno : n;
}

void child_log_lines(struct child *child)
{
	char *line;

	while ((line = child_line(child))) {
		if (*line)
			log_guest("%s: %s", child->name, line);
		child_drop_line(child);
	}
}

static void on_output(void *owner, short revents)
{
	struct child *child = owner;
	ssize_t n = child_read(child);

	(void)revents;
	child_log_lines(child);
	if (n == 0)
		loop_set_events(child->loop, &child->output, 0);
}

// ---- the end

// Waits for the process, which has ended or will do so at once.
static siginfo_t reap(struct child *child)
{
	siginfo_t info = { 0 };

	while (waitid(P_PID, (id_t)child->pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	child->pid = 0;
	if (child->loop)
		loop_del(child->loop, &child->exited);
	close_fd(&child->pid_fd);
	return info;
}

static void on_exited(void *owner, short revents)
{
	struct child *child = owner;
	const siginfo_t info = reap(child);

	(void)revents;
	on_output(child, POLLIN);
	if (info.si_code == CLD_EXITED)
		log_warn("%s has ended with status %d: %s", child->name, info.si_status, child->consequence);
	else
		log_warn("%s was killed by signal %d: %s", child->name, info.si_status, child->consequence);
	if (child->ended)
		child->ended(child->owner);
}

int child_watch(struct child *child, struct loop *loop)
{
	int rc;

	child->loop = loop;
	child->exited.fd = child->pid_fd;
	rc = loop_add(loop, &child->exited);
	return rc ? rc : loop_add(loop, &child->output);
}

static void leave(struct child *child)
{
	log_warn("%s: process %d cannot be killed, and is left: %s", child->name, (int)child->pid, strerror(errno));
	child->pid = 0;
	if (child->loop)
		loop_del(child->loop, &child->exited);
	close_fd(&child->pid_fd);
}

// By its descriptor: a sandbox permits no signal to a process by its number.
static int send_signal(const struct child *child, int signo)
{
	return child->pid_fd >= 0 ? pidfd_send_signal(child->pid_fd, signo, NULL, 0) : kill(child->pid, signo);
}

void child_end(struct child *child)
{
	struct pollfd fd = { .fd = child->pid_fd, .events = POLLIN };

	if (child->pid > 0) {
		bool may_run, is_killed = true;

		send_signal(child, SIGTERM);
		may_run = child->pid_fd < 0 || poll(&fd, 1, END_MS) <= 0;
		if (may_run)
			is_killed = send_signal(child, SIGKILL) == 0;
		if (is_killed)
			(void)reap(child);
		else
			leave(child);
	}
	if (!child->name)
		return;
	if (child->loop)
		loop_del(child->loop, &child->output);
	close_fd(&child->output.fd);
	free(child->name);
	child->name = NULL;
}
