// SPDX-License-Identifier: Apache-2.0
// Runs a program to its end.
#include "program.h"

#include "error.h"
#include "monotonic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_NOT_STARTED 127

// ---- in the child: only what a forked process may call

static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

// Its three descriptors, moved out of each other's way first.
static int set_descriptors(int in, int out)
{
	in = fcntl(in, F_DUPFD_CLOEXEC, 3);
	out = fcntl(out, F_DUPFD_CLOEXEC, 3);
	if (in < 0 || out < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		return -errno;
	return close_range(3, ~0u, 0) < 0 ? -errno : 0;
}

static _Noreturn void child(const struct program *program, pid_t parent, int out)
{
	static const char *const env[] = { "LC_ALL=C", NULL };
	const struct rlimit limit = { program->file_size_max, program->file_size_max }, no_core = { 0, 0 };
	int in = program->stdin_fd >= 0 ? program->stdin_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
	char failure[1 + sizeof(int)] = "";
	int rc;

	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(STATUS_NOT_STARTED);
	rc = set_descriptors(in, out);
	if (rc == 0 && program->file_size_max)
		rc = setrlimit(RLIMIT_FSIZE, &limit) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ? -errno : 0;
	if (rc == 0) {
		execve(program->argv[0], (char *const *)program->argv, (char *const *)env);
		rc = -errno;
	}
	// By the same pipe. What a program prints has no NUL as its first character.
	memcpy(failure + 1, &rc, sizeof(rc));
	(void)!write(STDOUT_FILENO, failure, sizeof(failure));
	_exit(STATUS_NOT_STARTED);
}

// ---- in the parent

// One of the signals, as a descriptor. *old is the mask as it was.
static int block_signals(sigset_t *old)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, old);
	return fd;
}

// Until there is output, or its end: 0. -EINTR, and *signo; -ETIMEDOUT.
static int wait_for_output(int fd, int signal_fd, int64_t deadline_ms, unsigned *signo)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	int n;

	do {
		int64_t left_ms = deadline_ms - (int64_t)monotonic_ms();

		if (deadline_ms >= 0 && left_ms <= 0)
			return -ETIMEDOUT;
		n = poll(fds, 2, deadline_ms < 0 ? -1 : left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	} while (n == 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return -errno;
	if (fds[1].revents && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		*signo = info.ssi_signo;
		return -EINTR;
	}
	return 0;
}

static void keep(char *output, size_t size, size_t *len, const char *buf, size_t more)
{
	size_t excess = *len + more > size - 1 ? *len + more - (size - 1) : 0;

	memmove(output, output + excess, *len - (excess < *len ? excess : *len));
	*len -= excess;
	memcpy(output + *len, buf, more);
	*len += more;
	output[*len] = '\0';
}

// Reads all, and keeps the last of it. -errno of wait_for_output: it has not ended.
static int read_output(struct program *program, int fd, int signal_fd, size_t *len, unsigned *signo)
{
	const int64_t deadline_ms = program->timeout_s ? (int64_t)(monotonic_ms() + 1000ull * program->timeout_s) : -1;
	char buf[256];

	for (;;) {
		int rc = wait_for_output(fd, signal_fd, deadline_ms, signo);
		ssize_t n = rc ? 0 : read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (rc || n <= 0)
			return rc;
		keep(program->output, sizeof(program->output), len, buf, (size_t)n);
	}
}

// One line, without ends of lines and other controls.
static void make_line(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
	}
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return status;
}

static int report(const struct program *program, int status, struct vpmem_error *err)
{
	const char *name = program->argv[0];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
		return error_set(err, -EFBIG, "%s: a file of more than %llu bytes", name,
		                 (unsigned long long)program->file_size_max);
	if (WIFSIGNALED(status))
		return error_set(err, -EIO, "%s: ended by signal %d: %s", name, WTERMSIG(status), program->output);
	if (WEXITSTATUS(status))
		return error_set(err, -EIO, "%s: exit status %d: %s", name, WEXITSTATUS(status), program->output);
	return 0;
}

static int end_early(pid_t pid, const struct program *program, int rc, unsigned signo, struct vpmem_error *err)
{
	const char *name = program->argv[0];

	kill(pid, SIGKILL);
	(void)reap(pid);
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "%s: it did not end within %u s", name, program->timeout_s);
	if (rc == -EINTR)
		return error_set(err, rc, "%s: ended, as this process got signal %u", name, signo);
	return error_set(err, rc, "%s: poll: %s", name, strerror(-rc));
}

// What it printed, and its end.
static int follow(struct program *program, pid_t pid, int fd, int signal_fd, struct vpmem_error *err)
{
	const char *name = program->argv[0];
	unsigned signo = 0;
	size_t len = 0;
	int error, status, rc = read_output(program, fd, signal_fd, &len, &signo);

	if (rc)
		return end_early(pid, program, rc, signo, err);
	status = reap(pid);
	if (status < 0)
		return error_set(err, status, "%s: waitpid: %s", name, strerror(-status));
	if (len == 1 + sizeof(error) && program->output[0] == '\0') {
		memcpy(&error, program->output + 1, sizeof(error));
		// podman takes the system's words for a program that is missing in the image, and its status for 127.
		return error_set(err, error, "%s: %s", name,
		                 error == -ENOENT ? "the host does not have it" : strerror(-error));
	}
	make_line(program->output);
	return report(program, status, err);
}

int program_run(struct program *program, struct vpmem_error *err)
{
	const char *name = program->argv[0];
	pid_t pid, self = getpid();
	int pipe_fds[2], signal_fd, rc;
	sigset_t old;

	program->output[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, -errno, "%s: pipe: %s", name, strerror(errno));
	signal_fd = block_signals(&old);
	pid = signal_fd < 0 ? -1 : fork();
	if (pid == 0)
		child(program, self, pipe_fds[1]);
	rc = signal_fd < 0 ? signal_fd : pid < 0 ? -errno : 0;
	close(pipe_fds[1]);
	rc = rc ? error_set(err, rc, "%s: fork: %s", name, strerror(-rc)) :
	          follow(program, pid, pipe_fds[0], signal_fd, err);
	close(pipe_fds[0]);
	if (signal_fd >= 0) {
		close(signal_fd);
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	return rc;
}
