// SPDX-License-Identifier: Apache-2.0
/*
 * backing.c - a memory backend: one file, opened, locked and mapped once, and synced through the same
 * descriptor.
 */
#include "backing.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void backing_free(struct vpmem_backing *b)
{
	free(b->id);
	free(b->path);
	free(b);
}

struct vpmem_backing *backing_new(const struct vpmem_backing_options *opts)
{
	struct vpmem_backing *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->id = strdup(opts->id ? opts->id : opts->path);
	b->path = strdup(opts->path);
	if (!b->id || !b->path) {
		backing_free(b);
		return NULL;
	}
	b->fd = -1;
	if (opts->files)
		b->files = *opts->files;
	b->writes_through = opts->share && !opts->readonly;
	/* auto: a file opened read-only has always been ROM. */
	b->rom = opts->readonly && opts->rom != VPMEM_ROM_OFF;
	b->discard = opts->discard_data && b->writes_through;
	return b;
}

int vpmem_backing_open(const struct vpmem_backing_options *opts, struct vpmem_backing **out, struct vpmem_error *err)
{
	struct vpmem_backing *b;
	int rc = vpmem_backing_check(opts, err);

	if (rc)
		return rc;
	b = backing_new(opts);
	if (!b)
		return err_fail(err, -ENOMEM, "can't open backing store %s for guest RAM: %m", opts->path);
	rc = b->files.open ? backing_import(b, opts, err) : backing_file_open(b, opts, err);
	if (rc)
		goto out_free;
	rc = backing_map(b, opts, err);
	if (rc)
		goto out_file;
	rc = opts->pmem ? backing_pmem_settle(b, opts, err) : 0;
	if (rc)
		goto out_map;
	*out = b;
	return 0;

out_map:
	backing_unmap(b);
out_file:
	backing_file_close(b);
out_free:
	backing_free(b);
	return rc;
}

void vpmem_backing_keep(struct vpmem_backing *backing)
{
	backing->kept = true;
}

int backing_sync_file(const struct vpmem_backing *b)
{
	while (fdatasync(b->fd)) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int vpmem_backing_sync(struct vpmem_backing *backing)
{
	if (!backing->writes_through)
		return 0;
	/*
	 * Persistent memory whose stores are durable once they are visible, or were written back by the
	 * guest before it made the request visible. A fence here would order the stores of this processor,
	 * not the guest's.
	 */
	if (!backing->no_sync) {
		int rc = backing_sync_file(backing);

		if (rc)
			return rc;
	}
	/* What was acknowledged is not undone. */
	atomic_store_explicit(&backing->kept, true, memory_order_relaxed);
	return 0;
}

/* The last sync, unless the data is discarded. A start that failed discards nothing. */
static int sync_last(struct vpmem_backing *b)
{
	if (b->undo != BACKING_UNDO_NOTHING || b->is_scratch)
		return 0;
	if (b->discard && b->kept && madvise(b->hva, b->map_len, MADV_REMOVE) == 0)
		return 0;
	if (b->is_dax || !b->writes_through)
		return 0;
	return backing_sync_file(b);
}

int vpmem_backing_close(struct vpmem_backing *backing)
{
	int rc;

	if (!backing)
		return 0;
	if (backing->kept)
		backing->undo = BACKING_UNDO_NOTHING;
	rc = sync_last(backing);
	backing_unmap(backing);
	backing_file_close(backing);
	backing_free(backing);
	return rc;
}

void *vpmem_backing_hva(const struct vpmem_backing *backing)
{
	return backing->hva;
}

uint64_t vpmem_backing_size(const struct vpmem_backing *backing)
{
	return backing->size;
}

bool vpmem_backing_is_rom(const struct vpmem_backing *backing)
{
	return backing->rom;
}

const char *vpmem_backing_id(const struct vpmem_backing *backing)
{
	return backing->id;
}

const char *vpmem_backing_path(const struct vpmem_backing *backing)
{
	return backing->path;
}

const char *vpmem_backing_warning(const struct vpmem_backing *backing)
{
	return backing->is_unlocked ? "its file system has no locks: a second user of the file is not refused" : NULL;
}

int vpmem_backing_fd(const struct vpmem_backing *backing, uint64_t *off)
{
	*off = backing->offset;
	return backing->writes_through ? backing->fd : -1;
}

uint64_t vpmem_backing_align(const struct vpmem_backing *backing)
{
	return backing->align;
}
