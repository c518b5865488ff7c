// SPDX-License-Identifier: Apache-2.0
// For tests: makes small kernels and loads them.
#include "kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "memory_map.h"

static void put(struct image *image, size_t off, unsigned width, uint64_t val)
{
	assert_true(off + width <= sizeof(image->bytes));
	for (unsigned i = 0; i < width; i++)
		image->bytes[off + i] = (uint8_t)(val >> (8 * i));
}

void image_spoil(struct image *image, struct spoil spoil)
{
	if (spoil.width == 0)
		image->len = spoil.off;
	else
		put(image, spoil.off, spoil.width, spoil.val);
}

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

int file_of_zeros(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

uint8_t bzimage_byte(size_t off)
{
	return (uint8_t)(off * 7 + off / 256 + 1);
}

void bzimage_make(struct image *image)
{
	memset(image, 0, sizeof(*image));
	image->bytes[0x1ef] = 0xff;                     /* sentinel: must not arrive in the zero page */
	put(image, 0x1f1, 1, 2);                        /* setup_sects */
	put(image, 0x1f4, 4, BZIMAGE_PAYLOAD_LEN / 16); /* syssize */
	put(image, 0x1fe, 2, 0xaa55);
	put(image, 0x200, 2, 0x6aeb); /* jump: header ends at 0x26c */
	memcpy(&image->bytes[0x202], "HdrS", 4);
	put(image, 0x206, 2, 0x020f);           /* version */
	put(image, 0x211, 1, 0x01);             /* loadflags: LOADED_HIGH */
	put(image, 0x22c, 4, 0x7fffffff);       /* initrd_addr_max */
	put(image, 0x230, 4, 0x200000);         /* kernel_alignment */
	put(image, 0x234, 1, 1);                /* relocatable */
	put(image, 0x236, 2, 0x0001);           /* xloadflags: KERNEL_64 */
	put(image, 0x238, 4, 2047);             /* cmdline_size */
	put(image, 0x250, 8, 0xdddd0000);       /* setup_data: ours to clear */
	put(image, 0x258, 8, BZIMAGE_LOAD_GPA); /* pref_address */
	put(image, 0x260, 4, BZIMAGE_INIT_SIZE);
	put(image, 0x26c, 4, 0x11111111); /* code behind the header: must not arrive */
	for (size_t i = 0; i < BZIMAGE_PAYLOAD_LEN; i++)
		image->bytes[BZIMAGE_SETUP_LEN + i] = bzimage_byte(i);
	image->len = BZIMAGE_SETUP_LEN + BZIMAGE_PAYLOAD_LEN;
}

static void put_segment(struct image *image, unsigned i, uint32_t type, const uint64_t fields[6])
{
	size_t off = ELF_PHOFF + i * 56;

	put(image, off, 4, type);
	put(image, off + 4, 4, 7);
	for (unsigned f = 0; f < 6; f++) /* offset, vaddr, paddr, filesz, memsz, align */
		put(image, off + 8 + f * 8, 8, fields[f]);
}

static void put_note(struct image *image, size_t off, uint32_t type, const char *name, uint32_t desc_len, uint64_t desc)
{
	put(image, off, 4, strlen(name) + 1);
	put(image, off + 4, 4, desc_len);
	put(image, off + 8, 4, type);
	memcpy(&image->bytes[off + 12], name, strlen(name) + 1);
	put(image, off + 16, desc_len, desc);
}

void elf_make(struct image *image)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memset(image, 0, sizeof(*image));
	memcpy(image->bytes, ident, sizeof(ident));
	put(image, 16, 2, 2);  /* ET_EXEC */
	put(image, 18, 2, 62); /* EM_X86_64 */
	put(image, 20, 4, 1);
	put(image, 24, 8, ELF_TEXT_GPA);
	put(image, 32, 8, ELF_PHOFF);
	put(image, 52, 2, 64);
	put(image, 54, 2, 56); /* e_phentsize */
	put(image, 56, 2, 3);  /* e_phnum */
	put_segment(image, 0, 1,
	            (uint64_t[]) { ELF_TEXT_OFF, 0xffffffff81000000, ELF_TEXT_GPA, ELF_TEXT_LEN, ELF_TEXT_LEN,
	                           0x200000 });
	put_segment(image, 1, 1,
	            (uint64_t[]) { ELF_DATA_OFF, 0xffffffff81400000, ELF_DATA_GPA, ELF_DATA_LEN, ELF_DATA_MEM_LEN,
	                           0x200000 });
	put_segment(image, 2, 4, (uint64_t[]) { ELF_NOTES_OFF, 0, 0, ELF_NOTES_LEN, ELF_NOTES_LEN, 4 });
	put_note(image, ELF_NOTES_OFF, 6, "Xen", 4, 0x11223344);
	put_note(image, ELF_ENTRY_NOTE_OFF, 18, "Xen", 8, ELF_ENTRY);
	memset(&image->bytes[ELF_TEXT_OFF], 0xc3, ELF_TEXT_LEN);
	memset(&image->bytes[ELF_DATA_OFF], 0xda, ELF_DATA_LEN);
	image->len = ELF_DATA_OFF + ELF_DATA_LEN;
}

int load_image(const struct guest_ram *ram, const struct image *image, uint64_t initrd_size, const char *cmdline,
               struct loaded *out)
{
	struct boot_source source = {
		.kernel_path = "test-kernel",
		.kernel_fd = file_of(image->bytes, image->len),
		.initrd_path = initrd_size ? "test-initrd" : NULL,
		.initrd_fd = initrd_size ? file_of_zeros(initrd_size) : -1,
		.cmdline = cmdline,
		.gmem = &ram->gmem,
		.ram_size = ram->size,
		.rsdp_gpa = ACPI_GPA,
	};
	int rc;

	memset(out, 0, sizeof(*out));
	rc = boot_load(&source, &out->entry, &out->err);
	close(source.kernel_fd);
	if (initrd_size)
		close(source.initrd_fd);
	return rc;
}

void assert_refused(const struct guest_ram *ram, const struct image *image, const char *text)
{
	struct loaded loaded;

	assert_true(load_image(ram, image, 0, "", &loaded) < 0);
	if (!strstr(loaded.err.text, text))
		fail_msg("expected '...%s...', got '%s'", text, loaded.err.text);
}
