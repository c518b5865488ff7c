// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fault.c - a backing whose file the host cannot provide any more: no room for a hole, or the file was
 * cut. Nothing here touches the mapping itself, which would end the process by SIGBUS.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXTENTS_MAX 64u /* for one FS_IOC_FIEMAP */
#define STAT_BLOCK 512  /* bytes of a st_blocks */

static bool is_inside(const struct vpmem_backing *b, uint64_t off, uint64_t len)
{
	return off <= b->size && len <= b->size - off;
}

/* The kernel copies: where a load or store of ours would end in SIGBUS, it says -EFAULT. */
int vpmem_backing_load(const struct vpmem_backing *backing, uint64_t off, void *buf, uint64_t len)
{
	struct iovec to = { .iov_base = buf, .iov_len = len }, from = { .iov_len = len };
	ssize_t n;

	if (!is_inside(backing, off, len))
		return -ERANGE;
	from.iov_base = (uint8_t *)backing->hva + off;
	n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EFAULT;
}

int vpmem_backing_store(struct vpmem_backing *backing, uint64_t off, const void *buf, uint64_t len)
{
	struct iovec from = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len }, to = { .iov_len = len };
	ssize_t n;

	if (!is_inside(backing, off, len))
		return -ERANGE;
	if (backing->rom)
		return -EROFS;
	to.iov_base = (uint8_t *)backing->hva + off;
	n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EFAULT;
}

bool vpmem_backing_is_truncated(const struct vpmem_backing *backing)
{
	struct statx st;

	/* The size alone: asked for times, NFS first writes back everything that is dirty, and waits. */
	if (backing->is_block || backing->is_dax || statx(backing->fd, "", AT_EMPTY_PATH, STATX_SIZE, &st) < 0)
		return false;
	return st.stx_size < backing->offset + backing->size;
}

/* For file systems without fallocate: none for us if none for ordinary users. */
static int room_by_free_blocks(const struct vpmem_backing *b)
{
	struct statvfs fs;

	if (fstatvfs(b->fd, &fs) < 0)
		return -errno;
	/* A tmpfs without a limit counts no blocks at all. */
	return fs.f_blocks != 0 && fs.f_bavail == 0 ? -ENOSPC : 0;
}

/* Asks for blocks at this place of the file; what is there stays. 0, or what the file system says. */
static int ask_for(const struct vpmem_backing *b, off_t off, off_t len)
{
	while (fallocate(b->fd, FALLOC_FL_KEEP_SIZE, off, len) < 0) {
		if (errno == EOPNOTSUPP || errno == ENOSYS)
			return room_by_free_blocks(b);
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int64_t allocated_blocks(const struct vpmem_backing *b)
{
	struct stat st;

	return fstat(b->fd, &st) < 0 ? -1 : st.st_blocks;
}

/* The first place from off on that has no block, reserved ones counted as such; end if there is none. Or -errno. */
static off_t first_without_block(const struct vpmem_backing *b, off_t off, off_t end)
{
	union {
		struct fiemap head;
		uint8_t room[sizeof(struct fiemap) + EXTENTS_MAX * sizeof(struct fiemap_extent)];
	} map;

	while (off < end) {
		map.head = (struct fiemap) { .fm_start = (uint64_t)off,
			                     .fm_length = (uint64_t)(end - off),
			                     .fm_extent_count = EXTENTS_MAX };
		if (ioctl(b->fd, FS_IOC_FIEMAP, &map) < 0)
			return -errno;
		for (uint32_t i = 0; i < map.head.fm_mapped_extents; i++) {
			const struct fiemap_extent *extent = &map.head.fm_extents[i];

			if (extent->fe_logical > (uint64_t)off)
				return off;
			off = (off_t)(extent->fe_logical + extent->fe_length);
		}
		if (map.head.fm_mapped_extents < EXTENTS_MAX)
			break;
	}
	return off < end ? off : end;
}

/*
 * Is there room for the holes from this one on? Asked for are 2 MiB, or what is missing if it is less: so much may a
 * store of one byte need, where the page cache has such large folios (xfs). Blocks that were reserved before (fallocate)
 * and never written are a hole for SEEK_HOLE, too; that the file system gives them once more tells nothing.
 */
static int room_for_holes(const struct vpmem_backing *b, off_t hole, off_t end)
{
	const off_t chunk = (off_t)BACKING_HUGE_SIZE;
	const int64_t enough = allocated_blocks(b) + chunk / STAT_BLOCK;

	while (hole < end && allocated_blocks(b) < enough) {
		off_t stop = (hole / chunk + 1) * chunk;
		int rc = ask_for(b, hole, (stop < end ? stop : end) - hole);

		if (rc < 0)
			return rc;
		hole = first_without_block(b, stop, end);
		if (hole < 0)
			return room_by_free_blocks(b);
	}
	return 0;
}

int vpmem_backing_room(const struct vpmem_backing *backing)
{
	off_t end = (off_t)(backing->offset + backing->size), hole;
	int rc;

	if (backing->is_block || backing->is_dax || !backing->writes_through)
		return 0;
	/* The descriptor's position is used by nobody else. */
	hole = lseek(backing->fd, (off_t)backing->offset, SEEK_HOLE);
	if (hole < 0)
		return errno == ENXIO ? 0 : -errno;
	if (hole < end)
		return room_for_holes(backing, hole, end);
	/* There is nothing to make room for; but a file system that was shut down gives no page at all. */
	rc = ask_for(backing, (off_t)backing->offset, (off_t)backing->page_size);
	return rc == -ENOSPC || rc == -EDQUOT ? 0 : rc;
}
