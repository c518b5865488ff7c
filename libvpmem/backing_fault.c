// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fault.c - accesses to a backing of which the host cannot provide a page, because there is no space for a
 * block or the file was truncated. An access to the mapping itself would end the process by SIGBUS.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_inside(const struct vpmem_backing *b, uint64_t off, uint64_t len)
{
	return off <= b->size && len <= b->size - off;
}

typedef ssize_t copy_call(pid_t pid, const struct iovec *local, unsigned long nlocal, const struct iovec *remote,
                          unsigned long nremote, unsigned long flags);

/* Made before a sandbox that would refuse it; empty whenever the lock is free. */
static struct {
	pthread_mutex_t lock;
	int fds[2];
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER, .fds = { -1, -1 } };

static int make_pipe(int fds[2])
{
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
}

int vpmem_open_pipe(void)
{
	int rc;

	pthread_mutex_lock(&kept.lock);
	rc = kept.fds[0] < 0 ? make_pipe(kept.fds) : 0;
	pthread_mutex_unlock(&kept.lock);
	return rc;
}

/* write(2) reads the source, read(2) stores into the target. */
static int copy_through(const int fds[2], void *to, const void *from, size_t len)
{
	size_t done = 0;
	int rc = 0;

	while (rc == 0 && done < len) {
		size_t piece = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = write(fds[1], (const uint8_t *)from + done, piece);

		if (n > 0 && read(fds[0], (uint8_t *)to + done, (size_t)n) == n)
			done += (size_t)n;
		else
			rc = -EFAULT;
	}
	return rc;
}

static int copy_through_kept(void *to, const void *from, size_t len)
{
	char rest[PIPE_BUF];
	int rc;

	pthread_mutex_lock(&kept.lock);
	rc = copy_through(kept.fds, to, from, len);
	/* What the target did not take is not for the next one. */
	while (rc && read(kept.fds[0], rest, sizeof(rest)) > 0)
		;
	pthread_mutex_unlock(&kept.lock);
	return rc;
}

static int copy_by_pipe(void *to, const void *from, size_t len)
{
	int fds[2], rc;

	/* Once there is one, it stays. */
	if (kept.fds[0] >= 0)
		return copy_through_kept(to, from, len);
	rc = make_pipe(fds);
	if (rc)
		return rc;
	rc = copy_through(fds, to, from, len);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

/*
 * The kernel copies: where a load or store of this process would raise SIGBUS, it returns EFAULT. A sandbox may refuse
 * process_vm_readv and _writev even for the process itself (seccomp: EPERM; a kernel without them: ENOSYS). A pipe then
 * does the same, through the same mapping, with four more system calls.
 */
static int copy(copy_call *call, void *buf, void *hva, size_t len, bool is_store)
{
	struct iovec local = { .iov_base = buf, .iov_len = len }, remote = { .iov_base = hva, .iov_len = len };
	ssize_t n = call(getpid(), &local, 1, &remote, 1, 0);

	if (n < 0 && (errno == ENOSYS || errno == EPERM))
		return is_store ? copy_by_pipe(hva, buf, len) : copy_by_pipe(buf, hva, len);
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EFAULT;
}

int vpmem_backing_load(const struct vpmem_backing *backing, uint64_t off, void *buf, uint64_t len)
{
	if (!is_inside(backing, off, len))
		return -ERANGE;
	return copy(process_vm_readv, buf, (uint8_t *)backing->hva + off, len, false);
}

int vpmem_backing_store(struct vpmem_backing *backing, uint64_t off, const void *buf, uint64_t len)
{
	if (!is_inside(backing, off, len))
		return -ERANGE;
	if (backing->rom)
		return -EROFS;
	return copy(process_vm_writev, (void *)(uintptr_t)buf, (uint8_t *)backing->hva + off, len, true);
}

bool vpmem_backing_is_truncated(const struct vpmem_backing *backing)
{
	struct statx st;

	/* The size alone: for a request of times, NFS first writes back all dirty pages, and waits. */
	if (backing->is_block || backing->is_dax || statx(backing->fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) < 0)
		return false;
	return st.stx_size < backing->offset + backing->size;
}
