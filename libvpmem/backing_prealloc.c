// SPDX-License-Identifier: Apache-2.0
/*
 * backing_prealloc.c - prealloc=on: reserves the blocks that stores will need before the guest starts. The file gets
 * blocks for its holes and, where it shares blocks with another file, blocks of its own. It is refused on a file system
 * where that does not guarantee that a store finds a block.
 */
#include "backing_extent.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#define HINT_OFF "or prealloc=off"

/* What the mapped part of the file lacks. */
struct lack {
	uint64_t holes;  /* bytes that have no block, */
	uint64_t shared; /* and whose blocks are also those of another file */
	bool is_exact;   /* by the extents of the file; else holes is an estimate, and shared is 0 */
};

static int find_lack(const struct vpmem_backing *b, struct lack *out)
{
	struct piece_walk walk;
	struct piece piece;
	struct stat st;
	int rc;

	*out = (struct lack) { .is_exact = true };
	piece_walk_begin(&walk, b, (off_t)b->offset, (off_t)(b->offset + b->size));
	while ((rc = piece_walk_next(&walk, &piece)) > 0) {
		out->holes += piece.kind == PIECE_HOLE ? (uint64_t)piece.len : 0;
		out->shared += piece.kind == PIECE_SHARED ? (uint64_t)piece.len : 0;
	}
	if (rc == 0)
		return 0;
	*out = (struct lack) { .is_exact = false };
	if (fstat(b->fd, &st))
		return -errno;
	if ((uint64_t)st.st_blocks * BACKING_STAT_BLOCK < b->size)
		out->holes = b->size - (uint64_t)st.st_blocks * BACKING_STAT_BLOCK;
	return 0;
}

static bool is_satisfied(const struct lack *lack)
{
	return lack->is_exact && lack->holes == 0 && lack->shared == 0;
}

/* The file system's name, if it writes every change of this file to a new block: no block can be reserved then. */
static const char *copies_always(const struct vpmem_backing *b)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} kinds[] = {
		{ BTRFS_SUPER_MAGIC, "btrfs" },
		{ 0xca451a4e, "bcachefs" },
		{ 0x2fc12fc1, "zfs" },
	};
	struct statfs fs;
	int flags = 0;

	if (fstatfs(b->fd, &fs))
		return NULL;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((uint32_t)fs.f_type != kinds[i].magic)
			continue;
		/* nodatacow, chattr +C: changes are written in place. */
		if (ioctl(b->fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL))
			return NULL;
		return kinds[i].name;
	}
	return NULL;
}

static int no_promise(const struct vpmem_backing *b, const char *name, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP,
	         "prealloc: backing store %s: its file system (%s) writes every change to a new block, so that no "
	         "block can be reserved: %m",
	         b->path, name);
	err_hint(err, "use a file that was made with chattr +C where there is that, another file system, " HINT_OFF);
	return -EOPNOTSUPP;
}

static int no_space(const struct vpmem_backing *b, const struct lack *lack, const struct statvfs *fs,
                    struct vpmem_error *err)
{
	uint64_t needed = lack->holes + lack->shared, available = (uint64_t)fs->f_bavail * fs->f_frsize;

	if (needed == 0)
		err_fail(err, -ENOSPC, "prealloc: backing store %s: its file system has no space: %m", b->path);
	else if (fs->f_blocks == 0)
		err_fail(err, -ENOSPC,
		         "prealloc: backing store %s needs %" PRIu64 " bytes (%" PRIu64
		         " MiB), its file system has less free: %m",
		         b->path, needed, needed >> 20);
	else
		err_fail(err, -ENOSPC,
		         "prealloc: backing store %s needs %" PRIu64 " bytes (%" PRIu64 " MiB), "
		         "its file system has %" PRIu64 " bytes (%" PRIu64 " MiB) free: %m",
		         b->path, needed, needed >> 20, available, available >> 20);
	err_hint(err, b->is_huge ? "add huge pages (/proc/sys/vm/nr_hugepages), " HINT_OFF :
	                           "free space there, use another file system, " HINT_OFF);
	return -ENOSPC;
}

static int cannot_reserve(const struct vpmem_backing *b, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP, "prealloc: backing store %s: its file system cannot reserve blocks: %m", b->path);
	err_hint(err, "write the file once in full, or use another file system, " HINT_OFF);
	return -EOPNOTSUPP;
}

static int cannot_unshare(const struct vpmem_backing *b, uint64_t shared, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP,
	         "prealloc: backing store %s shares %" PRIu64 " bytes (%" PRIu64
	         " MiB) with another file or a snapshot, and its file system cannot give it blocks of its own: %m",
	         b->path, shared, shared >> 20);
	err_hint(err, "copy the file (cp --reflink=never), " HINT_OFF);
	return -EOPNOTSUPP;
}

/* Requests blocks for each hole, and own blocks for each shared piece. On failure *piece is the one that failed. */
static int reserve_pieces(const struct vpmem_backing *b, struct piece *piece)
{
	struct piece_walk walk;
	int rc;

	piece_walk_begin(&walk, b, (off_t)b->offset, (off_t)(b->offset + b->size));
	while ((rc = piece_walk_next(&walk, piece)) > 0) {
		if (piece->kind != PIECE_OWN)
			rc = backing_fallocate(b, piece->kind == PIECE_SHARED ? FALLOC_FL_UNSHARE_RANGE : 0, piece->off,
			                       piece->len);
		if (rc < 0)
			return rc;
	}
	return rc;
}

/*
 * Requests what the file lacks; its contents do not change. Pieces that have blocks are not requested, because xfs
 * needs free space for all of a request. As the file may change meanwhile, what it lacks afterwards decides.
 */
static int reserve(const struct vpmem_backing *b, struct lack *lack, struct vpmem_error *err)
{
	struct piece piece = { .kind = PIECE_HOLE };
	int rc = lack->is_exact ? reserve_pieces(b, &piece) : backing_fallocate(b, 0, (off_t)b->offset, (off_t)b->size);

	if (rc == -EOPNOTSUPP)
		return piece.kind == PIECE_SHARED ? cannot_unshare(b, lack->shared, err) : cannot_reserve(b, err);
	if (lack->is_exact && find_lack(b, lack) == 0 && is_satisfied(lack))
		return 0;
	return rc == 0 && lack->shared > 0 ? cannot_unshare(b, lack->shared, err) : rc;
}

/* Counting first keeps a file system from being filled to its last block by an attempt that cannot succeed. */
static int prealloc_file(const struct vpmem_backing *b, struct vpmem_error *err)
{
	const char *name = copies_always(b);
	struct statvfs fs = { 0 };
	struct lack lack;
	int rc;

	if (name)
		return no_promise(b, name, err);
	rc = find_lack(b, &lack);
	if (rc == 0 && fstatvfs(b->fd, &fs))
		rc = -errno;
	if (rc < 0)
		return err_fail(err, rc, "prealloc: backing store %s: %m", b->path);
	if (is_satisfied(&lack))
		return 0;
	/* A file system that counts no blocks (an unlimited tmpfs, hugetlbfs, some FUSE) reports no free space. */
	if (fs.f_blocks && lack.holes + lack.shared > (uint64_t)fs.f_bavail * fs.f_frsize)
		return no_space(b, &lack, &fs, err);
	rc = reserve(b, &lack, err);
	if (rc == -ENOSPC)
		return no_space(b, &lack, &fs, err);
	if (rc == -EFBIG) {
		err_fail(err, rc, "prealloc: backing store %s: %m", b->path);
		backing_hint_too_large(b->offset + b->size, err);
	} else if (rc < 0 && rc != -EOPNOTSUPP) {
		err_fail(err, rc, "prealloc: backing store %s: %m", b->path);
	}
	return rc;
}

int backing_prealloc(const struct vpmem_backing *b, struct vpmem_error *err)
{
	/* A block device has its blocks, and nothing is stored into a ROM. */
	if (b->rom || b->is_dax || (b->is_block && b->writes_through))
		return 0;
	if (b->writes_through)
		return prealloc_file(b, err);
	/* Copy-on-write: the file is not written; what is needed is private memory. */
	if (madvise(b->hva, b->map_len, MADV_POPULATE_WRITE))
		return err_fail(err, -errno, "prealloc: %s: cannot populate %" PRIu64 " bytes of memory: %m", b->id,
		                b->map_len);
	return 0;
}
