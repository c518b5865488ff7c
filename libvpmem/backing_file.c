// SPDX-License-Identifier: Apache-2.0
/*
 * backing_file.c - the file of a memory backend: its lock, its size, and what close undoes.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Makes the new name durable: a file that a power failure takes away has no durable data either. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, rc = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	/* EACCES: a directory that cannot be read cannot be synced; the sync of the file must be enough. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	/* EINVAL: a file system that has nothing to sync here. */
	if (fsync(fd) && errno != EINVAL)
		rc = -errno;
	close(fd);
	return rc;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the open file still what the path names? */
static bool still_named(const struct vpmem_backing *b, const struct stat *by_fd)
{
	struct stat by_path;

	return stat(b->path, &by_path) == 0 && is_same(&by_path, by_fd);
}

static int file_size(const struct vpmem_backing *b, const struct stat *st, uint64_t *size)
{
	if (b->is_block)
		return ioctl(b->fd, BLKGETSIZE64, size) ? -errno : 0;
	if (b->is_dax)
		return backing_dax_size(b, size);
	*size = (uint64_t)st->st_size;
	return 0;
}

/* The unit in which the file can be mapped. */
static int find_page_size(struct vpmem_backing *b, const struct stat *st)
{
	struct statfs fs;

	b->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	if (b->is_dax)
		return backing_dax_align(b, &b->page_size);
	/* The block of hugetlbfs is its page. */
	if ((uint64_t)st->st_blksize <= b->page_size)
		return 0;
	b->is_huge = fstatfs(b->fd, &fs) == 0 && (unsigned long)fs.f_type == HUGETLBFS_MAGIC;
	if (b->is_huge)
		b->page_size = (uint64_t)fs.f_bsize;
	return 0;
}

/* The host's page was checked before (vpmem_backing_check); the file's may be larger. */
static int check_units(const struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if (opts->size && opts->size < b->page_size && b->page_size != (uint64_t)sysconf(_SC_PAGESIZE))
		return err_fail(err, -EINVAL,
		                "memory size 0x%" PRIx64 " must be equal to or larger than page size 0x%" PRIx64,
		                opts->size, b->page_size);
	return backing_check_units(opts, b->page_size, err);
}

/* An empty file gets its full size. One with content is never extended: its end may mean something. */
static int file_grow(struct vpmem_backing *b, struct vpmem_error *err)
{
	int rc;

	/* Two that find the same empty file: only one may grow it. */
	if (!b->writes_through) {
		rc = backing_lock(b, BACKING_LOCK_EXCLUSIVE, err);
		if (rc)
			return rc;
	}
	if (b->undo == BACKING_UNDO_NOTHING)
		b->undo = BACKING_UNDO_GROW;
	rc = backing_ftruncate(b, (off_t)(b->offset + b->size));
	if (rc < 0) {
		err_fail(err, rc, "can't give backing store %s its size of %" PRIu64 " bytes: %m", b->path,
		         b->offset + b->size);
		if (rc == -EFBIG)
			backing_hint_too_large(b->offset + b->size, err);
		return rc;
	}
	if (b->undo == BACKING_UNDO_CREATE) {
		rc = sync_directory(b->path);
		if (rc)
			return err_fail(err, rc, "can't sync the directory of backing store %s: %m", b->path);
	}
	return b->writes_through ? 0 : backing_lock(b, BACKING_LOCK_SHARED, err);
}

static int too_small(const struct vpmem_backing *b, uint64_t have, struct vpmem_error *err)
{
	err_fail(err, -EINVAL,
	         "%s backing store size 0x%" PRIx64 " is too small for 'size' option 0x%" PRIx64
	         " plus 'offset' option 0x%" PRIx64,
	         b->id, have, b->size, b->offset);
	if (!b->is_block && !b->is_dax)
		err_hint(err, "leave out size= to use what the file has, or make it larger: truncate -s %" PRIu64 " %s",
		         b->offset + b->size, b->path);
	return -EINVAL;
}

static int settle_size(struct vpmem_backing *b, const struct vpmem_backing_options *opts, const struct stat *st,
                       struct vpmem_error *err)
{
	uint64_t have;
	int rc = file_size(b, st, &have);

	if (rc)
		return backing_open_failed(b, rc, err);
	if (opts->size > INT64_MAX / 2 || opts->offset > INT64_MAX / 2)
		return err_fail(err, -EFBIG,
		                "'size' option 0x%" PRIx64 " plus 'offset' option 0x%" PRIx64
		                " is too large for a file",
		                opts->size, opts->offset);
	b->offset = opts->offset;
	if (opts->size == 0) {
		if (have == 0)
			return backing_size_missing(b->path, "is empty", err);
		if (have <= b->offset)
			return err_fail(err, -EINVAL,
			                "%s backing store size 0x%" PRIx64
			                " has nothing beyond 'offset' option 0x%" PRIx64,
			                b->id, have, b->offset);
		b->size = have - b->offset;
		return 0;
	}
	b->size = round_up(opts->size, b->page_size);
	if (have == 0 && !b->is_block && !b->is_dax && !opts->readonly)
		return file_grow(b, err);
	return have < b->offset + b->size ? too_small(b, have, err) : 0;
}

int backing_remove_name(const char *path, int fd)
{
	struct stat by_path, by_fd;

	/* A file that was created here is no symbolic link: a link to the file is another one's. */
	if (fstat(fd, &by_fd) || lstat(path, &by_path))
		return -errno;
	if (!is_same(&by_path, &by_fd))
		return -ESTALE;
	return unlink(path) ? -errno : 0;
}

int backing_file_open(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	struct stat st;
	int rc = backing_find(b, opts, err);

	if (rc)
		return rc;
	rc = backing_lock(b, b->writes_through ? BACKING_LOCK_EXCLUSIVE : BACKING_LOCK_SHARED, err);
	if (rc) {
		/* Created here, and then locked by another process first: the file is that process's. */
		if (rc == -EBUSY)
			b->undo = BACKING_UNDO_NOTHING;
		/* Where no lock can be had, no other process has one: remove the file without the lock. */
		if (rc == -ENOLCK && b->undo == BACKING_UNDO_CREATE) {
			(void)backing_remove_name(b->path, b->fd);
			b->undo = BACKING_UNDO_NOTHING;
		}
		goto out_close;
	}
	if (fstat(b->fd, &st)) {
		rc = backing_open_failed(b, -errno, err);
		goto out_close;
	}
	/*
	 * A backend that is being closed removes its file under the lock: the file that was locked may have no name. A
	 * file that was created here is removed by no other backend, and st_nlink shows if another program did.
	 */
	if (!b->is_scratch && (b->undo != BACKING_UNDO_CREATE || st.st_nlink == 0) && !still_named(b, &st)) {
		rc = backing_open_failed(b, -ESTALE, err);
		err_hint(err, "it was removed or replaced in this moment: try again");
		goto out_close;
	}
	rc = find_page_size(b, &st);
	rc = rc ? backing_open_failed(b, rc, err) : check_units(b, opts, err);
	if (!rc)
		rc = settle_size(b, opts, &st, err);
	if (!rc && opts->pmem)
		b->domain = backing_find_domain(b);
	if (!rc)
		return 0;

out_close:
	backing_file_close(b);
	return rc;
}

/* Undoes only what no other process uses yet. */
static void undo(struct vpmem_backing *b)
{
	if (b->undo == BACKING_UNDO_CREATE)
		(void)(b->files.open ? b->files.remove(b->files.opaque, b->path, b->fd) :
		                       vpmem_file_remove(b->path, b->fd));
	else if (b->undo == BACKING_UNDO_GROW && backing_lock(b, BACKING_LOCK_EXCLUSIVE, NULL) == 0)
		(void)backing_ftruncate(b, 0);
}

void backing_file_close(struct vpmem_backing *b)
{
	undo(b);
	close(b->fd);
	b->fd = -1;
}
