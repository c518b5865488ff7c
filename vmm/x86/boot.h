// SPDX-License-Identifier: Apache-2.0
/*
 * boot.h - puts a kernel, its command line and its initrd into guest memory and determines the initial state of vCPU 0.
 *
 * Two protocols: a bzImage by the 64-bit boot protocol (protocol 2.12 or later, relocatable, with the
 * XLF_KERNEL_64 flag), and an uncompressed ELF vmlinux by PVH (the ELF note XEN_ELFNOTE_PHYS32_ENTRY).
 * The files are the user's and may be anything; nothing read from them is used unchecked.
 */
#ifndef PMVM_BOOT_H
#define PMVM_BOOT_H

#include "gmem.h"

#include <stdint.h>
#include <vpmem.h>

struct boot_source {
	const char *kernel_path, *initrd_path; /* for messages; initrd_path NULL: none */
	int kernel_fd, initrd_fd;              /* borrowed; read with pread, so that a reset can read again */
	const char *cmdline;                   /* "" if none */
	const struct gmem *gmem;
	uint64_t ram_size; /* bytes; split at RAM_LOW_MAX */
	uint64_t rsdp_gpa;
};

enum boot_mode { BOOT_LONG64, BOOT_PROT32 };

struct boot_entry {
	enum boot_mode mode;
	uint64_t rip;
	uint64_t rsi; /* LONG64: the zero page */
	uint64_t rbx; /* PROT32: hvm_start_info */
};

/*
 * Loads everything into guest memory. Errors name the file, what is wrong with it, and the next step:
 * not a kernel, compressed or too old, too large for the RAM, an initrd that does not fit, a command line
 * that is too long.
 */
int boot_load(const struct boot_source *src, struct boot_entry *entry, struct vpmem_error *err);

#endif
