// SPDX-License-Identifier: Apache-2.0
// Writes runs of dirty pages to the file, in the ways that bench-write-back compares.
#include "write_back.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define URING_ENTRIES_MAX 4096u

static const struct window *window;
static enum way way;

static struct {
	int fd;
	uint32_t nentries;
	uint32_t *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} uring;

static void *map_uring(size_t len, off_t off)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring.fd, off);

	if (p == MAP_FAILED)
		die("mmap of io_uring");
	return p;
}

static void open_uring(size_t runs_max)
{
	struct io_uring_params params = { 0 };
	uint8_t *sq, *cq;

	uring.nentries = 2;
	while (uring.nentries < runs_max + 1 && uring.nentries < URING_ENTRIES_MAX)
		uring.nentries *= 2;
	uring.fd = (int)syscall(SYS_io_uring_setup, uring.nentries, &params);
	if (uring.fd < 0)
		die("io_uring_setup");
	sq = map_uring(params.sq_off.array + params.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	cq = map_uring(params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	uring.sqes = map_uring(params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	uring.sq_tail = (uint32_t *)(void *)(sq + params.sq_off.tail);
	uring.sq_mask = (uint32_t *)(void *)(sq + params.sq_off.ring_mask);
	uring.sq_array = (uint32_t *)(void *)(sq + params.sq_off.array);
	uring.cq_head = (uint32_t *)(void *)(cq + params.cq_off.head);
	uring.cq_tail = (uint32_t *)(void *)(cq + params.cq_off.tail);
	uring.cq_mask = (uint32_t *)(void *)(cq + params.cq_off.ring_mask);
	uring.cqes = (struct io_uring_cqe *)(void *)(cq + params.cq_off.cqes);
}

void write_open(const struct window *to, enum way by, size_t runs_max)
{
	window = to;
	way = by;
	if (way == WAY_URING || way == WAY_URING_DSYNC)
		open_uring(runs_max);
}

static _Noreturn void failed(const char *what, int error)
{
	errno = error;
	die(what);
}

// ---- io_uring

static void queue(uint32_t idx, struct io_uring_sqe sqe)
{
	uint32_t slot = (*uring.sq_tail + idx) & *uring.sq_mask;

	uring.sqes[slot] = sqe;
	uring.sq_array[slot] = slot;
}

/* `expected`: the sum of all results. */
static void submit(uint32_t nsqes, uint64_t expected)
{
	uint32_t head = *uring.cq_head;
	uint64_t sum = 0;

	// Pairs with the kernel's acquire of the tail.
	__atomic_store_n(uring.sq_tail, *uring.sq_tail + nsqes, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, uring.fd, nsqes, nsqes, IORING_ENTER_GETEVENTS, NULL, 0) != (long)nsqes)
		die("io_uring_enter");
	if (__atomic_load_n(uring.cq_tail, __ATOMIC_ACQUIRE) - head != nsqes)
		failed("io_uring: completions are missing", EIO);
	for (uint32_t i = 0; i < nsqes; i++) {
		int result = uring.cqes[(head + i) & *uring.cq_mask].res;

		if (result < 0)
			failed("io_uring", -result);
		sum += (uint64_t)result;
	}
	__atomic_store_n(uring.cq_head, head + nsqes, __ATOMIC_RELEASE);
	if (sum != expected)
		failed("io_uring: a short write", EIO);
}

static void write_by_uring(const struct run *runs, uint32_t nruns, bool last)
{
	bool sync = way == WAY_URING && last;
	uint64_t expected = 0;

	for (uint32_t i = 0; i < nruns; i++) {
		uint64_t off = (uint64_t)runs[i].first_page * PAGE_SIZE;
		uint32_t len = runs[i].npages * PAGE_SIZE;

		expected += len;
		// A link of one write and the sync; several writes run side by side, and the sync waits for them.
		queue(i, (struct io_uring_sqe) { .opcode = IORING_OP_WRITE,
		                                 .flags = sync && nruns == 1 ? IOSQE_IO_LINK : 0,
		                                 .fd = window->direct_fd,
		                                 .off = off,
		                                 .addr = (uintptr_t)window->hva + off,
		                                 .len = len,
		                                 .rw_flags = way == WAY_URING_DSYNC ? RWF_DSYNC : 0 });
	}
	if (sync)
		queue(nruns, (struct io_uring_sqe) { .opcode = IORING_OP_FSYNC,
		                                     .flags = nruns == 1 ? 0 : IOSQE_IO_DRAIN,
		                                     .fd = window->fd,
		                                     .fsync_flags = IORING_FSYNC_DATASYNC });
	submit(nruns + (sync ? 1 : 0), expected);
}

static void write_all_by_uring(const struct dirty *dirty)
{
	size_t most = uring.nentries - 1;

	for (size_t i = 0; i < dirty->nruns; i += most) {
		size_t nruns = dirty->nruns - i < most ? dirty->nruns - i : most;

		write_by_uring(dirty->runs + i, (uint32_t)nruns, i + nruns == dirty->nruns);
	}
}

// ---- system calls

static void write_run(const struct run *run)
{
	size_t off = (size_t)run->first_page * PAGE_SIZE, len = (size_t)run->npages * PAGE_SIZE;
	struct iovec iov = { .iov_base = window->hva + off, .iov_len = len };
	ssize_t done;

	if (way == WAY_DSYNC)
		done = pwritev2(window->direct_fd, &iov, 1, (off_t)off, RWF_DSYNC);
	else
		done = pwrite(way == WAY_BUFFERED ? window->fd : window->direct_fd, iov.iov_base, len, (off_t)off);
	if (done < 0)
		die("pwrite");
	if ((size_t)done != len)
		failed("pwrite: a short write", EIO);
}

void write_runs(const struct dirty *dirty)
{
	if (way == WAY_URING || way == WAY_URING_DSYNC) {
		write_all_by_uring(dirty);
		return;
	}
	for (size_t i = 0; i < dirty->nruns; i++)
		write_run(&dirty->runs[i]);
	if (way != WAY_DSYNC && fdatasync(window->fd) < 0)
		die("fdatasync");
}
