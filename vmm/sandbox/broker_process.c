// SPDX-License-Identifier: Apache-2.0
// The broker process: its start, its limits, and its end.
#include "broker_process.h"

#include "error.h"
#include "landlock.h"
#include "permit.h"
#include "walls.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// What operations use besides the paths that permit.h knows: our own names, which the machine cannot choose.
static const struct landlock_rule own_rules[] = {
	{ "/dev/net/tun", LANDLOCK_READ_WRITE },
	{ "/dev/vhost-net", LANDLOCK_READ_WRITE },
	{ "/dev/vhost-vsock", LANDLOCK_READ_WRITE },
	{ "/dev/ptmx", LANDLOCK_READ_WRITE },
	{ "/dev/pts", LANDLOCK_READ_WRITE },
	{ "/proc", LANDLOCK_READ },
	{ "/sys", LANDLOCK_READ },
};
#define NOWN (sizeof(own_rules) / sizeof(own_rules[0]))

static bool is_settled;
static enum seccomp_mode calls_mode;

// ---- in the broker

static int confine_files(const char *root)
{
	struct landlock_rule *rules;
	unsigned nrules = NOWN, npaths = 0;
	int rc;

	if (landlock_version() == 0)
		return 0;
	while (permit_get(npaths))
		npaths++;
	rules = calloc(NOWN + npaths + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	memcpy(rules, own_rules, sizeof(own_rules));
	for (unsigned i = 0; i < npaths; i++)
		rules[nrules++] = (struct landlock_rule) { permit_get(i), LANDLOCK_READ_WRITE };
	if (root)
		rules[nrules++] = (struct landlock_rule) { root, LANDLOCK_READ_WRITE };
	rc = landlock_confine(rules, nrules, false);
	free(rules);
	return rc;
}

// Standard streams, which a reader may wait for, end with the machine. It prints nothing.
static int leave_standard_fds(int socket_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(null_fd, fd) < 0)
			return -errno;
	walls_close_inherited(&socket_fd, 1);
	return 0;
}

// A signal to the group, such as that of Ctrl-c, is the machine's to answer.
static void block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static int enter(const struct broker_process_options *opts, int fd)
{
	int rc = leave_standard_fds(fd);

	prctl(PR_SET_NAME, "pmvm-broker", 0, 0, 0);
	if (rc == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		rc = -errno;
	rc = rc ? rc : opts->permit(opts->owner);
	return rc ? rc : confine_files(opts->root);
}

static void __attribute__((noreturn)) run(const struct broker_process_options *opts, int fd)
{
	int rc;

	calls_mode = opts->calls;
	block_signals();
	rc = enter(opts, fd);
	// The first message, without which the machine does not go on.
	while (send(fd, &rc, sizeof(rc), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
	while (rc == 0)
		rc = broker_serve(fd, opts->ops, opts->nops);
	_exit(rc == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}

// ---- the end of the start

// What it served before, and a change of users, needs calls that are forbidden from now on.
static int filter_calls(void)
{
	int rc = seccomp_set_up(calls_mode, NULL);

	// The machine reports that this build has no filters.
	if (rc == -ENOSYS)
		return 0;
	return rc ? rc : seccomp_confine(THREAD_BROKER);
}

static int settle(struct broker_call *call)
{
	const struct privileges *to = call->in;
	const char *root = call->strings[0], *user = call->strings[1];
	struct privileges copy = *to;
	int rc = 0;

	// Once only: an attacker in the machine gets no other user.
	if (is_settled)
		return -EPERM;
	is_settled = true;
	copy.user = user;
	if (copy.ngroups > PRIVILEGES_GROUPS_MAX)
		return -EINVAL;
	if (root || user)
		rc = privileges_drop(&copy, root, call->out);
	// Of the new root directory, all is permitted: the user chose it as a limit.
	if (rc == 0 && root)
		rc = permit_add("/");
	return rc ? rc : filter_calls();
}

const struct broker_op broker_settle_op = {
	.name = "settle", .in_size = sizeof(struct privileges), .out_size = sizeof(struct vpmem_error), .serve = settle
};

int broker_process_settle(const struct privileges *to, const char *root, struct vpmem_error *err)
{
	struct privileges none = { .user = NULL };
	struct vpmem_error failed = { "", "" };
	struct broker_call call = { .in = to ? to : &none, .out = &failed };
	int rc;

	call.strings[0] = root;
	call.strings[1] = to ? to->user : NULL;
	rc = broker_call(&broker_settle_op, &call);
	if (rc < 0 && !failed.text[0])
		return error_set(err, rc, "the sandbox's broker cannot settle: %s", strerror(-rc));
	if (rc < 0)
		*err = failed;
	return rc;
}

// ---- what it permits

static int report(struct broker_call *call)
{
	struct broker_report *out = call->out;
	size_t used = 0;
	const char *path;

	out->all_addresses = permit_has_all_addresses();
	for (unsigned i = 0; (path = permit_get(i)); i++) {
		size_t size = strlen(path) + 1;

		// One byte stays for the empty one.
		out->is_truncated = used + size >= sizeof(out->paths);
		if (out->is_truncated)
			return 0;
		memcpy(out->paths + used, path, size);
		used += size;
	}
	return 0;
}

static_assert(sizeof(struct broker_report) <= BROKER_DATA_MAX, "a report is one message");
const struct broker_op broker_report_op = { .name = "report",
	                                    .out_size = sizeof(struct broker_report),
	                                    .serve = report };

int broker_process_report(struct broker_report *out)
{
	struct broker_call call = { .out = out };

	return broker_call(&broker_report_op, &call);
}

// ---- in the machine

static int start_failed(int rc, struct vpmem_error *err)
{
	error_set(err, rc, "cannot enter the sandbox: the broker process: %s", strerror(-rc));
	error_hint(err, "run without it, for a guest that you trust: -sandbox off");
	return rc;
}

int broker_process_start(const struct broker_process_options *opts, struct broker_process *out, struct vpmem_error *err)
{
	int fds[2], rc;

	*out = (struct broker_process) { .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return start_failed(-errno, err);
	out->fd = fds[0];
	out->pid = fork();
	if (out->pid == 0) {
		close(fds[0]);
		run(opts, fds[1]);
	}
	rc = out->pid < 0 ? -errno : 0;
	close(fds[1]);
	if (rc == 0)
		return 0;
	out->pid = 0;
	return start_failed(rc, err);
}

int broker_process_connect(struct broker_process *broker, const struct broker_process_options *opts,
                           struct vpmem_error *err)
{
	int rc = 0;
	ssize_t len;

	do
		len = recv(broker->fd, &rc, sizeof(rc), 0);
	while (len < 0 && errno == EINTR);
	if (len != (ssize_t)sizeof(rc))
		rc = -EPIPE;
	if (rc < 0)
		return start_failed(rc, err);
	broker_connect(broker->fd, opts->ops, opts->nops);
	broker->fd = -1;
	return 0;
}

void broker_process_end(struct broker_process *broker)
{
	broker_connect(-1, NULL, 0);
	if (broker->fd >= 0)
		close(broker->fd);
	broker->fd = -1;
	while (broker->pid > 0 && waitid(P_PID, (id_t)broker->pid, NULL, WEXITED) < 0 && errno == EINTR)
		;
	broker->pid = 0;
}
