// SPDX-License-Identifier: Apache-2.0
/*
 * backing_room.c - whether the file system would give a store the block that it needs.
 *
 * A store needs a new block in a hole, where a block is shared with another file (a reflink, a snapshot), and on file
 * systems that write every change to a new place. The result of a request for such a block (fallocate(2)) is the
 * answer, with its reason. Where blocks cannot be requested so, the kernel makes a page of the mapping writable, as it
 * does for a store (MADV_POPULATE_WRITE). This gets the block, or fails without a reason.
 *
 * None of these requests changes a byte that the guest sees, and all may be made while the guest stores:
 *   - FALLOC_FL_KEEP_SIZE adds blocks of zeros to holes, and does not change other blocks;
 *   - FALLOC_FL_UNSHARE_RANGE copies inside the file system, which locks the page cache against stores meanwhile;
 *   - MADV_POPULATE_WRITE takes the page fault of a store without the store. The page is marked dirty, so the next sync
 *     writes it, with the bytes that it had.
 * Copying a byte onto itself, by pwrite(2) or in the mapping, is not safe: it may undo a store of the guest.
 */
#include "backing_extent.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAPS_MAX 64u           /* FS_IOC_FIEMAP, each of up to EXTENTS_MAX extents */
#define PLACES_MAX 4096u       /* pages that are made writable, at most */
#define HUGE_PLACES_MAX 65536u /* pages of hugetlbfs: one that exists costs two short system calls */
/* The size of a request: a store of one byte may need as much, where the page cache has such large folios (xfs). */
#define ENOUGH ((off_t)BACKING_HUGE_SIZE)

static bool is_unsupported(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS;
}

/* Is less than this free for ordinary users? Never on a file system that counts no blocks (an unlimited tmpfs). */
static bool is_full(const struct vpmem_backing *b, uint64_t wanted)
{
	struct statvfs fs;

	return fstatvfs(b->fd, &fs) == 0 && fs.f_blocks != 0 && (uint64_t)fs.f_bavail * fs.f_frsize < wanted;
}

/* Requests blocks for a hole. Without fallocate, the free space for ordinary users decides. */
static int ask_for_blocks(const struct vpmem_backing *b, off_t off, off_t len)
{
	int rc = backing_fallocate(b, FALLOC_FL_KEEP_SIZE, off, len);

	return is_unsupported(rc) ? is_full(b, 1) ? -ENOSPC : 0 : rc;
}

/* ---- as a store does ----------------------------------------------------------------------------------- */

static long nfaults(void)
{
	struct rusage usage = { 0 };

	(void)getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/*
 * Makes the page at this place of the mapping writable. -EFAULT: a store would fail. The page is read first:
 * before Linux 6.9, MADV_POPULATE_WRITE of a page that cannot be read does not return.
 */
static int make_writable(const struct vpmem_backing *b, uint64_t place)
{
	uint8_t byte;

	if (pread(b->fd, &byte, 1, (off_t)(b->offset + place)) < 0)
		return errno == EINTR ? 0 : -errno;
	while (madvise((uint8_t *)b->hva + place, b->page_size, MADV_POPULATE_WRITE) < 0) {
		/* A kernel before 5.14 does not know the advice. */
		if (errno == EINVAL)
			return 0;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

/*
 * Makes one page of [off, end) of the file writable. For a page that is writable already, the kernel takes no fault and
 * requests nothing of the file system: then the next page is tried. Steps are large first, as stores come in runs.
 */
static int ask_as_a_store(const struct vpmem_backing *b, off_t off, off_t end)
{
	uint64_t first = (uint64_t)off - b->offset, last = (uint64_t)end - b->offset;
	uint64_t huge = b->page_size > BACKING_HUGE_SIZE ? b->page_size : BACKING_HUGE_SIZE;
	long before = nfaults();
	unsigned nplaces = 0;

	first -= first % b->page_size;
	for (uint64_t step = huge;; step = b->page_size) {
		for (uint64_t place = first; place < last && nplaces < PLACES_MAX; place += step, nplaces++) {
			int rc = make_writable(b, place);

			if (rc < 0 || nfaults() != before)
				return rc;
		}
		if (step == b->page_size)
			return 0;
	}
}

/* Every page has a block of its own. Would a store fail all the same? */
static int ask_for_rewrite(const struct vpmem_backing *b, off_t end)
{
	int why = backing_fallocate(b, FALLOC_FL_KEEP_SIZE, (off_t)b->offset, (off_t)b->page_size);
	int rc;

	/* The file system was shut down, or takes no writes any more. */
	if (why < 0 && !vpmem_is_no_space(why) && !is_unsupported(why))
		return why;
	/* xfs may have no space for a request whose blocks exist: ENOSPC alone is no reason. */
	rc = ask_as_a_store(b, (off_t)b->offset, end);
	if (rc != -EFAULT)
		return rc;
	if (vpmem_is_no_space(why))
		return why;
	return is_full(b, BACKING_HUGE_SIZE) ? -ENOSPC : -EFAULT;
}

/* ---- holes and shared blocks ----------------------------------------------------------------------------------- */

/* Has all of [off, end) blocks of its own by now? */
static bool is_own(const struct vpmem_backing *b, off_t off, off_t end)
{
	struct piece_walk walk;
	struct piece piece;
	int rc;

	piece_walk_begin(&walk, b, off, end);
	while ((rc = piece_walk_next(&walk, &piece)) > 0)
		if (piece.kind != PIECE_OWN)
			return false;
	return rc == 0;
}

/* Where the file system cannot give a shared piece blocks of its own on request. */
static int ask_for_shared_page(const struct vpmem_backing *b, off_t off, off_t end)
{
	int rc = ask_as_a_store(b, off, end);

	return rc == -EFAULT && is_full(b, BACKING_HUGE_SIZE) ? -ENOSPC : rc;
}

static int ask_for_own_blocks(const struct vpmem_backing *b, off_t off, off_t len)
{
	return backing_fallocate(b, FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE, off, len);
}

/* Requests blocks for a hole, or own blocks for a shared piece, until *asked is enough. */
static int ask_for_piece(const struct vpmem_backing *b, const struct piece *piece, off_t *asked)
{
	off_t end = piece->off + piece->len, stop;

	for (off_t off = piece->off; off < end && *asked < ENOUGH; off = stop) {
		int rc;

		stop = (off / ENOUGH + 1) * ENOUGH;
		if (stop > end)
			stop = end;
		*asked += stop - off;
		rc = piece->kind == PIECE_HOLE ? ask_for_blocks(b, off, stop - off) :
		                                 ask_for_own_blocks(b, off, stop - off);
		if (piece->kind == PIECE_SHARED && is_unsupported(rc)) {
			*asked = ENOUGH;
			return ask_for_shared_page(b, piece->off, end);
		}
		/* The guest may have stored there meanwhile. xfs may have no space for a request whose blocks exist. */
		if (vpmem_is_no_space(rc) && is_own(b, off, stop))
			rc = 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/*
 * -EOPNOTSUPP: the file system does not report where the file has blocks. The walk is bounded, as the caller may hold a
 * lock that the guest waits for: beyond the first 4032 extents, only ask_for_rewrite may find a missing block.
 */
static int ask_for_pieces(const struct vpmem_backing *b, off_t end)
{
	struct piece_walk walk;
	struct piece piece;
	off_t asked = 0;
	int rc = 0;

	piece_walk_begin(&walk, b, (off_t)b->offset, end);
	while (asked < ENOUGH && walk.nmaps < MAPS_MAX && (rc = piece_walk_next(&walk, &piece)) > 0) {
		rc = piece.kind == PIECE_OWN ? 0 : ask_for_piece(b, &piece, &asked);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : 0;
}

static int64_t allocated_blocks(const struct vpmem_backing *b)
{
	struct stat st;

	return fstat(b->fd, &st) < 0 ? -1 : st.st_blocks;
}

/* Has the file all of its blocks, also those that are not mapped? */
static bool is_whole(const struct vpmem_backing *b)
{
	struct stat st;

	return fstat(b->fd, &st) == 0 && st.st_blocks >= st.st_size / BACKING_STAT_BLOCK;
}

/* hugetlbfs shows no holes. Its pages are requested one by one, until one of them is new. */
static int ask_for_huge_pages(const struct vpmem_backing *b, off_t end)
{
	const off_t page = (off_t)b->page_size;
	const int64_t before = allocated_blocks(b);
	unsigned nplaces = 0;
	int rc = 0;

	if (is_whole(b))
		return 0;
	for (off_t off = (off_t)b->offset; off < end && rc == 0 && nplaces < HUGE_PLACES_MAX; off += page, nplaces++) {
		rc = backing_fallocate(b, FALLOC_FL_KEEP_SIZE, off, page);
		if (allocated_blocks(b) != before)
			break;
	}
	return rc;
}

/*
 * Without FIEMAP (tmpfs): the first hole. Blocks that were reserved before and never written are also reported as a
 * hole. A request for them succeeds and allocates nothing. Then the free blocks of the file system decide.
 */
static int ask_for_first_hole(const struct vpmem_backing *b, off_t end)
{
	off_t hole = lseek(b->fd, (off_t)b->offset, SEEK_HOLE); /* no other code uses the file position */
	int64_t before = allocated_blocks(b);
	off_t stop = (hole / ENOUGH + 1) * ENOUGH, len = (stop < end ? stop : end) - hole;
	int rc;

	if (hole < 0)
		return errno == ENXIO ? 0 : -errno;
	if (hole >= end)
		return 0;
	rc = ask_for_blocks(b, hole, len);
	if (rc < 0 || allocated_blocks(b) >= before + len / BACKING_STAT_BLOCK)
		return rc;
	return is_full(b, 1) ? -ENOSPC : 0;
}

/* Where the mapped part of the file ends. A truncated part needs no blocks. */
static off_t mapped_end(const struct vpmem_backing *b)
{
	off_t end = (off_t)(b->offset + b->size);
	struct stat st;

	return fstat(b->fd, &st) == 0 && st.st_size < end ? st.st_size : end;
}

int vpmem_backing_room(const struct vpmem_backing *backing)
{
	off_t end = mapped_end(backing);
	int rc;

	if (backing->is_block || backing->is_dax || backing->rom || end <= (off_t)backing->offset)
		return 0;
	/* A private copy needs memory. Without memory the OOM killer runs; without huge pages a store fails. */
	if (!backing->writes_through)
		return backing->is_huge && ask_as_a_store(backing, (off_t)backing->offset, end) ? -ENOSPC : 0;
	if (backing->is_huge)
		return ask_for_huge_pages(backing, end);
	rc = ask_for_pieces(backing, end);
	if (is_unsupported(rc))
		rc = ask_for_first_hole(backing, end);
	return rc < 0 ? rc : ask_for_rewrite(backing, end);
}
