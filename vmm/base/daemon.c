// SPDX-License-Identifier: Apache-2.0
// -daemonize: two forks, and a pipe on which the daemon reports that the machine is ready.
#include "daemon.h"

#include "error.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;
static int null_fd = -1; // opened at the start: the root directory may change meanwhile

// The first process exits as the start of the daemon ended: a daemon that failed has printed why, and its exit closes
// the pipe.
static void __attribute__((noreturn)) wait_for_daemon(int fd, pid_t child)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int daemon_start(struct vpmem_error *err)
{
	pid_t child;
	int fds[2];

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return error_set(err, -errno, "cannot daemonize: /dev/null: %s", strerror(errno));
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot daemonize: pipe: %s", strerror(errno));
	child = fork();
	if (child < 0) {
		int rc = -errno;

		close(fds[0]);
		close(fds[1]);
		return error_set(err, rc, "cannot daemonize: fork: %s", strerror(-rc));
	}
	if (child > 0) {
		close(fds[1]);
		wait_for_daemon(fds[0], child);
	}
	close(fds[0]);
	// Without the second fork, the first terminal that is opened would become this session's.
	setsid();
	child = fork();
	if (child < 0)
		log_error("cannot daemonize: fork: %s", strerror(errno));
	if (child != 0)
		_exit(child > 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	// As in QEMU: other users cannot access a file or socket of a daemon, whatever the umask of the parent process.
	umask(027);
	ready_fd = fds[1];
	return 0;
}

void daemon_get_fds(int fds[2])
{
	fds[0] = ready_fd;
	fds[1] = null_fd;
}

int daemon_ready(struct vpmem_error *err)
{
	int rc = 0;

	for (int std_fd = STDIN_FILENO; std_fd <= STDERR_FILENO; std_fd++)
		if (dup2(null_fd, std_fd) < 0)
			rc = -errno;
	close(null_fd);
	null_fd = -1;
	// No message goes to the terminal any more.
	log_open();
	if (rc < 0)
		return error_set(err, rc, "cannot daemonize: dup2: %s", strerror(-rc));
	// The pipe is empty, so this does not wait. If the first process was killed, it fails with EPIPE: SIGPIPE is blocked.
	while (write(ready_fd, "r", 1) < 0 && errno == EINTR)
		;
	close(ready_fd);
	ready_fd = -1;
	return 0;
}
