// SPDX-License-Identifier: Apache-2.0
// Nearest names: which mistakes are recognised, and which words are too far from everything.
#include "suggest.h"
#include "unit_test.h"

static const char *const names[] = {
	"smp",
	"m",
	"kernel",
	"initrd",
	"append",
	"nographic",
	"no-reboot",
	"memory-backend-file",
	"virtio-pmem-pci",
	"mem-path",
	"event_idx",
};

static const char *nearest(const char *word)
{
	struct suggest s = { .word = word };

	for (unsigned i = 0; i < COUNT(names); i++)
		suggest_offer(&s, names[i]);
	return s.best;
}

static void finds_the_name_meant(void **state)
{
	static const struct {
		const char *word, *best;
	} cases[] = {
		{ "smpp", "smp" },
		{ "sm", "smp" },
		{ "spm", "smp" }, // neighbours swapped: one error
		{ "kernle", "kernel" },
		{ "kernek", "kernel" },
		{ "Kernel", "kernel" },       // case does not count
		{ "no_reboot", "no-reboot" }, // nor which dash
		{ "mem_path", "mem-path" },
		{ "eventidx", "event_idx" },
		{ "noreboot", "no-reboot" },
		{ "apend", "append" },
		{ "memory-backend-fiel", "memory-backend-file" },
		{ "memorybackendfile", "memory-backend-file" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		assert_non_null(nearest(cases[i].word));
		assert_string_equal(nearest(cases[i].word), cases[i].best);
	}
}

static void leaves_strangers_alone(void **state)
{
	static const char *const words[] = {
		"",
		"x",
		"xy",
		"drive",
		"virtio-blk-pci",
		"virtio-rng-pci",
		"memory-backend-ram-and-more",
		"a-word-that-is-longer-than-any-name-that-anybody-would-ever-type",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(words); i++)
		assert_null(nearest(words[i]));
}

static void of_two_equals_the_first_stays(void **state)
{
	struct suggest s = { .word = "shar" };

	(void)state;
	suggest_offer(&s, "share");
	suggest_offer(&s, "sharp");
	assert_string_equal(s.best, "share");
	suggest_offer(&s, "shar");
	assert_string_equal(s.best, "shar");
	assert_int_equal(s.best_distance, 0);
}

static void dashes_and_case_are_no_errors(void **state)
{
	struct suggest s = { .word = "NO_Reboot" };

	(void)state;
	suggest_offer(&s, "no-reboot");
	assert_string_equal(s.best, "no-reboot");
	assert_int_equal(s.best_distance, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_name_meant),
		cmocka_unit_test(leaves_strangers_alone),
		cmocka_unit_test(dashes_and_case_are_no_errors),
		cmocka_unit_test(of_two_equals_the_first_stays),
	};

	return cmocka_run_group_tests_name("suggest", tests, NULL, NULL);
}
