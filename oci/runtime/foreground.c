// SPDX-License-Identifier: Apache-2.0
// Waits for a child of ours as a shell does.
#include "foreground.h"

#include "error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool is_saved;

static void block_signals(sigset_t *set)
{
	sigfillset(set);
	// What the process itself does wrong.
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGABRT);
	sigdelset(set, SIGPIPE);
	sigprocmask(SIG_BLOCK, set, NULL);
}

static int listen_for_master(struct foreground *fg, struct vpmem_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/pmvm-oci-XXXXXX";

	if (!mkdtemp(dir))
		return error_set(err, -errno, "%s: %s", dir, strerror(errno));
	snprintf(fg->socket_path, sizeof(fg->socket_path), "%s/console", dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fg->socket_path);
	fg->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fg->listen_fd >= 0 && bind(fg->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fg->listen_fd, 1) == 0)
		return 0;
	return error_set(err, -errno, "%s: %s", fg->socket_path, strerror(errno));
}

int foreground_open(struct foreground *fg, bool has_terminal, struct vpmem_error *err)
{
	sigset_t set;

	*fg = (struct foreground) { .listen_fd = -1, .master_fd = -1, .signal_fd = -1 };
	block_signals(&set);
	fg->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fg->signal_fd < 0)
		return error_set(err, -errno, "signalfd: %s", strerror(errno));
	return has_terminal ? listen_for_master(fg, err) : 0;
}

static void take_master(struct foreground *fg)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char name[256];
	struct iovec iov = { .iov_base = name, .iov_len = sizeof(name) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	int fd = accept4(fg->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct cmsghdr *head;

	if (fd >= 0 && recvmsg(fd, &message, MSG_CMSG_CLOEXEC) > 0 && (head = CMSG_FIRSTHDR(&message)) &&
	    head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fg->master_fd, CMSG_DATA(head), sizeof(int));
	if (fd >= 0)
		close(fd);
	close(fg->listen_fd);
	fg->listen_fd = -1;
}

static void copy_window(const struct foreground *fg)
{
	struct winsize size;

	if (fg->master_fd >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(fg->master_fd, TIOCSWINSZ, &size);
}

static void make_raw(void)
{
	struct termios raw;

	is_saved = tcgetattr(STDIN_FILENO, &saved) == 0;
	if (!is_saved)
		return;
	raw = saved;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

// false: the end of what comes from `from`.
static bool copy(int from, int to)
{
	char buf[4096];
	ssize_t len = read(from, buf, sizeof(buf));

	if (len < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t done = 0; done < len;) {
		ssize_t n = write(to, buf + done, (size_t)(len - done));
		struct pollfd writable = { .fd = to, .events = POLLOUT };

		// Another program may have made our terminal one that does not block.
		if (n < 0 && errno == EAGAIN)
			poll(&writable, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		done += n > 0 ? n : 0;
	}
	return len > 0;
}

// The status of the process once it has ended, else -1.
static int take_signal(struct foreground *fg, pid_t pid, void (*pass)(void *owner, int signal), void *owner)
{
	struct signalfd_siginfo info;
	int status;

	if (read(fg->signal_fd, &info, sizeof(info)) != sizeof(info))
		return -1;
	if (info.ssi_signo == SIGWINCH && fg->master_fd >= 0)
		copy_window(fg);
	else if (info.ssi_signo != SIGCHLD)
		pass(owner, (int)info.ssi_signo);
	else if (waitpid(pid, &status, WNOHANG) == pid)
		return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return -1;
}

static void drain(const struct foreground *fg)
{
	struct pollfd master = { .fd = fg->master_fd, .events = POLLIN };

	while (fg->master_fd >= 0 && poll(&master, 1, 0) == 1 && copy(fg->master_fd, STDOUT_FILENO))
		;
}

void foreground_attach(struct foreground *fg)
{
	if (fg->listen_fd < 0)
		return;
	take_master(fg);
	copy_window(fg);
	make_raw();
}

bool foreground_size(unsigned *rows, unsigned *columns)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return true;
}

int foreground_wait(struct foreground *fg, pid_t pid, void (*pass)(void *owner, int signal), void *owner)
{
	bool has_stdin = true;
	int status = -1;

	foreground_attach(fg);
	while (status < 0) {
		struct pollfd fds[] = {
			{ .fd = fg->signal_fd, .events = POLLIN },
			{ .fd = fg->master_fd, .events = POLLIN },
			{ .fd = fg->master_fd >= 0 && has_stdin ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[1].revents && !copy(fg->master_fd, STDOUT_FILENO)) {
			close(fg->master_fd);
			fg->master_fd = -1;
		} else if (fds[2].revents) {
			has_stdin = copy(STDIN_FILENO, fg->master_fd);
		}
		if (fds[0].revents)
			status = take_signal(fg, pid, pass, owner);
	}
	drain(fg);
	return status;
}

void foreground_close(struct foreground *fg)
{
	char *slash = strrchr(fg->socket_path, '/');

	if (is_saved)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_saved = false;
	if (slash) {
		unlink(fg->socket_path);
		*slash = '\0';
		rmdir(fg->socket_path);
	}
	for (int *fd = &fg->listen_fd; fd <= &fg->signal_fd; fd++)
		if (*fd >= 0)
			close(*fd);
}
