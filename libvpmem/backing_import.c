// SPDX-License-Identifier: Apache-2.0
/*
 * backing_import.c - gets the file of a backing from another process. Its answer comes over a process border: what the
 * descriptor itself can show is compared with it, and the rest is checked for its range.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE_MAX (UINT64_C(1) << 40)
#define FILE_SIZE_MAX ((uint64_t)INT64_MAX / 2)
#define ERRNO_MAX 4095

static struct vpmem_file_request make_request(const struct vpmem_backing_options *opts)
{
	return (struct vpmem_file_request) {
		.size = opts->size,
		.offset = opts->offset,
		.align = opts->align,
		.flags = (opts->share ? VPMEM_FILE_SHARE : 0) | (opts->readonly ? VPMEM_FILE_READONLY : 0) |
		         (opts->pmem ? VPMEM_FILE_PMEM : 0),
	};
}

/* Is it a descriptor of a file of the kind that is claimed, open for what the options need? */
static bool check_fd(const struct vpmem_file *file, const struct vpmem_backing_options *opts, struct stat *st)
{
	static const mode_t types[] = {
		[BACKING_REGULAR] = S_IFREG,
		[BACKING_SCRATCH] = S_IFREG,
		[BACKING_BLOCK] = S_IFBLK,
		[BACKING_DAX] = S_IFCHR,
	};
	int flags = fcntl(file->fd, F_GETFL);

	return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == (opts->readonly ? O_RDONLY : O_RDWR) &&
	       fstat(file->fd, st) == 0 && file->kind <= BACKING_DAX && (st->st_mode & S_IFMT) == types[file->kind];
}

static bool is_on_disk(const struct vpmem_file *file)
{
	return file->kind == BACKING_REGULAR || file->kind == BACKING_SCRATCH;
}

static bool check_page_size(const struct vpmem_file *file, const struct vpmem_backing_options *opts)
{
	uint64_t least = (uint64_t)sysconf(_SC_PAGESIZE), size = file->page_size;

	if (file->kind != BACKING_DAX && !(file->flags & BACKING_FILE_HUGE) && size != least)
		return false;
	return size >= least && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0 &&
	       backing_check_units(opts, size, NULL) == 0;
}

/* Takes a page size that was checked. The size of a device is believed. */
static bool check_size(const struct vpmem_file *file, const struct vpmem_backing_options *opts, const struct stat *st)
{
	if (file->size == 0 || file->size > FILE_SIZE_MAX || opts->size > FILE_SIZE_MAX || opts->offset > FILE_SIZE_MAX)
		return false;
	if (opts->size && file->size != round_up(opts->size, file->page_size))
		return false;
	return !is_on_disk(file) || opts->offset + file->size <= (uint64_t)st->st_size;
}

/* Only a new or empty file is undone, and it has exactly the size that it was given. */
static bool check_undo(const struct vpmem_file *file, const struct vpmem_backing_options *opts, const struct stat *st)
{
	if (file->undo == BACKING_UNDO_NOTHING)
		return true;
	return file->undo <= BACKING_UNDO_GROW && is_on_disk(file) && !opts->readonly && opts->size != 0 &&
	       opts->offset + file->size == (uint64_t)st->st_size;
}

/* What of the answer cannot be true; NULL: nothing. */
static const char *find_lie(const struct vpmem_file *file, const struct vpmem_backing_options *opts)
{
	struct stat st;

	if (!check_fd(file, opts, &st))
		return "descriptor";
	if (file->flags & ~(BACKING_FILE_HUGE | BACKING_FILE_UNLOCKED) ||
	    ((file->flags & BACKING_FILE_HUGE) && !is_on_disk(file)))
		return "flags";
	if (!check_page_size(file, opts))
		return "page size";
	if (!check_size(file, opts, &st))
		return "size";
	if (!check_undo(file, opts, &st))
		return "undo";
	return file->domain > BACKING_DOMAIN_CACHE ? "persistence domain" : NULL;
}

static void import(struct vpmem_backing *b, const struct vpmem_backing_options *opts, const struct vpmem_file *file)
{
	b->fd = file->fd;
	b->is_block = file->kind == BACKING_BLOCK;
	b->is_dax = file->kind == BACKING_DAX;
	b->is_scratch = file->kind == BACKING_SCRATCH;
	b->is_huge = file->flags & BACKING_FILE_HUGE;
	b->is_unlocked = file->flags & BACKING_FILE_UNLOCKED;
	b->undo = (enum backing_undo)file->undo;
	b->domain = (enum backing_domain)file->domain;
	b->page_size = file->page_size;
	b->offset = opts->offset;
	b->size = file->size;
}

/* The other process refused, with a text of its own. */
static int refused(const struct vpmem_backing *b, int rc, struct vpmem_error *err)
{
	if (rc > 0 || rc < -ERRNO_MAX)
		rc = -EPROTO;
	err->text[sizeof(err->text) - 1] = err->hint[sizeof(err->hint) - 1] = '\0';
	return err->text[0] ? rc : backing_open_failed(b, rc, err);
}

int backing_import(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	struct vpmem_file_request request = make_request(opts);
	struct vpmem_error answer = { .text = "" };
	struct vpmem_file file = { .fd = -1 };
	const char *lie;
	int rc = b->files.open(b->files.opaque, &request, b->id, b->path, &file, &answer);

	if (rc) {
		rc = refused(b, rc, &answer);
		if (err)
			*err = answer;
		return rc;
	}
	lie = find_lie(&file, opts);
	if (!lie) {
		import(b, opts, &file);
		return 0;
	}
	if (file.fd >= 0)
		close(file.fd);
	backing_open_failed(b, -EPROTO, err);
	err_hint(err, "the process that opens files gave an answer that cannot be true: its %s", lie);
	return -EPROTO;
}
