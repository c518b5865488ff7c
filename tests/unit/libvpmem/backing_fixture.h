// SPDX-License-Identifier: Apache-2.0
/*
 * backing_fixture.h - a directory of its own for each test of the memory backend, and system calls that
 * can be made to fail or lie: the linker wraps them (meson.build has the list).
 */
#ifndef TEST_BACKING_FIXTURE_H
#define TEST_BACKING_FIXTURE_H

#include <vpmem.h>

#define MIB (UINT64_C(1) << 20)

struct dir {
	char path[200];
	char file[256]; /* a name in it: nothing is there at first */
};

/* cmocka set-up and tear-down; *state is a struct dir. All faults are off. */
int dir_setup(void **state);
int dir_teardown(void **state);

/* A file of this size, filled with a pattern from the byte on. */
void file_make(const char *path, uint64_t size, unsigned char first);
uint64_t file_size(const char *path);
bool file_exists(const char *path);
unsigned char file_byte(const char *path, uint64_t off);
unsigned files_in(const char *dir);

/* Options for d->file: share=on, this size. */
struct vpmem_backing_options options(const struct dir *d, uint64_t size);
/* Opens, or fails the test with the error's text. */
struct vpmem_backing *must_open(const struct vpmem_backing_options *opts);
/* Must be refused with this code and exactly this text, "%s" standing for the path; and a hint that holds `hint`. */
void must_refuse(const struct vpmem_backing_options *opts, int rc, const char *text, const char *hint);

/* Can the byte be written? Asked of the kernel, so that a "no" is not the end of the test. */
bool writable(void *hva);
/* The flags of the mapping at hva as /proc/self/smaps shows them: does it have this one? */
bool has_vm_flag(const void *hva, const char *flag);

/* What FS_IOC_FIEMAP shows of a file. */
enum fake_blocks {
	BLOCKS_REAL,
	BLOCKS_OWN,     /* it has all of them */
	BLOCKS_SHARED,  /* another file has them as well, until fallocate(FALLOC_FL_UNSHARE_RANGE) */
	BLOCKS_UNKNOWN, /* nothing: EOPNOTSUPP */
	BLOCKS_MAP,     /* what faults.map says */
};

/* Faults and counters of the wrapped calls. */
struct faults {
	int fdatasync_error;      /* errno, or 0 */
	unsigned fdatasync_eintr; /* fail so often with EINTR first */
	int fallocate_error;
	int64_t fallocate_good; /* no error for what ends here or before */
	enum fake_blocks blocks;
	int unshare_error; /* of fallocate(FALLOC_FL_UNSHARE_RANGE) */
	bool unshares_not; /* it succeeds and does nothing */
	int64_t unshared;  /* bytes that it was asked for */
	/*
	 * With BLOCKS_MAP: a character for each unit of the file, which is 'o' (a block of its own), 's' (shared) or 'h' (a
	 * hole). fallocate changes it. As on xfs, it fails with ENOSPC if free_bytes is less than the length that it is
	 * asked for, whatever is there already.
	 */
	char *map;
	int64_t map_unit;
	int64_t stored_meanwhile; /* before fallocate, the guest stores to so many bytes of that place: they are its own */
	unsigned nmaps;           /* calls of FIEMAP */
	int read_error;           /* of pread */
	int populate_error;       /* of madvise(MADV_POPULATE_WRITE) */
	int process_vm_error;     /* of process_vm_readv and _writev */
	uint32_t fs_type;         /* what fstatfs says; 0: the truth */
	bool is_nocow;            /* with fs_type: chattr +C */
	uint32_t block_size;      /* st_blksize of files, and f_bsize with fs_type; 0: the truth */
	bool allocates_not;       /* fallocate succeeds and does nothing */
	unsigned fallocate_eintr, pread_eintr, populate_eintr; /* fail so often with EINTR first */
	int fstatfs_error, getflags_error;
	const char *no_file; /* fopen and opendir of paths that begin so fail */
	long clock_step;     /* seconds that pass between two readings of the clock */
	bool free_known;     /* the file system has this much room, or says nothing about it */
	uint64_t free_bytes;
	bool no_blocks_counted;
	int open_error;                /* of opening a file that is there for writing */
	bool no_tmpfile;               /* open(O_TMPFILE) is not supported */
	const char *unlink_after_open; /* this file is removed just after it was opened */
	bool (*fails)(void);           /* called before each wrapped call: true: it fails with EIO */
	int map_error;                 /* of mapping a file */
	bool map_sync;                 /* the files are on a DAX file system (backing_fake_dax.c) */
	bool is_char;                  /* regular files are character devices 250:3 */
	const char *sysfs_dev;         /* stands for all of /sys/dev */
	char sysfs_asked[64];          /* what was opened there last */
	unsigned nmap_syncs;
	unsigned nfdatasyncs, nfsyncs, nfallocates, npopulates;
	int synced_fd;
};
extern struct faults faults;

/* Whether a call is to fail with EINTR, which errno is then; counts down. */
bool fake_eintr(unsigned *left);
/* fallocate with BLOCKS_MAP. */
int fake_fallocate(int mode, int64_t off, int64_t len);

#endif
