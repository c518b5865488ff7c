// SPDX-License-Identifier: Apache-2.0
/*
 * backing.h - the parts of a memory backend:
 *
 *   backing.c            puts them together
 *   backing_check.c      options that contradict each other
 *   backing_find.c       opens or creates what mem-path names
 *   backing_file.c       the file's size
 *   backing_serve.c      the same for another process
 *   backing_import.c     a file that another process opened
 *   backing_lock.c       the file's lock
 *   backing_map.c        the mapping
 *   backing_prealloc.c   blocks for the whole file, at the start
 *   backing_usage.c      how much of it is in memory and on the disk
 *   backing_fault.c      accesses that report a page that the host cannot provide
 *   backing_room.c       whether the file system has space for a store
 *   backing_pmem.c       real persistent memory
 *   backing_extent.c, backing_call.c   where a file has blocks; system calls without SIGXFSZ
 *
 * There is one descriptor for the lock, the map and the sync: Linux keeps a writeback error per open file
 * and reports it once, so a descriptor opened later could miss what happened before.
 */
#ifndef VPMEM_BACKING_H
#define VPMEM_BACKING_H

#include "error.h"

#include <sys/mman.h>
#include <sys/types.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define BACKING_STAT_BLOCK 512 /* bytes of a st_blocks (stat(2)) */
#define BACKING_HUGE_SIZE (UINT64_C(2) << 20)
#define BACKING_GIANT_SIZE (UINT64_C(1) << 30)

/* What open did to the file system. Close undoes it unless the backing was kept. */
enum backing_undo { BACKING_UNDO_NOTHING, BACKING_UNDO_CREATE, BACKING_UNDO_GROW };

/* What the kernel reports about persistent memory below a file. The values are in struct vpmem_file. */
enum backing_domain {
	BACKING_DOMAIN_NONE,    /* no persistent memory */
	BACKING_DOMAIN_UNKNOWN, /* persistent; the platform does not report more */
	BACKING_DOMAIN_MEMORY,  /* data in the memory controller survives (ADR) */
	BACKING_DOMAIN_CACHE,   /* data in a CPU cache also survives (eADR) */
};

/* `kind` and `flags` of struct vpmem_file. */
enum backing_kind { BACKING_REGULAR, BACKING_SCRATCH, BACKING_BLOCK, BACKING_DAX };
#define BACKING_FILE_HUGE 1u
#define BACKING_FILE_UNLOCKED 2u

struct vpmem_backing {
	char *id, *path;
	struct vpmem_file_ops files; /* with open NULL: this process opens and removes */
	int user_pid;                /* the other process that the file is opened for, or 0 */
	int fd;
	bool is_block;       /* block device */
	bool is_dax;         /* persistent memory as a character device; with neither: a regular file */
	bool is_huge;        /* on hugetlbfs */
	bool is_unlocked;    /* its file system has no locks */
	bool is_scratch;     /* has no name: gone with its descriptor */
	bool writes_through; /* stores reach the file: share=on, readonly=off */
	bool no_sync;        /* real persistent memory: a flush has nothing to do */
	bool rom;            /* mapped without write permission */
	bool discard;        /* drop the data at close */
	enum backing_undo undo;
	enum backing_domain domain; /* with pmem */
	_Atomic bool kept;          /* in use for good, or a sync was acknowledged: nothing is undone */
	uint64_t page_size;         /* unit of the mapping: the host's page, hugetlbfs's, or /dev/daxX.Y's */
	uint64_t offset, size;      /* bytes of the file that are mapped */
	uint64_t map_len;           /* size, rounded up to page_size */
	uint64_t align;             /* of the guest-physical address */
	void *hva;
	void *room; /* the reserved address range: the mapping at hva, and guards around it */
	uint64_t room_len;
};

static inline uint64_t round_up(uint64_t val, uint64_t unit)
{
	return (val + unit - 1) / unit * unit;
}

/* A backing of these options, with nothing open; NULL: no memory. */
struct vpmem_backing *backing_new(const struct vpmem_backing_options *opts);
void backing_free(struct vpmem_backing *b);

/* Are the alignment and the offset multiples of this page size? Returns 0, or -EINVAL with err filled. */
int backing_check_units(const struct vpmem_backing_options *opts, uint64_t page_size, struct vpmem_error *err);

/* Opens or creates what the path names; a file created here is marked for undo. On failure fd is -1. */
int backing_find(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err);
/* The two texts that more than one place needs. Return rc, and -EINVAL. */
int backing_open_failed(const struct vpmem_backing *b, int rc, struct vpmem_error *err);
int backing_size_missing(const char *path, const char *what, struct vpmem_error *err);

/* Opens (or creates) and locks the file, and settles its size. On failure nothing is left open or behind. */
int backing_file_open(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err);
/* Undoes what open did, if no other process uses the file, and closes it. */
void backing_file_close(struct vpmem_backing *b);
/* Removes the name, if it is still that of the open file. Returns 0 or -errno. */
int backing_remove_name(const char *path, int fd);

/* As backing_file_open, through b->files. What they return is checked. */
int backing_import(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err);

enum backing_lock { BACKING_LOCK_SHARED, BACKING_LOCK_EXCLUSIVE };

/*
 * Locks the whole file for this open file, or changes the lock; never waits. -EBUSY: another open file has it,
 * and err names its process. A file system without locks is no error; it sets b->is_unlocked.
 */
int backing_lock(struct vpmem_backing *b, enum backing_lock kind, struct vpmem_error *err);
/* Fills err for a file that is in use; returns -EBUSY. */
int backing_busy(const struct vpmem_backing *b, struct vpmem_error *err);

/* Is the character device persistent memory, or other memory of its kind (/dev/daxX.Y)? */
bool backing_is_dax(dev_t rdev);
/* Size and alignment of the open /dev/daxX.Y. Return 0 or -errno. */
int backing_dax_size(const struct vpmem_backing *b, uint64_t *size);
int backing_dax_align(const struct vpmem_backing *b, uint64_t *align);
/* What sysfs shows about the file's device. */
enum backing_domain backing_find_domain(const struct vpmem_backing *b);
/* For pmem=on, mapped: decides whether a flush needs a sync, and makes durable what the file has. */
int backing_pmem_settle(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err);
/* fdatasync, also with no_sync. Returns 0 or -errno. */
int backing_sync_file(const struct vpmem_backing *b);

/*
 * fallocate(2), again after EINTR, and ftruncate(2). Return 0 or -errno; -EFBIG comes without SIGXFSZ, whatever the
 * process does with that signal.
 */
int backing_fallocate(const struct vpmem_backing *b, int mode, off_t off, off_t len);
int backing_ftruncate(const struct vpmem_backing *b, off_t size);
/* The next step after -EFBIG for a file of this size. */
void backing_hint_too_large(uint64_t size, struct vpmem_error *err);

/* Reserves what stores to the mapped part of the file, or to the private copy, will need. On failure err is filled. */
int backing_prealloc(const struct vpmem_backing *b, struct vpmem_error *err);

/* Maps the file and applies the memory properties; backing_unmap undoes it. */
int backing_map(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err);
void backing_unmap(struct vpmem_backing *b);

#endif
