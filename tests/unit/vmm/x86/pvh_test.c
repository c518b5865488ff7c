// SPDX-License-Identifier: Apache-2.0
// Tests of the PVH protocol: good kernels, hvm_start_info, and a table of ELF files that are refused.
#include "boot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "e820.h"
#include "kernels.h"
#include "memory_map.h"

#define PH_SIZE 56u
#define PH(i, field) (ELF_PHOFF + (i)*PH_SIZE + (field))
#define P_OFFSET 8u
#define P_PADDR 24u
#define P_FILESZ 32u
#define P_MEMSZ 40u

static struct guest_ram ram;
static struct image image;
static struct loaded loaded;

static int setup(void **state)
{
	(void)state;
	guest_ram_create(&ram, 128 * MIB);
	elf_make(&image);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_ram_destroy(&ram);
	return 0;
}

static void assert_filled(uint64_t gpa, uint64_t len, uint8_t byte)
{
	const uint8_t *bytes = guest_ram_at(&ram, gpa, len);

	for (uint64_t i = 0; i < len; i++)
		if (bytes[i] != byte)
			fail_msg("0x%02x at 0x%llx, not 0x%02x", bytes[i], (unsigned long long)(gpa + i), byte);
}

static void loads_segments_and_clears_bss(void **state)
{
	uint64_t bss_gpa = ELF_DATA_GPA + ELF_DATA_LEN, bss_len = ELF_DATA_MEM_LEN - ELF_DATA_LEN;

	(void)state;
	memset(guest_ram_at(&ram, ELF_TEXT_GPA, 16 * MIB), 0xee, 16 * MIB);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_filled(ELF_TEXT_GPA, ELF_TEXT_LEN, 0xc3);
	assert_filled(ELF_TEXT_GPA + ELF_TEXT_LEN, 4096, 0xee);
	assert_filled(ELF_DATA_GPA, ELF_DATA_LEN, 0xda);
	assert_filled(bss_gpa, bss_len, 0);
	assert_filled(ELF_DATA_GPA + ELF_DATA_MEM_LEN, 4096, 0xee);
}

static void enters_where_the_note_says(void **state)
{
	(void)state;
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(loaded.entry.mode, BOOT_PROT32);
	assert_int_equal(loaded.entry.rip, ELF_ENTRY);
	assert_int_equal(loaded.entry.rbx, BOOT_PARAMS_GPA);
	/* The 32-bit form of the note. */
	image_spoil(&image, (struct spoil) { ELF_ENTRY_NOTE_OFF + 4, 4, 4 });
	image_spoil(&image, (struct spoil) { ELF_ENTRY_NOTE_OFF + 20, 4, 0xffffffff });
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(loaded.entry.rip, ELF_ENTRY);
}

static void takes_position_independent_kernels(void **state)
{
	(void)state;
	image_spoil(&image, (struct spoil) { 16, 2, 3 });
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
}

static void fills_start_info(void **state)
{
	const uint8_t *info = guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096);
	struct e820_entry map[E820_MAX];
	unsigned n = e820_build(ram.size, map);
	const uint8_t *memmap;

	(void)state;
	assert_int_equal(load_image(&ram, &image, 0, "root=/dev/pmem0", &loaded), 0);
	assert_int_equal(get_le(info, 4), 0x336ec578);
	assert_int_equal(get_le(info + 4, 4), 1);  /* version */
	assert_int_equal(get_le(info + 8, 8), 0);  /* flags, nr_modules */
	assert_int_equal(get_le(info + 16, 8), 0); /* modlist_paddr */
	assert_string_equal(guest_ram_at(&ram, get_le(info + 24, 8), 16), "root=/dev/pmem0");
	assert_int_equal(get_le(info + 32, 8), ACPI_GPA); /* rsdp_paddr */
	assert_int_equal(get_le(info + 48, 4), n);
	memmap = guest_ram_at(&ram, get_le(info + 40, 8), n * 24);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(get_le(memmap + 24 * i, 8), map[i].gpa);
		assert_int_equal(get_le(memmap + 24 * i + 8, 8), map[i].size);
		assert_int_equal(get_le(memmap + 24 * i + 16, 8), map[i].type);
	}
}

static void puts_the_initrd_above_the_kernels_memory(void **state)
{
	const uint8_t *info = guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096);
	uint64_t kernel_end = ELF_DATA_GPA + ELF_DATA_MEM_LEN, room = ram.low_size - kernel_end;
	static const uint64_t sizes[] = { 1, 5000, 20 * MIB };
	const uint8_t *module;
	uint64_t gpa;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(load_image(&ram, &image, sizes[i], "", &loaded), 0);
		assert_int_equal(get_le(info + 12, 4), 1);
		module = guest_ram_at(&ram, get_le(info + 16, 8), 32);
		gpa = get_le(module, 8);
		assert_int_equal(get_le(module + 8, 8), sizes[i]);
		assert_int_equal(get_le(module + 16, 8), 0); /* no command line of its own */
		assert_int_equal(gpa % 4096, 0);
		assert_true(gpa >= kernel_end && gpa + sizes[i] <= ram.low_size);
		assert_true(gpa + sizes[i] + 4096 > ram.low_size);
	}
	assert_int_equal(load_image(&ram, &image, room, "", &loaded), 0);
	assert_int_equal(load_image(&ram, &image, room + 1, "", &loaded), -ENOSPC);
}

/* What is wrong, and the text that says so. */
static const struct {
	struct spoil spoil;
	const char *text;
} refused[] = {
	{ { 4, 1, 1 }, "an ELF file for another architecture" },
	{ { 5, 1, 2 }, "an ELF file for another architecture" },
	{ { 18, 2, 183 }, "an ELF file for another architecture" },
	{ { 16, 2, 1 }, "not an executable (type 1)" },
	{ { 32, 8, UINT64_MAX }, "invalid ELF program headers" },
	{ { 32, 8, ELF_DATA_OFF + ELF_DATA_LEN - 3 * PH_SIZE + 1 }, "invalid ELF program headers" },
	{ { 54, 2, 57 }, "invalid ELF program headers" },
	{ { 56, 2, 0 }, "invalid ELF program headers" },
	{ { 56, 2, 65 }, "invalid ELF program headers" },
	{ { 56, 2, 0xffff }, "invalid ELF program headers" },
	{ { 56, 2, 2 }, "without the PVH ELF note" },
	{ { PH(0, P_OFFSET), 8, UINT64_MAX - 16 }, "the file is truncated" },
	{ { PH(0, P_OFFSET), 8, ELF_DATA_OFF + ELF_DATA_LEN - ELF_TEXT_LEN + 1 }, "the file is truncated" },
	{ { PH(0, P_FILESZ), 8, ELF_TEXT_LEN + 1 }, "invalid ELF segment" },
	{ { PH(1, P_MEMSZ), 8, ELF_DATA_LEN - 1 }, "invalid ELF segment" },
	{ { PH(1, P_MEMSZ), 8, UINT64_MAX }, "invalid ELF segment" },
	{ { PH(1, P_PADDR), 8, UINT64_MAX }, "invalid ELF segment" },
	{ { PH(1, P_PADDR), 8, 0xff000 }, "below 1 MiB" },
	{ { PH(1, P_PADDR), 8, BOOT_PARAMS_GPA }, "below 1 MiB" },
	{ { PH(1, P_PADDR), 8, 0x7e00000 }, "it needs 129 MiB of RAM, and there are 128 MiB" },
	{ { PH(1, P_MEMSZ), 8, UINT64_C(1) << 40 }, "of RAM below 4 GiB" },
	{ { PH(2, 0), 4, 0 }, "without the PVH ELF note" },
	{ { PH(2, P_OFFSET), 8, UINT64_MAX - 4 }, "without the PVH ELF note" },
	{ { PH(2, P_FILESZ), 8, ELF_NOTES_LEN - 1 }, "without the PVH ELF note" },
	{ { PH(2, P_FILESZ), 8, UINT64_MAX }, "without the PVH ELF note" },
	{ { PH(2, P_FILESZ), 8, 11 }, "without the PVH ELF note" },
	{ { ELF_NOTES_OFF, 4, 0xffffffff }, "without the PVH ELF note" },
	{ { ELF_NOTES_OFF + 4, 4, 0xffffffff }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF, 4, 0xffffffff }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF, 4, 3 }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF + 4, 4, 9 }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF + 4, 4, 2 }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF + 8, 4, 17 }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF + 12, 4, 0x656e6558 }, "without the PVH ELF note" },
	{ { ELF_ENTRY_NOTE_OFF + 16, 8, ELF_TEXT_GPA - 1 }, "0xffffff is not in its segments" },
	{ { ELF_ENTRY_NOTE_OFF + 16, 8, ELF_DATA_GPA + ELF_DATA_MEM_LEN }, "0x1700000 is not in its segments" },
	{ { ELF_ENTRY_NOTE_OFF + 16, 8, UINT64_C(0x100000000) | ELF_ENTRY }, "0x101000850 is not in its segments" },
	{ { ELF_DATA_OFF + ELF_DATA_LEN - 1, 0, 0 }, "the file is truncated" },
	{ { 63, 0, 0 }, "invalid ELF program headers" },
	{ { 5, 0, 0 }, "another architecture" },
};

static void refuses_bad_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		elf_make(&image);
		image_spoil(&image, refused[i].spoil);
		assert_refused(&ram, &image, refused[i].text);
	}
}

static void says_what_to_do_without_the_note(void **state)
{
	(void)state;
	image_spoil(&image, (struct spoil) { ELF_ENTRY_NOTE_OFF + 8, 4, 17 });
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), -ENOEXEC);
	assert_string_equal(loaded.err.text,
	                    "could not load kernel 'test-kernel': an ELF file without the PVH ELF note");
	assert_non_null(strstr(loaded.err.hint, "CONFIG_PVH"));
}

/* The whole file is notes of 12 bytes: the search gives up. */
static void gives_up_on_endless_notes(void **state)
{
	(void)state;
	image.len = sizeof(image.bytes);
	memset(&image.bytes[0x4000], 0, 0xc000);
	image_spoil(&image, (struct spoil) { PH(2, P_OFFSET), 8, 0x4000 });
	image_spoil(&image, (struct spoil) { PH(2, P_FILESZ), 8, 0xc000 });
	memcpy(&image.bytes[0x4000 + 12 * 1024], &image.bytes[ELF_ENTRY_NOTE_OFF], 24);
	assert_refused(&ram, &image, "without the PVH ELF note");
	memset(&image.bytes[0x4000 + 12 * 1024], 0, 24);
	memcpy(&image.bytes[0x4000 + 12 * 1023], &image.bytes[ELF_ENTRY_NOTE_OFF], 24);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
}

static void takes_notes_aligned_to_8(void **state)
{
	(void)state;
	/* As binutils pads GNU property notes: name and descriptor begin on multiples of 8. */
	image_spoil(&image, (struct spoil) { PH(2, 48), 8, 8 });
	image_spoil(&image, (struct spoil) { PH(2, P_FILESZ), 8, 64 });
	memset(&image.bytes[ELF_NOTES_OFF], 0, 64);
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF, 4, 4 });
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF + 4, 4, 12 });
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF + 32, 4, 4 });
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF + 36, 4, 8 });
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF + 40, 4, 18 });
	memcpy(&image.bytes[ELF_NOTES_OFF + 44], "Xen", 4);
	image_spoil(&image, (struct spoil) { ELF_NOTES_OFF + 48, 8, ELF_ENTRY });
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(loaded.entry.rip, ELF_ENTRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(loads_segments_and_clears_bss, setup, teardown),
		cmocka_unit_test_setup_teardown(enters_where_the_note_says, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_position_independent_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(fills_start_info, setup, teardown),
		cmocka_unit_test_setup_teardown(puts_the_initrd_above_the_kernels_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_bad_files, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_to_do_without_the_note, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_up_on_endless_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_notes_aligned_to_8, setup, teardown),
	};

	return cmocka_run_group_tests_name("pvh", tests, NULL, NULL);
}
