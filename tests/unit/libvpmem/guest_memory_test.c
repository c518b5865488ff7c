// SPDX-License-Identifier: Apache-2.0
/*
 * guest_memory_test.c - vpmem_gmem_*: the public names of virtio's map of guest memory (gmem_test.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <vpmem.h>

static uint8_t ram[0x2000] __attribute__((aligned(4096)));

static void maps_what_was_added_and_nothing_else(void **state)
{
	struct vpmem_gmem *gmem = vpmem_gmem_create();

	(void)state;
	assert_non_null(gmem);
	assert_null(vpmem_gmem_hva(gmem, 0x100000, 1));
	assert_int_equal(vpmem_gmem_add(gmem, 0x100000, sizeof(ram), ram), 0);
	assert_int_equal(vpmem_gmem_add(gmem, 0x101000, sizeof(ram), ram), -EEXIST);
	assert_int_equal(vpmem_gmem_add(gmem, 0x200000, 0, ram), -EINVAL);
	assert_ptr_equal(vpmem_gmem_hva(gmem, 0x100010, 0x1ff0), ram + 0x10);
	assert_null(vpmem_gmem_hva(gmem, 0x100010, 0x1ff1));
	vpmem_gmem_destroy(gmem);
	vpmem_gmem_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_what_was_added_and_nothing_else),
	};

	return cmocka_run_group_tests_name("guest_memory", tests, NULL, NULL);
}
