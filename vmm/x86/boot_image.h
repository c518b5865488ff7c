// SPDX-License-Identifier: Apache-2.0
/*
 * boot_image.h - shared by boot.c and the boot protocols (bzimage.c, pvh.c); no other file includes it.
 *
 * A load goes through three steps: the protocol puts the kernel into memory (load), boot.c puts initrd and
 * command line where the kernel allows it, and the protocol writes down where everything is (handover).
 */
#ifndef PMVM_BOOT_IMAGE_H
#define PMVM_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "boot.h"

#define BOOT_HEAD_SIZE 4096 /* bytes from the start of the kernel that identify its type */

struct boot_file {
	const char *path;
	int fd;
	uint64_t size;
};

struct boot {
	const struct boot_source *src;
	struct vpmem_error *err;
	struct boot_file kernel;
	uint8_t head[BOOT_HEAD_SIZE]; /* zero beyond the file's end */
	uint64_t low_end;             /* end of the RAM below 4 GiB */

	/* Set by load: what the kernel occupies until it knows its memory map, and its limits. */
	uint64_t kernel_gpa, kernel_end;
	uint64_t entry_gpa;
	uint64_t initrd_end_max;
	uint64_t cmdline_len_max; /* without the final 0 */

	/* Set by boot.c between load and handover. */
	uint64_t initrd_gpa, initrd_size; /* 0, 0: none */
};

struct boot_protocol {
	bool (*probe)(const struct boot *boot);
	int (*load)(struct boot *boot);
	int (*handover)(struct boot *boot, struct boot_entry *entry);
};

extern const struct boot_protocol bzimage_protocol;
extern const struct boot_protocol pvh_protocol;

/* Reads exactly [off, off + len). -EIO if the file has become shorter. */
int boot_file_read(const struct boot_file *file, uint64_t off, void *buf, uint64_t len);

/* Whether [off, off + len) lies in the file. */
bool boot_file_has(const struct boot_file *file, uint64_t off, uint64_t len);

/* Copies [off, off + len) of the kernel to gpa. The caller has checked both sides; reading may still fail. */
int boot_copy(struct boot *boot, uint64_t off, uint64_t gpa, uint64_t len);

/* Writes data of this program to guest memory. -EFAULT if there is no RAM at that address. */
int boot_put(struct boot *boot, uint64_t gpa, const void *buf, size_t len);

/* Fails the load: "could not load kernel '<path>': ..." and -ENOEXEC. */
int boot_refuse(struct boot *boot, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Fails the load because the kernel needs RAM up to `end`. */
int boot_refuse_size(struct boot *boot, uint64_t end);

#endif
