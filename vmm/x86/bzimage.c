// SPDX-License-Identifier: Apache-2.0
/*
 * bzimage.c - the 64-bit Linux boot protocol (Documentation/x86/boot.rst): a bzImage, as distributions ship it.
 *
 * The file is real-mode code, which is skipped, and behind it the protected-mode kernel: a decompressor that is
 * entered 512 bytes from its start in 64-bit mode, with the "zero page" (struct boot_params) in RSI.
 */
#include <asm/bootparam.h>
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "boot_image.h"
#include "e820.h"
#include "memory_map.h"

#define BOOT_FLAG 0xaa55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define HEADER_OFF offsetof(struct boot_params, hdr)
#define HEADER_JUMP_OFF 0x201u /* the header ends at the next byte plus the value of this one */
#define HEADER_END_MIN (HEADER_OFF + offsetof(struct setup_header, handover_offset))
#define HEADER_END_MAX offsetof(struct boot_params, edd_mbr_sig_buffer)
#define VERSION_MIN 0x020cu /* xloadflags */
#define SECTOR_SIZE 512u
#define SYSSIZE_UNIT 16u
#define ENTRY64_OFF 0x200u
#define LOADER_UNDEFINED 0xffu
#define VIDEO_MODE_NORMAL 0xffffu

static_assert(HEADER_OFF == 0x1f1 && HEADER_END_MAX == 0x290, "as the boot protocol has it");
static_assert(sizeof(struct boot_params) == 4096, "the zero page is a page");

/* Copies the setup header of the file into an otherwise empty zero page. */
static void read_header(const struct boot *boot, struct boot_params *params)
{
	size_t end = HEADER_JUMP_OFF + 1u + boot->head[HEADER_JUMP_OFF];

	if (end > HEADER_END_MAX)
		end = HEADER_END_MAX;
	if (end < HEADER_END_MIN)
		end = HEADER_END_MIN;
	memset(params, 0, sizeof(*params));
	memcpy((uint8_t *)params + HEADER_OFF, boot->head + HEADER_OFF, end - HEADER_OFF);
}

static bool probe(const struct boot *boot)
{
	struct boot_params params;

	read_header(boot, &params);
	return params.hdr.boot_flag == BOOT_FLAG && params.hdr.header == HEADER_MAGIC;
}

/* Checks whether this kernel can be started by the 64-bit protocol. */
static int check_features(struct boot *boot, const struct setup_header *hdr)
{
	if (hdr->version < VERSION_MIN)
		return boot_refuse(boot, "boot protocol %u.%02u is too old, 2.12 (Linux 3.8) is needed",
		                   hdr->version >> 8, hdr->version & 0xffu);
	if (!(hdr->loadflags & LOADED_HIGH))
		return boot_refuse(boot, "a zImage, which loads below 1 MiB; a bzImage is needed");
	if (!(hdr->xloadflags & XLF_KERNEL_64))
		return boot_refuse(boot, "a 32-bit kernel (no XLF_KERNEL_64); an x86-64 one is needed");
	if (!hdr->relocatable_kernel)
		return boot_refuse(boot, "not relocatable (CONFIG_RELOCATABLE)");
	return 0;
}

/* Sets the place of the protected-mode kernel in the file and in guest memory. */
static int place(struct boot *boot, const struct setup_header *hdr, uint64_t *off, uint64_t *len)
{
	uint64_t align = hdr->kernel_alignment, pref = hdr->pref_address;
	uint64_t nsectors = hdr->setup_sects ? hdr->setup_sects : 4; /* 0 means 4 */

	*off = (nsectors + 1) * SECTOR_SIZE;
	*len = (uint64_t)hdr->syssize * SYSSIZE_UNIT;
	if (!boot_file_has(&boot->kernel, *off, *len))
		return boot_refuse(boot, "the file is truncated: its header says %llu bytes, and it has %llu",
		                   (unsigned long long)(*off + *len), (unsigned long long)boot->kernel.size);
	if (*len <= ENTRY64_OFF)
		return boot_refuse(boot, "invalid kernel header: syssize 0x%x", hdr->syssize);
	if (align < 4096 || align > GIB || (align & (align - 1)) != 0)
		return boot_refuse(boot, "invalid kernel header: kernel_alignment 0x%llx", (unsigned long long)align);
	if (hdr->init_size < *len)
		return boot_refuse(boot, "invalid kernel header: init_size 0x%x", hdr->init_size);
	if (pref < HIMEM_GPA)
		pref = HIMEM_GPA;
	if (pref > RAM_LOW_MAX)
		return boot_refuse(boot, "invalid kernel header: pref_address 0x%llx", (unsigned long long)pref);
	/* The decompressor never works below pref_address: loaded there, all memory that it needs is contiguous. */
	boot->kernel_gpa = (pref + align - 1) & ~(align - 1);
	boot->kernel_end = boot->kernel_gpa + hdr->init_size;
	if (boot->kernel_end > boot->low_end)
		return boot_refuse_size(boot, boot->kernel_end);
	return 0;
}

static int load(struct boot *boot)
{
	struct boot_params params;
	uint64_t off = 0, len = 0;
	int rc;

	read_header(boot, &params);
	rc = check_features(boot, &params.hdr);
	if (rc == 0)
		rc = place(boot, &params.hdr, &off, &len);
	if (rc < 0)
		return rc;
	boot->entry_gpa = boot->kernel_gpa + ENTRY64_OFF;
	boot->initrd_end_max = (uint64_t)params.hdr.initrd_addr_max + 1;
	boot->cmdline_len_max = params.hdr.cmdline_size;
	return boot_copy(boot, off, boot->kernel_gpa, len);
}

static void put_e820(struct boot_params *params, uint64_t ram_size)
{
	struct e820_entry map[E820_MAX];
	unsigned n = e820_build(ram_size, map);

	for (unsigned i = 0; i < n; i++)
		params->e820_table[i] = (struct boot_e820_entry) {
			.addr = map[i].gpa,
			.size = map[i].size,
			.type = (uint32_t)map[i].type,
		};
	params->e820_entries = (uint8_t)n;
}

static int handover(struct boot *boot, struct boot_entry *entry)
{
	struct boot_params params;

	read_header(boot, &params);
	params.hdr.type_of_loader = LOADER_UNDEFINED;
	params.hdr.vid_mode = VIDEO_MODE_NORMAL;
	params.hdr.cmd_line_ptr = (uint32_t)BOOT_CMDLINE_GPA;
	params.hdr.ramdisk_image = (uint32_t)boot->initrd_gpa;
	params.hdr.ramdisk_size = (uint32_t)boot->initrd_size;
	params.hdr.setup_data = 0;
	params.acpi_rsdp_addr = boot->src->rsdp_gpa;
	put_e820(&params, boot->src->ram_size);
	*entry = (struct boot_entry) { .mode = BOOT_LONG64, .rip = boot->entry_gpa, .rsi = BOOT_PARAMS_GPA };
	return boot_put(boot, BOOT_PARAMS_GPA, &params, sizeof(params));
}

const struct boot_protocol bzimage_protocol = {
	.probe = probe,
	.load = load,
	.handover = handover,
};
