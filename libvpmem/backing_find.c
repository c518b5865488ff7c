// SPDX-License-Identifier: Apache-2.0
/*
 * backing_find.c - opens or creates what mem-path names: a file, a block device, or a directory.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0644
/* Another process may create or remove the file between stat and open, but not for ever. */
#define OPEN_TRIES 4

int backing_open_failed(const struct vpmem_backing *b, int rc, struct vpmem_error *err)
{
	return err_fail(err, rc, "can't open backing store %s for guest RAM: %m", b->path);
}

int backing_size_missing(const char *path, const char *what, struct vpmem_error *err)
{
	err_fail(err, -EINVAL, "Parameter 'size' is missing");
	err_hint(err, "%s %s: give the size of the memory, for instance size=4G", path, what);
	return -EINVAL;
}

/* What a file that cannot be a backing is. */
static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
		return "a character device";
	default:
		return "no file";
	}
}

static int wrong_type(const struct vpmem_backing *b, mode_t mode, struct vpmem_error *err)
{
	err_fail(err, -EINVAL, "can't open backing store %s for guest RAM: it is %s", b->path, type_name(mode));
	err_hint(err, "mem-path is a regular file, a block device, a directory for a scratch file, or "
	              "persistent memory as /dev/daxX.Y");
	return -EINVAL;
}

/* A file without a name in a directory: its blocks are free again when it is closed. */
static int scratch_open(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	char *name;
	int rc;

	if (opts->readonly)
		return backing_open_failed(b, -EISDIR, err);
	if (opts->size == 0)
		return backing_size_missing(b->path, "is a directory", err);
	b->is_scratch = true;
	b->fd = open(b->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd >= 0)
		return 0;
	/* EOPNOTSUPP: this file system has no such files. EISDIR: this kernel has none. */
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return backing_open_failed(b, -errno, err);
	if (asprintf(&name, "%s/vpmem.XXXXXX", b->path) < 0)
		return backing_open_failed(b, -ENOMEM, err);
	b->fd = mkostemp(name, O_CLOEXEC);
	rc = b->fd < 0 ? backing_open_failed(b, -errno, err) : 0;
	if (rc == 0)
		unlink(name);
	free(name);
	return rc;
}

static bool has_type(const struct vpmem_backing *b, const struct stat *st)
{
	if (b->is_dax)
		return S_ISCHR(st->st_mode) && backing_is_dax(st->st_rdev);
	return b->is_block ? S_ISBLK(st->st_mode) : S_ISREG(st->st_mode);
}

/* Memory as a character device has no file behind it: only stores by a shared mapping, and no fsync. */
static int check_dax(const struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if (opts->share && (opts->pmem || opts->readonly))
		return 0;
	err_fail(err, -EINVAL,
	         "can't open backing store %s for guest RAM: it is persistent memory as a character device, "
	         "which needs %s",
	         b->path, opts->share ? "'pmem' = 'on'" : "'share' = 'on'");
	err_hint(err, "add share=on,pmem=on");
	return -EINVAL;
}

static int existing_open(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	int flags = opts->readonly ? O_RDONLY : O_RDWR;
	struct stat st = { 0 };
	int rc;

	/* For a block device O_EXCL refuses one that is mounted, or part of something that is. */
	if (b->is_block && b->writes_through)
		flags |= O_EXCL;
	/* Should the name be a FIFO or a terminal by now, opening it neither waits nor does anything else. */
	b->fd = open(b->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (b->fd < 0) {
		rc = backing_open_failed(b, -errno, err);
		/* EROFS: on a file system that is mounted read-only. EPERM: it is immutable (chattr +i). */
		if ((rc == -EACCES || rc == -EROFS || rc == -EPERM) && !opts->readonly)
			err_hint(err, "an image that cannot be written can be used with readonly=on%s",
			         opts->share ? "" : ",rom=off: writable memory that never reaches the file");
		else if (rc == -EBUSY)
			err_hint(err, "the block device is mounted, or another program has claimed it");
		return rc;
	}
	if (fstat(b->fd, &st) == 0 && has_type(b, &st))
		return 0;
	close(b->fd);
	b->fd = -1;
	return wrong_type(b, st.st_mode, err);
}

/* -EEXIST without an error text: another process created it meanwhile. */
static int file_create(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	if (opts->size == 0)
		return backing_size_missing(b->path, "does not exist yet", err);
	b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (b->fd >= 0) {
		b->undo = BACKING_UNDO_CREATE;
		return 0;
	}
	return errno == EEXIST ? -EEXIST : backing_open_failed(b, -errno, err);
}

/* Opens what mem-path names, as QEMU does. */
int backing_find(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	struct stat st;
	int rc = -EEXIST;

	for (int i = 0; rc == -EEXIST && i < OPEN_TRIES; i++) {
		if (stat(b->path, &st)) {
			if (errno != ENOENT || opts->readonly)
				return backing_open_failed(b, -errno, err);
			rc = file_create(b, opts, err);
			continue;
		}
		b->is_block = S_ISBLK(st.st_mode);
		b->is_dax = S_ISCHR(st.st_mode) && backing_is_dax(st.st_rdev);
		if (S_ISDIR(st.st_mode))
			return scratch_open(b, opts, err);
		if (!has_type(b, &st))
			return wrong_type(b, st.st_mode, err);
		rc = b->is_dax ? check_dax(b, opts, err) : 0;
		if (rc)
			return rc;
		return existing_open(b, opts, err);
	}
	if (rc == -EEXIST) {
		backing_open_failed(b, rc, err);
		err_hint(err, "it may be a symbolic link to nothing");
	}
	return rc;
}
