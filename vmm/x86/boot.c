// SPDX-License-Identifier: Apache-2.0
/*
 * boot.c - loads kernel, initrd and command line: the common part of the boot protocols.
 */
#include "boot.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acpi_pm.h"
#include "boot_image.h"
#include "error.h"
#include "memory_map.h"

/* The BIOS data area. Linux reads the address of the EBDA there; a guest may have overwritten it before a reboot. */
#define BIOS_DATA_GPA UINT64_C(0x400)
#define BIOS_DATA_SIZE 0x100u

#define PAGE_SIZE UINT64_C(4096)

static const struct boot_protocol *const protocols[] = { &bzimage_protocol, &pvh_protocol };

bool boot_file_has(const struct boot_file *file, uint64_t off, uint64_t len)
{
	return off <= file->size && len <= file->size - off;
}

int boot_file_read(const struct boot_file *file, uint64_t off, void *buf, uint64_t len)
{
	uint8_t *to = buf;

	while (len > 0) {
		ssize_t n = pread(file->fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		to += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int file_size(struct boot_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	file->size = (uint64_t)st.st_size;
	return 0;
}

int boot_refuse(struct boot *boot, const char *fmt, ...)
{
	char why[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	error_set(boot->err, -ENOEXEC, "could not load kernel '%s': %s", boot->kernel.path, why);
	error_hint(boot->err,
	           "it takes a whole x86-64 kernel: a bzImage (a distribution's /boot/vmlinuz-VERSION) or a vmlinux");
	return -ENOEXEC;
}

int boot_refuse_size(struct boot *boot, uint64_t end)
{
	uint64_t needed_mib = (end - 1) / MIB + 1;

	boot_refuse(boot, "it needs %llu MiB of RAM%s, and there are %llu MiB", (unsigned long long)needed_mib,
	            end > RAM_LOW_MAX ? " below 4 GiB" : "", (unsigned long long)(boot->low_end / MIB));
	if (end <= RAM_LOW_MAX)
		error_hint(boot->err, "give the machine more memory: -m %lluM or more; an initrd comes on top",
		           (unsigned long long)needed_mib);
	return -ENOEXEC;
}

int boot_copy(struct boot *boot, uint64_t off, uint64_t gpa, uint64_t len)
{
	void *hva = gmem_hva(boot->src->gmem, gpa, len);
	int rc = hva ? boot_file_read(&boot->kernel, off, hva, len) : -EFAULT;

	if (rc < 0)
		error_set(boot->err, rc, "could not load kernel '%s': %s", boot->kernel.path, strerror(-rc));
	return rc;
}

int boot_put(struct boot *boot, uint64_t gpa, const void *buf, size_t len)
{
	void *hva = gmem_hva(boot->src->gmem, gpa, len);

	if (!hva)
		return error_set(boot->err, -EFAULT, "could not load kernel '%s': no RAM at 0x%llx", boot->kernel.path,
		                 (unsigned long long)gpa);
	memcpy(hva, buf, len);
	return 0;
}

/* File types that are not an x86 kernel, recognised by their first bytes. */
struct file_kind {
	unsigned off, len;
	const char *magic;
	const char *text;
	const char *hint;
};

#define UNPACK "unpack it first, for instance with "

static const struct file_kind file_kinds[] = {
	{ 0, 2, "\x1f\x8b", "a gzip file", UNPACK "gunzip" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "an xz file", UNPACK "unxz" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "a zstd file", UNPACK "unzstd" },
	{ 0, 4, "\x04\x22\x4d\x18", "an lz4 file", UNPACK "unlz4" },
	{ 0, 3, "BZh", "a bzip2 file", UNPACK "bunzip2" },
	{ 56, 4, "ARM\x64", "a kernel for arm64", "this machine is an x86-64 one" },
	{ 56, 4, "RSC\x05", "a kernel for RISC-V", "this machine is an x86-64 one" },
	{ 0x24, 4, "\x18\x28\x6f\x01", "a kernel for 32-bit ARM", "this machine is an x86-64 one" },
	{ 4, 4, "zimg", "a compressed EFI kernel of another architecture", "this machine is an x86-64 one" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image", "this machine is an x86-64 one" },
	{ 0, 2, "MZ", "an EFI program",
	  "for a unified kernel image: objcopy -O binary --only-section=.linux FILE VMLINUZ" },
	{ 0, 6, "070701", "a cpio archive", "is it the initrd? -kernel takes the kernel, -initrd the initrd" },
};

static int refuse_kind(struct boot *boot)
{
	for (size_t i = 0; i < sizeof(file_kinds) / sizeof(file_kinds[0]); i++) {
		const struct file_kind *kind = &file_kinds[i];

		if (memcmp(boot->head + kind->off, kind->magic, kind->len) != 0)
			continue;
		boot_refuse(boot, "not a kernel: neither a bzImage nor an ELF vmlinux, but %s", kind->text);
		error_hint(boot->err, "%s", kind->hint);
		return -ENOEXEC;
	}
	boot_refuse(boot, boot->kernel.size ? "not a kernel: neither a bzImage nor an ELF vmlinux" :
	                                      "not a kernel: the file is empty");
	error_hint(boot->err, "a distribution's kernel is /boot/vmlinuz-VERSION");
	return -ENOEXEC;
}

static int open_kernel(struct boot *boot)
{
	uint64_t head_len;
	int rc;

	boot->kernel = (struct boot_file) { .path = boot->src->kernel_path, .fd = boot->src->kernel_fd };
	rc = file_size(&boot->kernel);
	if (rc == -EINVAL)
		return boot_refuse(boot, "not a regular file");
	if (rc == 0) {
		head_len = boot->kernel.size < BOOT_HEAD_SIZE ? boot->kernel.size : BOOT_HEAD_SIZE;
		rc = boot_file_read(&boot->kernel, 0, boot->head, head_len);
	}
	if (rc < 0)
		error_set(boot->err, rc, "could not load kernel '%s': %s", boot->kernel.path, strerror(-rc));
	return rc;
}

static int initrd_error(struct boot *boot, int rc, const char *why)
{
	return error_set(boot->err, rc, "could not load initrd '%s': %s", boot->src->initrd_path, why);
}

/* As high as the kernel allows, so that the memory behind the kernel stays free for it. */
static int load_initrd(struct boot *boot)
{
	struct boot_file file = { .path = boot->src->initrd_path, .fd = boot->src->initrd_fd };
	uint64_t end = boot->initrd_end_max < boot->low_end ? boot->initrd_end_max : boot->low_end;
	uint64_t room = end > boot->kernel_end ? end - boot->kernel_end : 0;
	uint64_t gpa;
	void *hva;
	int rc;

	if (!file.path)
		return 0;
	rc = file_size(&file);
	if (rc < 0)
		return initrd_error(boot, rc, rc == -EINVAL ? "not a regular file" : strerror(-rc));
	if (file.size == 0)
		return initrd_error(boot, -EINVAL, "the file is empty");
	gpa = file.size <= room ? (end - file.size) & ~(PAGE_SIZE - 1) : 0;
	if (gpa < boot->kernel_end) {
		error_set(boot->err, -ENOSPC,
		          "could not load initrd '%s': initrd is too large, cannot support"
		          " (max: %llu, need %llu)",
		          file.path, (unsigned long long)(room & ~(PAGE_SIZE - 1)), (unsigned long long)file.size);
		error_hint(boot->err, "use a smaller initrd%s",
		           boot->low_end < RAM_LOW_MAX ? ", or give the machine more memory (-m)" : "");
		return -ENOSPC;
	}
	hva = gmem_hva(boot->src->gmem, gpa, file.size);
	rc = hva ? boot_file_read(&file, 0, hva, file.size) : -EFAULT;
	if (rc < 0)
		return initrd_error(boot, rc, strerror(-rc));
	boot->initrd_gpa = gpa;
	boot->initrd_size = file.size;
	return 0;
}

static int load_cmdline(struct boot *boot)
{
	size_t len = strlen(boot->src->cmdline);
	uint64_t max = BOOT_CMDLINE_MAX - 1;

	if (boot->cmdline_len_max < max)
		max = boot->cmdline_len_max;
	if (len > max)
		return error_set(boot->err, -E2BIG,
		                 "the kernel command line (-append) has %zu bytes, and this kernel takes %llu", len,
		                 (unsigned long long)max);
	return boot_put(boot, BOOT_CMDLINE_GPA, boot->src->cmdline, len + 1);
}

/*
 * With hardware-reduced ACPI Linux reboots by EFI. Without EFI it jumps in real mode to the entry of a BIOS,
 * F000:FFF0. The code there is the only part of a BIOS that we have: a write to the reset register.
 */
static int put_reset_vector(struct boot *boot)
{
	const uint16_t port = ACPI_PORT + ACPI_RESET_OFF;
	const uint8_t code[] = {
		0xba,      port & 0xff,
		port >> 8,                   /* mov dx, port */
		0xb0,      ACPI_RESET_VALUE, /* mov al, value */
		0xee,                        /* out dx, al */
		0xf4,                        /* hlt */
		0xeb,      0xfd,             /* jmp to the hlt */
	};

	static_assert(sizeof(code) <= HIMEM_GPA - RESET_VECTOR_GPA, "fits below 1 MiB");
	return boot_put(boot, RESET_VECTOR_GPA, code, sizeof(code));
}

int boot_load(const struct boot_source *src, struct boot_entry *entry, struct vpmem_error *err)
{
	static const uint8_t no_bios_data[BIOS_DATA_SIZE];
	struct boot boot = {
		.src = src,
		.err = err,
		.low_end = src->ram_size < RAM_LOW_MAX ? src->ram_size : RAM_LOW_MAX,
	};
	const struct boot_protocol *protocol = NULL;
	int rc = open_kernel(&boot);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]) && !protocol; i++)
		if (protocols[i]->probe(&boot))
			protocol = protocols[i];
	if (!protocol)
		return refuse_kind(&boot);
	rc = protocol->load(&boot);
	if (rc == 0)
		rc = load_initrd(&boot);
	if (rc == 0)
		rc = load_cmdline(&boot);
	if (rc == 0)
		rc = boot_put(&boot, BIOS_DATA_GPA, no_bios_data, sizeof(no_bios_data));
	if (rc == 0)
		rc = put_reset_vector(&boot);
	return rc == 0 ? protocol->handover(&boot, entry) : rc;
}
