// SPDX-License-Identifier: Apache-2.0
/*
 * backing_serve.c - opens and removes the file of a backing for another process, which is not trusted: its request may
 * be any numbers and strings.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define REQUEST_FLAGS (VPMEM_FILE_SHARE | VPMEM_FILE_READONLY | VPMEM_FILE_PMEM)

/* Both are sent from process to process. */
_Static_assert(sizeof(struct vpmem_file_request) == 32, "no padding");
_Static_assert(sizeof(struct vpmem_file) == 40, "no padding");

static enum backing_kind kind_of(const struct vpmem_backing *b)
{
	if (b->is_block)
		return BACKING_BLOCK;
	if (b->is_dax)
		return BACKING_DAX;
	return b->is_scratch ? BACKING_SCRATCH : BACKING_REGULAR;
}

static struct vpmem_file export(const struct vpmem_backing *b)
{
	return (struct vpmem_file) {
		.fd = b->fd,
		.kind = kind_of(b),
		.flags = (b->is_huge ? BACKING_FILE_HUGE : 0) | (b->is_unlocked ? BACKING_FILE_UNLOCKED : 0),
		.undo = b->undo,
		.domain = b->domain,
		.page_size = b->page_size,
		.size = b->size,
	};
}

int vpmem_file_open(const struct vpmem_file_request *request, const char *id, const char *path, int user_pid,
                    struct vpmem_file *file, struct vpmem_error *err)
{
	struct vpmem_backing_options opts = VPMEM_BACKING_OPTIONS_INIT;
	struct vpmem_backing *b;
	int rc;

	opts.id = id;
	opts.path = path;
	opts.size = request->size;
	opts.offset = request->offset;
	opts.align = request->align;
	opts.share = request->flags & VPMEM_FILE_SHARE;
	opts.readonly = request->flags & VPMEM_FILE_READONLY;
	opts.pmem = request->flags & VPMEM_FILE_PMEM;
	rc = vpmem_backing_check(&opts, err);
	if (rc)
		return rc;
	if (request->flags & ~REQUEST_FLAGS || request->reserved)
		return err_fail(err, -EINVAL, "can't open backing store %s for guest RAM: %m", path);
	b = backing_new(&opts);
	if (!b)
		return err_fail(err, -ENOMEM, "can't open backing store %s for guest RAM: %m", path);
	b->user_pid = user_pid;
	rc = backing_file_open(b, &opts, err);
	if (rc == 0)
		*file = export(b);
	backing_free(b);
	return rc;
}

bool vpmem_file_is_created(const struct vpmem_file *file)
{
	return file->undo == BACKING_UNDO_CREATE;
}

int vpmem_file_remove(const char *path, int fd)
{
	struct vpmem_backing b = { .fd = fd };
	struct stat st;
	int flags, rc;

	if (fstat(fd, &st))
		return -errno;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	/* A file that was created has been opened for writing. The content of such a file the caller can destroy anyway. */
	if (!S_ISREG(st.st_mode) || (flags & (O_ACCMODE | O_PATH)) != O_RDWR)
		return -EINVAL;
	rc = backing_lock(&b, BACKING_LOCK_EXCLUSIVE, NULL);
	return rc ? rc : backing_remove_name(path, fd);
}
