// SPDX-License-Identifier: Apache-2.0
// virtiofsd: its view, its walls, its socket.
#include "share_server.h"

#include "error.h"
#include "landlock.h"
#include "log.h"
#include "monotonic.h"
#include "user_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/securebits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define START_MS 30000
#define LANDLOCK_VERSION_MIN 2 /* before, a file cannot be renamed to another directory, which overlayfs does */

bool share_server_is_confined(void)
{
	return landlock_version() >= LANDLOCK_VERSION_MIN;
}

// ---- in the new process

// What the program itself needs to start. What does not exist is left out.
static const struct landlock_rule own_rules[] = {
	{ "/usr", LANDLOCK_RUN },
	{ "/lib", LANDLOCK_RUN },
	{ "/lib64", LANDLOCK_RUN },
	{ "/etc/ld.so.cache", LANDLOCK_READ },
	{ "/etc/ld.so.preload", LANDLOCK_READ },
	{ "/etc/localtime", LANDLOCK_READ },
	{ "/proc", LANDLOCK_READ },
	{ "/dev/null", LANDLOCK_READ_WRITE },
};
#define NOWN (sizeof(own_rules) / sizeof(own_rules[0]))

static int confine(const struct share_plan *plan, struct vpmem_error *err)
{
	struct landlock_rule *rules = calloc(NOWN + 1 + plan->nrules, sizeof(*rules));
	char(*paths)[PATH_MAX] = calloc(plan->nrules + 1, sizeof(*paths));
	int rc;

	if (!rules || !paths)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(rules, own_rules, sizeof(own_rules));
	rules[NOWN] = (struct landlock_rule) { plan->program, LANDLOCK_RUN };
	for (size_t i = 0; i < plan->nrules; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", plan->dir, plan->rules[i].path);
		rules[NOWN + 1 + i] =
			(struct landlock_rule) { paths[i], plan->rules[i].readonly ? LANDLOCK_READ : LANDLOCK_ALL };
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs: %s", strerror(errno));
	rc = landlock_confine(rules, (unsigned)(NOWN + 1 + plan->nrules), true);
	// The process runs another program next.
	free(rules);
	free(paths);
	return rc ? error_set(err, rc, "cannot confine it by Landlock: %s", strerror(-rc)) : 0;
}

static int prepare(void *owner, struct vpmem_error *err)
{
	const struct share_plan *plan = owner;
	const int bits = SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;
	int rc = binds_make(plan->dir, plan->binds, plan->nbinds, err);

	// The kernel of the guest has checked the rights of its users; it can act as each of them anyway.
	if (rc == 0 && plan->has_user_namespace && prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0)
		rc = error_set(err, -errno, "securebits: %s", strerror(errno));
	if (rc == 0 && share_server_is_confined())
		rc = confine(plan, err);
	return rc;
}

// ---- its socket

/*
 * A listening socket, and one that is connected to it. The name is abstract and chosen by the kernel; as the backlog is
 * taken by our own connection, and the listener gone when virtiofsd has accepted it, a process that guesses the name cannot
 * come between.
 */
static int make_sockets(int *listener_fd, int *connected_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);

	*connected_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*connected_fd < 0 || *listener_fd < 0 ||
	    bind(*listener_fd, (struct sockaddr *)&addr, sizeof(addr.sun_family)) < 0 ||
	    getsockname(*listener_fd, (struct sockaddr *)&addr, &len) < 0 || listen(*listener_fd, 1) < 0 ||
	    connect(*connected_fd, (struct sockaddr *)&addr, len) < 0)
		return -errno;
	return 0;
}

// One that pmvm finds by its name, in a directory whose path may be longer than an address takes. pmvm is another user.
static int make_named_socket(const char *dir, int *listener_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (dir_fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SHARE_SOCKET, dir_fd);
	*listener_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*listener_fd < 0 || bind(*listener_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(addr.sun_path, 0666) < 0 || listen(*listener_fd, 1) < 0)
		rc = -errno;
	close(dir_fd);
	return rc;
}

// The head of a vhost-user message; GET_FEATURES has no body, its answer one of 8 bytes.
struct head {
	uint32_t request, flags, size;
};

/*
 * pmvm gives a back end 3 s to answer; virtiofsd may need longer to start on a busy host. It answers once it has locked
 * itself in. The message changes nothing, so pmvm may ask again.
 */
static int await_answer(struct helper *helper, int fd, struct vpmem_error *err)
{
	const struct head ask = { .request = 1, .flags = 1 };
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = helper->pid_fd, .events = POLLIN } };
	const struct timeval patience = { .tv_sec = 1 }, for_ever = { 0 };
	uint8_t answer[sizeof(struct head) + sizeof(uint64_t)];
	char words[512];
	int n;

	if (send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) != (ssize_t)sizeof(ask))
		return error_set(err, -EIO, "virtiofsd: %s", strerror(errno));
	do
		n = poll(fds, 2, START_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return error_set(err, -ETIMEDOUT, "virtiofsd is not ready after %u s", START_MS / 1000);
	// Head and body come in two pieces.
	if (n > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    recv(fd, answer, sizeof(answer), MSG_WAITALL) == (ssize_t)sizeof(answer) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever)) == 0)
		return 0;
	// It may have closed its socket and not ended yet.
	poll(&fds[1], 1, 1000);
	return error_set(err, -EIO, "virtiofsd did not start: %.400s", helper_last_words(helper, words, sizeof(words)));
}

// It accepts, and locks itself in before it answers: its own filter of system calls is the last step.
static bool is_locked_in(pid_t pid)
{
	char path[64], line[128];
	unsigned mode = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	if (!status)
		return false;
	while (fgets(line, sizeof(line), status) && sscanf(line, "Seccomp: %u", &mode) != 1)
		;
	fclose(status);
	return mode == 2;
}

int share_server_await(struct helper *helper, struct vpmem_error *err)
{
	const uint64_t end_ms = monotonic_ms() + START_MS;
	struct pollfd ended = { .fd = helper->pid_fd, .events = POLLIN };
	char words[512];

	while (!is_locked_in(helper->pid)) {
		if (poll(&ended, 1, 5) != 0)
			return error_set(err, -EIO, "virtiofsd did not start: %.400s",
			                 helper_last_words(helper, words, sizeof(words)));
		if (monotonic_ms() >= end_ms)
			return error_set(err, -ETIMEDOUT, "virtiofsd is not ready after %u s", START_MS / 1000);
	}
	return 0;
}

int share_server_start(struct helper *helper, const struct share_plan *plan, struct loop *loop,
                       void (*ended)(void *owner), void *owner, int *vhost_user_fd, struct vpmem_error *err)
{
	char source[PATH_MAX + 64], fd_option[32];
	const char *argv[] = { plan->program, fd_option, "-o", source, NULL };
	int listener_fd = plan->socket_dir ? *plan->listener_fd : -1;
	int rc = listener_fd >= 0 ? 0 :
	         plan->socket_dir ? make_named_socket(plan->socket_dir, &listener_fd) :
	                            make_sockets(&listener_fd, vhost_user_fd);
	const struct helper_options opts = {
		.name = "virtiofsd",
		.argv = argv,
		.fds = &listener_fd,
		.nfds = 1,
		.prepare = prepare,
		.prepare_owner = (void *)plan,
		.outlives_us = plan->socket_dir,
		.ended = ended,
		.owner = owner,
	};

	if (!share_server_is_confined())
		log_warn("virtiofsd runs without Landlock, which this kernel does not have in version %d",
		         LANDLOCK_VERSION_MIN);
	// trusted.* attributes, which overlayfs keeps in the writable layer, need CAP_SYS_ADMIN of the host. Without root there
	// are none: overlayfs has attributes user.* in a user namespace.
	snprintf(source, sizeof(source), "source=%s,sandbox=chroot,xattr,%sannounce_submounts", plan->dir,
	         user_namespace_is_initial() ? "modcaps=+sys_admin," : "");
	snprintf(fd_option, sizeof(fd_option), "--fd=%d", listener_fd);
	rc = rc ? error_set(err, rc, "virtiofsd: cannot make a socket: %s", strerror(-rc)) :
	          helper_start(helper, &opts, loop, err);
	if (rc == 0 && !plan->socket_dir)
		rc = await_answer(helper, *vhost_user_fd, err);
	if (plan->socket_dir)
		*plan->listener_fd = listener_fd;
	else if (listener_fd >= 0)
		close(listener_fd);
	if (rc < 0 && !plan->socket_dir && *vhost_user_fd >= 0) {
		close(*vhost_user_fd);
		*vhost_user_fd = -1;
	}
	return rc;
}
