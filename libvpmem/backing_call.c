// SPDX-License-Identifier: Apache-2.0
/*
 * backing_call.c - the two system calls that give a file its size and its blocks, without the signal that may come
 * with their failure.
 *
 * A file beyond the limit of the process (RLIMIT_FSIZE, `ulimit -f`) is refused with EFBIG, and the thread is sent
 * SIGXFSZ, which ends a process that does not expect it. What the process does with that signal is for the program to
 * decide, not for this library: the signal is blocked in this thread for the call, and if the call raised it, taken.
 * Without a limit there is no such signal. A limit that another thread or process sets in that moment may bring it.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct guard {
	bool is_limited; /* false: there is nothing else in here */
	sigset_t before; /* the thread's mask */
	bool was_pending;
};

static void guard_begin(struct guard *guard)
{
	struct rlimit limit;
	sigset_t set;

	guard->is_limited = getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
	if (!guard->is_limited)
		return;
	guard->was_pending = sigpending(&set) == 0 && sigismember(&set, SIGXFSZ);
	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, &guard->before);
}

static void guard_end(const struct guard *guard, int rc)
{
	static const struct timespec now = { 0 };
	sigset_t set;

	if (!guard->is_limited)
		return;
	/*
	 * A signal that was pending before is the caller's. While it is blocked, this one is pending even if the
	 * process ignores it; where the kernel raised none, sigtimedwait returns at once.
	 */
	if (rc == -EFBIG && !guard->was_pending) {
		sigemptyset(&set);
		sigaddset(&set, SIGXFSZ);
		(void)sigtimedwait(&set, NULL, &now);
	}
	pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

int backing_fallocate(const struct vpmem_backing *b, int mode, off_t off, off_t len)
{
	struct guard guard;
	int rc;

	guard_begin(&guard);
	do
		rc = fallocate(b->fd, mode, off, len) ? -errno : 0;
	while (rc == -EINTR);
	guard_end(&guard, rc);
	return rc;
}

int backing_ftruncate(const struct vpmem_backing *b, off_t size)
{
	struct guard guard;
	int rc;

	guard_begin(&guard);
	rc = ftruncate(b->fd, size) ? -errno : 0;
	guard_end(&guard, rc);
	return rc;
}

void backing_hint_too_large(uint64_t size, struct vpmem_error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < size)
		err_hint(err,
		         "this process may not make files larger than %" PRIu64
		         " bytes: raise the limit (ulimit -f unlimited), or make the file before: truncate -s",
		         (uint64_t)limit.rlim_cur);
	else
		err_hint(err, "its file system has no files of that size");
}
