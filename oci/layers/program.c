// SPDX-License-Identifier: Apache-2.0
// Runs a program to its end.
#include "program.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

// Reads all, and keeps the last of it.
static size_t read_output(int fd, char *output, size_t size)
{
	char buf[256];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		size_t more = (size_t)n, excess;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		excess = len + more > size - 1 ? len + more - (size - 1) : 0;
		memmove(output, output + excess, len - (excess < len ? excess : len));
		len -= excess;
		memcpy(output + len, buf, more);
		len += more;
	}
	output[len] = '\0';
	return len;
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

int program_run(struct program *program, struct vpmem_error *err)
{
	const char *name = program->argv[0];
	pid_t pid, self = getpid();
	int pipe_fds[2], status, error = 0;
	size_t len;

	program->output[0] = '\0';
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, -errno, "%s: pipe: %s", name, strerror(errno));
	pid = fork();
	if (pid == 0)
		child(program, self, pipe_fds[1]);
	if (pid < 0)
		error = -errno;
	close(pipe_fds[1]);
	len = pid > 0 ? read_output(pipe_fds[0], program->output, sizeof(program->output)) : 0;
	close(pipe_fds[0]);
	if (pid < 0)
		return error_set(err, error, "%s: fork: %s", name, strerror(-error));
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
