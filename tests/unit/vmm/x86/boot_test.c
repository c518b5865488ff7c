// SPDX-License-Identifier: Apache-2.0
// Tests of what the boot protocols have in common: which files are kernels, initrd, command line.
#include "boot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "acpi_pm.h"
#include "kernels.h"
#include "memory_map.h"

#define ZERO_PAGE_RAMDISK_IMAGE 0x218u
#define ZERO_PAGE_RAMDISK_SIZE 0x21cu

static struct guest_ram ram;
static struct image image;
static struct loaded loaded;

static int setup(void **state)
{
	(void)state;
	guest_ram_create(&ram, 128 * MIB);
	bzimage_make(&image);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_ram_destroy(&ram);
	return 0;
}

static const struct {
	unsigned off;
	const char *magic;
	unsigned len;
	const char *text, *hint;
} kinds[] = {
	{ 0, "hello", 5, "not a kernel: neither a bzImage nor an ELF vmlinux", "/boot/vmlinuz" },
	{ 0, "\x1f\x8b\x08", 3, "not a kernel: neither a bzImage nor an ELF vmlinux, but a gzip file", "gunzip" },
	{ 0,
	  "\xfd"
	  "7zXZ",
	  6, "an xz file", "unxz" },
	{ 0, "\x28\xb5\x2f\xfd", 4, "a zstd file", "unzstd" },
	{ 0, "MZ", 2, "an EFI program", "objcopy" },
	{ 56, "ARM\x64", 4, "a kernel for arm64", "x86-64" },
	{ 56, "RSC\x05", 4, "a kernel for RISC-V", "x86-64" },
	{ 0, "070701", 6, "a cpio archive", "-initrd" },
};

static void says_what_is_no_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		memset(&image, 0, sizeof(image));
		memcpy(&image.bytes[kinds[i].off], kinds[i].magic, kinds[i].len);
		image.len = 1000;
		assert_refused(&ram, &image, kinds[i].text);
		assert_int_equal(load_image(&ram, &image, 0, "", &loaded), -ENOEXEC);
		assert_string_equal(loaded.err.text + strlen(loaded.err.text) - strlen(kinds[i].text), kinds[i].text);
		assert_non_null(strstr(loaded.err.text, "could not load kernel 'test-kernel': "));
		assert_non_null(strstr(loaded.err.hint, kinds[i].hint));
	}
}

static void refuses_short_files_of_every_length(void **state)
{
	(void)state;
	image.len = 0;
	assert_refused(&ram, &image, "the file is empty");
	for (image.len = 1; image.len < 0x206; image.len++)
		assert_refused(&ram, &image, "not a kernel");
	for (; image.len < BZIMAGE_SETUP_LEN + BZIMAGE_PAYLOAD_LEN; image.len++)
		assert_true(load_image(&ram, &image, 0, "", &loaded) < 0);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
}

static void refuses_what_is_no_file(void **state)
{
	struct boot_source source = { .kernel_path = "pipe", .gmem = &ram.gmem, .ram_size = ram.size, .cmdline = "" };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	source.kernel_fd = fds[0];
	assert_true(boot_load(&source, &loaded.entry, &loaded.err) < 0);
	assert_string_equal(loaded.err.text, "could not load kernel 'pipe': not a regular file");
	close(fds[0]);
	close(fds[1]);

	source.kernel_fd = -1;
	assert_int_equal(boot_load(&source, &loaded.entry, &loaded.err), -EBADF);
	assert_non_null(strstr(loaded.err.text, strerror(EBADF)));
}

static void works_without_a_place_for_the_error(void **state)
{
	struct boot_source source = { .kernel_path = "x", .kernel_fd = -1, .gmem = &ram.gmem, .ram_size = ram.size };

	(void)state;
	assert_int_equal(boot_load(&source, &loaded.entry, NULL), -EBADF);
}

/* ---- initrd */

static const uint64_t ram_sizes[] = { 32 * MIB, 128 * MIB, 1 * GIB, 3 * GIB, 5 * GIB };
static const uint64_t initrd_sizes[] = { 1, 4095, 4096, 4097, 3 * MIB, 6 * MIB, 100 * MIB };

/* The zero page's word on the initrd must fit everything else. */
static void check_initrd(const struct guest_ram *guest, uint64_t initrd_size)
{
	const uint8_t *params = guest_ram_at(guest, BOOT_PARAMS_GPA, 4096);
	uint64_t gpa = get_le(params + ZERO_PAGE_RAMDISK_IMAGE, 4);
	uint64_t len = get_le(params + ZERO_PAGE_RAMDISK_SIZE, 4);

	assert_int_equal(len, initrd_size);
	assert_int_equal(gpa % 4096, 0);
	assert_true(gpa >= BZIMAGE_LOAD_GPA + BZIMAGE_INIT_SIZE);
	assert_true(gpa + len <= guest->low_size);
	assert_true(gpa + len <= UINT64_C(0x80000000)); /* initrd_addr_max + 1 */
	/* As high as it can be. */
	assert_true(gpa + len + 4096 > (guest->low_size < 0x80000000 ? guest->low_size : 0x80000000));
}

static void places_the_initrd_high_and_clear_of_the_kernel(void **state)
{
	unsigned nloaded = 0;

	(void)state;
	for (size_t r = 0; r < sizeof(ram_sizes) / sizeof(ram_sizes[0]); r++)
		for (size_t i = 0; i < sizeof(initrd_sizes) / sizeof(initrd_sizes[0]); i++) {
			uint64_t low = ram_sizes[r] < RAM_LOW_MAX ? ram_sizes[r] : RAM_LOW_MAX;
			bool fits = BZIMAGE_LOAD_GPA + BZIMAGE_INIT_SIZE + initrd_sizes[i] <= low;
			struct guest_ram guest;
			int rc;

			guest_ram_create(&guest, ram_sizes[r]);
			rc = load_image(&guest, &image, initrd_sizes[i], "", &loaded);
			assert_int_equal(rc, fits ? 0 : -ENOSPC);
			if (fits) {
				check_initrd(&guest, initrd_sizes[i]);
				nloaded++;
			} else {
				assert_non_null(strstr(loaded.err.text, "initrd is too large, cannot support"));
				assert_non_null(strstr(loaded.err.hint, "(-m)"));
			}
			guest_ram_destroy(&guest);
		}
	assert_int_equal(nloaded, 34);
}

static void takes_an_initrd_that_just_fits(void **state)
{
	uint64_t room = ram.low_size - BZIMAGE_LOAD_GPA - BZIMAGE_INIT_SIZE;

	(void)state;
	assert_int_equal(load_image(&ram, &image, room, "", &loaded), 0);
	assert_int_equal(load_image(&ram, &image, room + 1, "", &loaded), -ENOSPC);
	/* Aligning it must not take it into the kernel's last page. */
	image_spoil(&image, (struct spoil) { 0x260, 4, BZIMAGE_INIT_SIZE + 1 });
	assert_int_equal(load_image(&ram, &image, room - 1, "", &loaded), -ENOSPC);
	assert_int_equal(load_image(&ram, &image, room - 4096, "", &loaded), 0);
}

static void copies_the_initrd_whole(void **state)
{
	static uint8_t bytes[70000];
	struct boot_source source = {
		.kernel_path = "k",
		.kernel_fd = file_of(image.bytes, image.len),
		.initrd_path = "i",
		.cmdline = "",
		.gmem = &ram.gmem,
		.ram_size = ram.size,
	};
	const uint8_t *params = guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096);

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	source.initrd_fd = file_of(bytes, sizeof(bytes));
	/* Twice, as after a reboot: the descriptor's position does not matter. */
	for (int i = 0; i < 2; i++) {
		uint64_t gpa;

		assert_int_equal(boot_load(&source, &loaded.entry, NULL), 0);
		gpa = get_le(params + ZERO_PAGE_RAMDISK_IMAGE, 4);
		assert_memory_equal(guest_ram_at(&ram, gpa, sizeof(bytes)), bytes, sizeof(bytes));
		memset(guest_ram_at(&ram, gpa, sizeof(bytes)), 0, sizeof(bytes));
	}
	close(source.kernel_fd);
	close(source.initrd_fd);
}

static void refuses_an_initrd_that_cannot_be_one(void **state)
{
	struct boot_source source = {
		.kernel_path = "k",
		.kernel_fd = file_of(image.bytes, image.len),
		.initrd_path = "i",
		.initrd_fd = file_of_zeros(0),
		.cmdline = "",
		.gmem = &ram.gmem,
		.ram_size = ram.size,
	};

	(void)state;
	assert_true(boot_load(&source, &loaded.entry, &loaded.err) < 0);
	assert_string_equal(loaded.err.text, "could not load initrd 'i': the file is empty");
	close(source.initrd_fd);
	source.initrd_fd = -1;
	assert_int_equal(boot_load(&source, &loaded.entry, &loaded.err), -EBADF);
	assert_non_null(strstr(loaded.err.text, "could not load initrd 'i': "));
	close(source.kernel_fd);
}

/* ---- the rest */

static void limits_the_command_line(void **state)
{
	char cmdline[2100];

	(void)state;
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[2047] = 0;
	assert_int_equal(load_image(&ram, &image, 0, cmdline, &loaded), 0);
	assert_string_equal(guest_ram_at(&ram, BOOT_CMDLINE_GPA, BOOT_CMDLINE_MAX), cmdline);
	cmdline[2047] = 'x';
	cmdline[2048] = 0;
	assert_int_equal(load_image(&ram, &image, 0, cmdline, &loaded), -E2BIG);
	assert_non_null(strstr(loaded.err.text, "2048 bytes, and this kernel takes 2047"));

	image_spoil(&image, (struct spoil) { 0x238, 4, 255 });
	assert_int_equal(load_image(&ram, &image, 0, cmdline + 2048 - 255, &loaded), 0);
	assert_int_equal(load_image(&ram, &image, 0, cmdline + 2048 - 256, &loaded), -E2BIG);
	image_spoil(&image, (struct spoil) { 0x238, 4, 0xffffffff });
	assert_int_equal(load_image(&ram, &image, 0, cmdline, &loaded), -E2BIG);
}

static void ends_an_empty_command_line_that_was_long_before(void **state)
{
	(void)state;
	assert_int_equal(load_image(&ram, &image, 0, "console=ttyS0", &loaded), 0);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_string_equal(guest_ram_at(&ram, BOOT_CMDLINE_GPA, BOOT_CMDLINE_MAX), "");
}

static void clears_what_an_earlier_guest_left_for_the_bios(void **state)
{
	(void)state;
	memset(guest_ram_at(&ram, 0x400, 0x100), 0xff, 0x100);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	for (uint64_t gpa = 0x400; gpa < 0x500; gpa += 8)
		assert_int_equal(get_le(guest_ram_at(&ram, gpa, 8), 8), 0);
}

static void has_a_reset_vector(void **state)
{
	const uint8_t expected[] = { 0xba, 0x02, 0x06, 0xb0, 0x01, 0xee, 0xf4 };

	(void)state;
	assert_int_equal(ACPI_PORT + ACPI_RESET_OFF, 0x602);
	assert_int_equal(ACPI_RESET_VALUE, 1);
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_memory_equal(guest_ram_at(&ram, 0xffff0, 16), expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_what_is_no_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_short_files_of_every_length, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(works_without_a_place_for_the_error, setup, teardown),
		cmocka_unit_test_setup_teardown(places_the_initrd_high_and_clear_of_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_an_initrd_that_just_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_the_initrd_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_an_initrd_that_cannot_be_one, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_the_command_line, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_an_empty_command_line_that_was_long_before, setup, teardown),
		cmocka_unit_test_setup_teardown(clears_what_an_earlier_guest_left_for_the_bios, setup, teardown),
		cmocka_unit_test_setup_teardown(has_a_reset_vector, setup, teardown),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
