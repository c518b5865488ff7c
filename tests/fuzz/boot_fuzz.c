// SPDX-License-Identifier: Apache-2.0
/*
 * boot_fuzz.c - kernel files that are none: the bzImage and PVH loaders.
 *
 * Byte 0 says what the file begins as: a good bzImage, a good ELF vmlinux, or nothing. Two bytes are the size of
 * an initrd in pages, one the length of the command line. What follows are changes to the file: place (two
 * bytes), width (one: 1, 2, 4, 8 bytes, or truncate the file there), value. For an empty file, all is the content.
 *
 * The loaders write to guest memory only: pages that fault lie around it.
 */
#include "boot.h"
#include "fuzz.h"
#include "kernels.h"
#include "memory_map.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_SIZE (32 * MIB)
#define GUARD_SIZE 0x1000u
#define CLEAN_ROUNDS 64u

static struct gmem gmem;
static uint8_t *ram;
static int kernel_fd, initrd_fd;

static void make_memory(void)
{
	ram = mmap(NULL, RAM_SIZE + 2 * GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(ram != MAP_FAILED);
	ram += GUARD_SIZE;
	CHECK(mprotect(ram, RAM_SIZE, PROT_READ | PROT_WRITE) == 0);
	CHECK(gmem_add(&gmem, 0, RAM_SIZE, ram) == 0);
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	CHECK(kernel_fd >= 0 && initrd_fd >= 0);
}

static void take_change(struct input *in, struct image *image)
{
	static const uint8_t widths[] = { 1, 2, 4, 8, 0 };
	struct spoil spoil = { .off = take16(in) };

	spoil.width = widths[take8(in) % sizeof(widths)];
	spoil.val = input_take(in, spoil.width);
	if (spoil.off + spoil.width <= sizeof(image->bytes))
		image_spoil(image, spoil);
}

static void make_kernel(struct input *in, unsigned kind, struct image *image)
{
	if (kind == 0) {
		image->len = in->len < sizeof(image->bytes) ? in->len : sizeof(image->bytes);
		memcpy(image->bytes, in->data, image->len);
		return;
	}
	(kind == 1 ? bzimage_make : elf_make)(image);
	while (in->len > 0)
		take_change(in, image);
}

static void check_entry(const struct boot_entry *entry)
{
	CHECK(entry->mode == BOOT_LONG64 || entry->mode == BOOT_PROT32);
	CHECK(entry->rip >= HIMEM_GPA && entry->rip < RAM_SIZE);
	CHECK(entry->mode == BOOT_LONG64 ? entry->rsi == BOOT_PARAMS_GPA : entry->rbx == BOOT_PARAMS_GPA);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct image image;
	static unsigned round;
	struct input in = { .data = data, .len = len };
	unsigned kind = take8(&in) % 3;
	uint64_t initrd_size = (uint64_t)take16(&in) << 12;
	char cmdline[BOOT_CMDLINE_MAX + 64] = "";
	struct vpmem_error err = { .text = "" };
	struct boot_entry entry;
	int rc;

	if (!ram)
		make_memory();
	memset(cmdline, 'x', take8(&in) * 8u);
	make_kernel(&in, kind, &image);
	CHECK(ftruncate(kernel_fd, 0) == 0 && ftruncate(initrd_fd, (off_t)initrd_size) == 0);
	CHECK(pwrite(kernel_fd, image.bytes, image.len, 0) == (ssize_t)image.len);
	const struct boot_source src = {
		.kernel_path = "kernel",
		.kernel_fd = kernel_fd,
		.initrd_path = initrd_size ? "initrd" : NULL,
		.initrd_fd = initrd_fd,
		.cmdline = cmdline,
		.gmem = &gmem,
		.ram_size = RAM_SIZE,
		.rsdp_gpa = ACPI_GPA,
	};
	rc = boot_load(&src, &entry, &err);
	CHECK(rc <= 0 && (rc == 0 || err.text[0] != '\0'));
	if (rc == 0)
		check_entry(&entry);
	if (++round % CLEAN_ROUNDS == 0)
		CHECK(madvise(ram, RAM_SIZE, MADV_DONTNEED) == 0);
	return 0;
}
