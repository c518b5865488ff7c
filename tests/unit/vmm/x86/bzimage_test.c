// SPDX-License-Identifier: Apache-2.0
// Tests of the 64-bit boot protocol: good kernels, the zero page, and a table of headers that are refused.
#include "boot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "e820.h"
#include "kernels.h"
#include "memory_map.h"

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

static void assert_payload_at(uint64_t gpa)
{
	const uint8_t *payload = guest_ram_at(&ram, gpa, BZIMAGE_PAYLOAD_LEN);

	for (size_t i = 0; i < BZIMAGE_PAYLOAD_LEN; i++)
		assert_int_equal(payload[i], bzimage_byte(i));
}

static void loads_at_the_preferred_address(void **state)
{
	(void)state;
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(loaded.entry.mode, BOOT_LONG64);
	assert_int_equal(loaded.entry.rip, BZIMAGE_LOAD_GPA + 0x200);
	assert_int_equal(loaded.entry.rsi, BOOT_PARAMS_GPA);
	assert_payload_at(BZIMAGE_LOAD_GPA);
}

static const struct {
	uint64_t pref, align, load_gpa;
} places[] = {
	{ 0x1000000, 0x200000, 0x1000000 },
	{ 0x1000000, 0x1000, 0x1000000 },
	{ 0x1000001, 0x200000, 0x1200000 }, /* aligned upwards */
	{ 0, 0x1000, 0x100000 },            /* never below 1 MiB */
	{ 0x9000, 0x200000, 0x200000 },
	{ 0x7500000, 0x1000, 0x7500000 },
};

static void aligns_where_it_loads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		image_spoil(&image, (struct spoil) { 0x258, 8, places[i].pref });
		image_spoil(&image, (struct spoil) { 0x230, 4, places[i].align });
		assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
		assert_int_equal(loaded.entry.rip, places[i].load_gpa + 0x200);
		assert_payload_at(places[i].load_gpa);
	}
}

static void takes_setup_sects_0_as_4(void **state)
{
	(void)state;
	image_spoil(&image, (struct spoil) { 0x1f1, 1, 0 });
	memmove(&image.bytes[5 * 512], &image.bytes[BZIMAGE_SETUP_LEN], BZIMAGE_PAYLOAD_LEN);
	image.len = 5 * 512 + BZIMAGE_PAYLOAD_LEN;
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_payload_at(BZIMAGE_LOAD_GPA);
}

static void ignores_what_follows_the_kernel(void **state)
{
	(void)state;
	image.len += 5000; /* as a signature does */
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_payload_at(BZIMAGE_LOAD_GPA);
	assert_int_equal(*(uint8_t *)guest_ram_at(&ram, BZIMAGE_LOAD_GPA + BZIMAGE_PAYLOAD_LEN, 1), 0);
}

static void fills_the_zero_page(void **state)
{
	const uint8_t *params = guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096);

	(void)state;
	memset(guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096), 0xee, 4096);
	assert_int_equal(load_image(&ram, &image, 0, "a b", &loaded), 0);
	assert_int_equal(get_le(params + 0x070, 8), ACPI_GPA); /* acpi_rsdp_addr */
	assert_int_equal(get_le(params + 0x1ef, 1), 0);        /* sentinel */
	assert_int_equal(get_le(params + 0x1fe, 2), 0xaa55);
	assert_memory_equal(params + 0x202, "HdrS", 4);
	assert_int_equal(get_le(params + 0x210, 1), 0xff); /* type_of_loader */
	assert_int_equal(get_le(params + 0x218, 4), 0);    /* ramdisk_image */
	assert_int_equal(get_le(params + 0x21c, 4), 0);
	assert_int_equal(get_le(params + 0x228, 4), BOOT_CMDLINE_GPA);
	assert_int_equal(get_le(params + 0x250, 8), 0);                /* setup_data */
	assert_int_equal(get_le(params + 0x258, 8), BZIMAGE_LOAD_GPA); /* as in the file */
	assert_int_equal(get_le(params + 0x26c, 4), 0);                /* code behind the header */
	assert_int_equal(get_le(params + 0x0c0, 8), 0);                /* ext_ramdisk_image and _size */
	assert_string_equal(guest_ram_at(&ram, BOOT_CMDLINE_GPA, 16), "a b");
}

static void copies_the_header_as_far_as_it_says(void **state)
{
	const uint8_t *params = guest_ram_at(&ram, BOOT_PARAMS_GPA, 4096);

	(void)state;
	image_spoil(&image, (struct spoil) { 0x201, 1, 0x6a + 4 }); /* a later version has 4 bytes more */
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(get_le(params + 0x26c, 4), 0x11111111);
	image_spoil(&image, (struct spoil) { 0x201, 1, 0xff }); /* not into what comes behind it */
	image_spoil(&image, (struct spoil) { 0x290, 8, 0x2222222222222222 });
	assert_int_equal(load_image(&ram, &image, 0, "", &loaded), 0);
	assert_int_equal(get_le(params + 0x290, 8), 0);
}

static void hands_over_the_e820_map(void **state)
{
	static const uint64_t sizes[] = { 128 * MIB, 3 * GIB, 5 * GIB };

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		struct e820_entry map[E820_MAX];
		unsigned n = e820_build(sizes[s], map);
		struct guest_ram guest;
		const uint8_t *params;

		guest_ram_create(&guest, sizes[s]);
		params = guest_ram_at(&guest, BOOT_PARAMS_GPA, 4096);
		assert_int_equal(load_image(&guest, &image, 0, "", &loaded), 0);
		assert_int_equal(params[0x1e8], n);
		for (unsigned i = 0; i < n; i++) {
			const uint8_t *entry = params + 0x2d0 + 20 * i;

			assert_int_equal(get_le(entry, 8), map[i].gpa);
			assert_int_equal(get_le(entry + 8, 8), map[i].size);
			assert_int_equal(get_le(entry + 16, 4), map[i].type);
		}
		guest_ram_destroy(&guest);
	}
}

static void needs_ram_for_all_of_init_size(void **state)
{
	struct guest_ram small;

	(void)state;
	guest_ram_create(&small, BZIMAGE_LOAD_GPA + BZIMAGE_INIT_SIZE);
	assert_int_equal(load_image(&small, &image, 0, "", &loaded), 0);
	image_spoil(&image, (struct spoil) { 0x260, 4, BZIMAGE_INIT_SIZE + 1 });
	assert_refused(&small, &image, "it needs 26 MiB of RAM, and there are 25 MiB");
	assert_int_equal(load_image(&small, &image, 0, "", &loaded), -ENOEXEC);
	assert_non_null(strstr(loaded.err.hint, "-m 26M"));
	guest_ram_destroy(&small);
}

/* What is wrong, and the text that says so. */
static const struct {
	struct spoil spoil;
	const char *text;
} refused[] = {
	{ { 0x1fe, 2, 0xaa56 }, "not a kernel" },
	{ { 0x202, 4, 0x53726449 }, "not a kernel" },
	{ { 0x206, 2, 0x020b }, "boot protocol 2.11 is too old" },
	{ { 0x206, 2, 0x0000 }, "boot protocol 0.00 is too old" },
	{ { 0x211, 1, 0x00 }, "a zImage" },
	{ { 0x236, 2, 0xfffe }, "a 32-bit kernel" },
	{ { 0x234, 1, 0 }, "not relocatable" },
	{ { 0x230, 4, 0 }, "kernel_alignment 0x0" },
	{ { 0x230, 4, 0x300000 }, "kernel_alignment 0x300000" },
	{ { 0x230, 4, 0x800 }, "kernel_alignment 0x800" },
	{ { 0x230, 4, 0x80000000 }, "kernel_alignment 0x80000000" },
	{ { 0x1f4, 4, BZIMAGE_PAYLOAD_LEN / 16 + 1 }, "the file is truncated" },
	{ { 0x1f4, 4, 0xffffffff }, "the file is truncated: its header says 68719478256 bytes, and it has 9728" },
	{ { 0x1f4, 4, 0 }, "syssize 0x0" },
	{ { 0x1f4, 4, 0x20 }, "syssize 0x20" },
	{ { 0x1f1, 1, 0xff }, "the file is truncated" },
	{ { 0x260, 4, 0 }, "init_size 0x0" },
	{ { 0x260, 4, BZIMAGE_PAYLOAD_LEN - 1 }, "init_size 0x1fff" },
	{ { 0x260, 4, 0xffffffff }, "it needs 4112 MiB of RAM below 4 GiB, and there are 128 MiB" },
	{ { 0x258, 8, UINT64_MAX }, "pref_address 0xffffffffffffffff" },
	{ { 0x258, 8, 0xc0000001 }, "pref_address 0xc0000001" },
	{ { 0x258, 8, 0xbfffffff }, "of RAM below 4 GiB" },
	{ { 0x258, 8, 0x7800000 }, "it needs 129 MiB of RAM" },
	{ { BZIMAGE_SETUP_LEN + BZIMAGE_PAYLOAD_LEN - 1, 0, 0 }, "the file is truncated" },
	{ { BZIMAGE_SETUP_LEN, 0, 0 }, "the file is truncated" },
	{ { 0x280, 0, 0 }, "the file is truncated" },
};

static void refuses_bad_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		bzimage_make(&image);
		image_spoil(&image, refused[i].spoil);
		assert_refused(&ram, &image, refused[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(loads_at_the_preferred_address, setup, teardown),
		cmocka_unit_test_setup_teardown(aligns_where_it_loads, setup, teardown),
		cmocka_unit_test_setup_teardown(takes_setup_sects_0_as_4, setup, teardown),
		cmocka_unit_test_setup_teardown(ignores_what_follows_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(fills_the_zero_page, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_the_header_as_far_as_it_says, setup, teardown),
		cmocka_unit_test_setup_teardown(hands_over_the_e820_map, setup, teardown),
		cmocka_unit_test_setup_teardown(needs_ram_for_all_of_init_size, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_bad_headers, setup, teardown),
	};

	return cmocka_run_group_tests_name("bzimage", tests, NULL, NULL);
}
