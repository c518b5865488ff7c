// SPDX-License-Identifier: Apache-2.0
// A program that the keeper starts: its descriptors, what it prints, its end.
#include "helper.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- in the new process

// What the new process reports when the program cannot run.
struct failure {
	int rc;
	struct vpmem_error err;
};

static int die_with_parent(pid_t parent, struct vpmem_error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_set(err, -errno, "cannot ask for a signal at the keeper's end: %s", strerror(errno));
	// It may have ended before.
	return getppid() == parent ? 0 : error_set(err, -ESRCH, "the keeper has ended");
}

static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_descriptors(const struct helper_options *opts, int output_fd, struct vpmem_error *err)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
	    dup2(output_fd, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot set its descriptors: %s", strerror(errno));
	for (size_t i = 0; i < opts->nfds; i++)
		if (opts->fds[i] >= 0 && fcntl(opts->fds[i], F_SETFD, 0) < 0)
			return error_set(err, -errno, "cannot pass descriptor %d: %s", opts->fds[i], strerror(errno));
	return 0;
}

_Noreturn static void run(const struct helper_options *opts, int output_fd, int failure_fd, pid_t parent)
{
	struct failure failure = { 0 };

	if (!opts->outlives_us)
		failure.rc = die_with_parent(parent, &failure.err);
	if (failure.rc == 0 && opts->prepare)
		failure.rc = opts->prepare(opts->prepare_owner, &failure.err);
	if (failure.rc == 0) {
		reset_signals();
		// What it prints then has no reader.
		if (opts->outlives_us)
			(void)signal(SIGPIPE, SIG_IGN);
		failure.rc = set_descriptors(opts, output_fd, &failure.err);
	}
	if (failure.rc == 0) {
		execve(opts->argv[0], (char *const *)opts->argv, environ);
		// podman takes the system's words for a program that is missing in the image, and its status for 127.
		failure.rc = error_set(&failure.err, -errno, "cannot run %s: %s", opts->argv[0],
		                       errno == ENOENT ? "the host does not have it" : strerror(errno));
	}
	// The pipe has room for it.
	if (write(failure_fd, &failure, sizeof(failure)) != (ssize_t)sizeof(failure))
		_exit(126);
	_exit(127);
}

// ---- what it prints

static void keep(struct helper *helper, const char *buf, size_t len)
{
	size_t excess;

	if (len > sizeof(helper->tail)) {
		buf += len - sizeof(helper->tail);
		len = sizeof(helper->tail);
	}
	excess = helper->tail_len + len > sizeof(helper->tail) ? helper->tail_len + len - sizeof(helper->tail) : 0;
	memmove(helper->tail, helper->tail + excess, helper->tail_len - excess);
	helper->tail_len -= excess;
	memcpy(helper->tail + helper->tail_len, buf, len);
	helper->tail_len += len;
}

// False: nothing more can come now.
static bool read_output(struct helper *helper)
{
	char buf[HELPER_TAIL_SIZE];
	ssize_t n = read(helper->output.fd, buf, sizeof(buf));

	if (n > 0)
		keep(helper, buf, (size_t)n);
	else if (n == 0)
		loop_set_events(helper->loop, &helper->output, 0);
	return n > 0;
}

static void on_output(void *owner, short revents)
{
	(void)revents;
	(void)read_output(owner);
}

static void say_end(const struct helper *helper, char *buf, size_t size)
{
	siginfo_t end = { 0 };
	bool is_killed = WIFSIGNALED(helper->status);
	int number = is_killed ? WTERMSIG(helper->status) : WEXITSTATUS(helper->status);

	// It may have ended just now, and the loop has not seen it.
	if (helper->pid > 0) {
		if (waitid(P_PID, (id_t)helper->pid, &end, WEXITED | WNOHANG | WNOWAIT) < 0 || end.si_pid == 0) {
			snprintf(buf, size, "it runs, and has printed nothing");
			return;
		}
		is_killed = end.si_code != CLD_EXITED;
		number = end.si_status;
	}
	snprintf(buf, size, is_killed ? "it was killed by signal %d" : "it ended with status %d", number);
}

// The line before `end`, which is moved to its end. Its begin.
static size_t line_before(const struct helper *helper, size_t *end)
{
	size_t begin;

	while (*end > 0 && (helper->tail[*end - 1] == '\n' || helper->tail[*end - 1] == '\r'))
		--*end;
	for (begin = *end; begin > 0 && helper->tail[begin - 1] != '\n';)
		begin--;
	return begin;
}

// pmvm's hint is a line of its own, after the error.
static const char *find_hint(const struct helper *helper, size_t begin, size_t end)
{
	static const char mark[] = ": hint: ";
	const char *at = memmem(helper->tail + begin, end - begin, mark, sizeof(mark) - 1);

	return at ? at + sizeof(mark) - 1 : NULL;
}

const char *helper_last_words(struct helper *helper, char *buf, size_t size)
{
	size_t end, begin;

	// A program that prints without end is not read without end.
	for (unsigned i = 0; i < 64 && helper->output.fd >= 0 && read_output(helper); i++)
		;
	end = helper->tail_len;
	begin = line_before(helper, &end);
	if (find_hint(helper, begin, end)) {
		end = begin;
		begin = line_before(helper, &end);
	}
	if (begin == end)
		say_end(helper, buf, size);
	else
		snprintf(buf, size, "%.*s", (int)(end - begin), helper->tail + begin);
	return buf;
}

void helper_last_hint(const struct helper *helper, struct vpmem_error *err)
{
	size_t end = helper->tail_len, begin = line_before(helper, &end);
	const char *hint = find_hint(helper, begin, end);

	if (hint)
		error_hint(err, "%.*s", (int)(helper->tail + end - hint), hint);
}

// ---- the end

static void reap(struct helper *helper)
{
	while (waitpid(helper->pid, &helper->status, 0) < 0 && errno == EINTR)
		;
	helper->pid = 0;
	loop_del(helper->loop, &helper->exited);
	close(helper->pid_fd);
	helper->pid_fd = -1;
}

static void on_exited(void *owner, short revents)
{
	struct helper *helper = owner;

	(void)revents;
	reap(helper);
	if (helper->ended)
		helper->ended(helper->owner);
}

void helper_abandon(struct helper *helper)
{
	if (!helper->loop)
		return;
	loop_del(helper->loop, &helper->exited);
	loop_del(helper->loop, &helper->output);
	if (helper->pid_fd >= 0)
		close(helper->pid_fd);
	close(helper->output.fd);
	*helper = (struct helper) { 0 };
}

void helper_end(struct helper *helper, unsigned wait_ms)
{
	if (!helper->loop)
		return;
	if (helper->pid > 0) {
		struct pollfd fd = { .fd = helper->pid_fd, .events = POLLIN };

		if (helper->pid_fd < 0 || poll(&fd, 1, (int)wait_ms) <= 0)
			kill(helper->pid, SIGKILL);
		reap(helper);
	}
	loop_del(helper->loop, &helper->output);
	if (helper->output.fd >= 0)
		close(helper->output.fd);
	helper->output.fd = -1;
	helper->loop = NULL;
}

// ---- the start

// 0: the program runs.
static int await_run(int failure_fd, const char *name, struct vpmem_error *err)
{
	struct failure failure;
	ssize_t n;

	do
		n = read(failure_fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(failure))
		return error_set(err, -EIO, "could not start %s", name);
	failure.err.text[sizeof(failure.err.text) - 1] = '\0';
	return error_set(err, failure.rc, "could not start %s: %.400s", name, failure.err.text);
}

static int watch(struct helper *helper)
{
	int rc;

	helper->pid_fd = pidfd_open(helper->pid, 0);
	if (helper->pid_fd < 0)
		return -errno;
	helper->exited.fd = helper->pid_fd;
	rc = loop_add(helper->loop, &helper->exited);
	return rc ? rc : loop_add(helper->loop, &helper->output);
}

static int start(struct helper *helper, const struct helper_options *opts, int output_fd, const int failure[2],
                 struct vpmem_error *err)
{
	pid_t parent = getpid();
	int rc;

	helper->pid = fork();
	if (helper->pid < 0) {
		helper->pid = 0;
		return error_set(err, -errno, "could not start %s: %s", opts->name, strerror(errno));
	}
	if (helper->pid == 0)
		run(opts, output_fd, failure[1], parent);
	rc = watch(helper);
	return rc ? error_set(err, rc, "could not watch %s: %s", opts->name, strerror(-rc)) : 0;
}

int helper_start(struct helper *helper, const struct helper_options *opts, struct loop *loop, struct vpmem_error *err)
{
	int output[2], failure[2], rc;

	if (pipe2(output, O_CLOEXEC) < 0)
		return error_set(err, -errno, "could not start %s: %s", opts->name, strerror(errno));
	if (pipe2(failure, O_CLOEXEC) < 0) {
		rc = error_set(err, -errno, "could not start %s: %s", opts->name, strerror(errno));
		close(output[0]);
		close(output[1]);
		return rc;
	}
	*helper = (struct helper) {
		.name = opts->name,
		.pid_fd = -1,
		.loop = loop,
		.exited = { .fd = -1, .events = POLLIN, .ready = on_exited, .owner = helper },
		.output = { .fd = output[0], .events = POLLIN, .ready = on_output, .owner = helper },
		.ended = opts->ended,
		.owner = opts->owner,
	};
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	rc = start(helper, opts, output[1], failure, err);
	close(output[1]);
	close(failure[1]);
	if (rc == 0)
		rc = await_run(failure[0], opts->name, err);
	close(failure[0]);
	return rc;
}
