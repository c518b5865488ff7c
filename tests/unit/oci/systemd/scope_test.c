// SPDX-License-Identifier: Apache-2.0
// Scopes of systemd: what is asked over the bus, and what becomes of each answer.
#include "scope.h"

#include "fake_manager.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define LIFE                                                                                                           \
	"StartTransientUnit libpod-1.scope replace [(Description (of a test)) (Slice (machine.slice)) (Delegate (1)) " \
	"(DefaultDependencies (0)) (CollectMode (inactive-or-failed)) (PIDs ([42]))"

static struct vpmem_error err;
static const struct scope scope = {
	.slice = "machine.slice", .unit = "libpod-1.scope", .description = "of a test", .pid = 42
};

static void each_kind_of_limit_is_a_property(void **state)
{
	static const struct scope_limit limits[] = {
		{ .name = "MemoryMax", .val = 5000 },
		{ .name = "MemorySwapMax", .val = SCOPE_NO_LIMIT },
		{ .name = "AllowedCPUs", .list = "0-2,9" },
	};
	const char *properties = " (MemoryMax (5000)) (MemorySwapMax (18446744073709551615)) (AllowedCPUs ([07 02]))]";
	struct scope limited = scope;
	char expected[1024];

	(void)state;
	limited.limits = limits;
	limited.nlimits = COUNT(limits);
	fake_manager_start(&(struct fake_manager) { .job_result = "done" });
	assert_int_equal(scope_start(&limited, &err), 0);
	assert_int_equal(scope_limit("libpod-1.scope", limits, COUNT(limits), &err), 0);
	snprintf(expected, sizeof(expected), LIFE "%s []\nSetUnitProperties libpod-1.scope 1 [%s\n", properties,
	         properties + 1);
	assert_string_equal(fake_manager_end(), expected);
}

static void the_system_bus_comes_first(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .is_bus = true, .job_result = "done" });
	assert_int_equal(scope_start(&scope, &err), 0);
	assert_string_equal(fake_manager_end(), LIFE "] []\n");
}

static void no_systemd_is_an_error_with_the_next_step(void **state)
{
	(void)state;
	assert_int_equal(scope_start(&scope, &err), -ENOTCONN);
	assert_non_null(strstr(err.text, "systemd not running on this host"));
	assert_non_null(strstr(err.hint, "--cgroup-manager=cgroupfs"));
	fake_manager_start(&(struct fake_manager) { .is_bus = true, .is_bus_without_systemd = true });
	assert_int_equal(scope_start(&scope, &err), -ENOTCONN);
	assert_string_equal(fake_manager_end(), "");
}

static void a_unit_that_has_failed_is_reset(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .job_result = "done", .error = SYSTEMD ".UnitExists" });
	assert_int_equal(scope_start(&scope, &err), 0);
	assert_string_equal(fake_manager_end(), LIFE "] []\nResetFailedUnit libpod-1.scope\n" LIFE "] []\n");
}

static void a_refusal_has_the_text_of_systemd(void **state)
{
	(void)state;
	fake_manager_start(
		&(struct fake_manager) { .job_result = "done", .error = "org.freedesktop.DBus.Error.InvalidArgs" });
	assert_int_equal(scope_start(&scope, &err), -EREMOTEIO);
	assert_string_equal(err.text, "systemd: StartTransientUnit: as the test wants it");
	fake_manager_end();
}

static void a_job_that_fails_is_an_error(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .job_result = "failed" });
	assert_int_equal(scope_start(&scope, &err), -EREMOTEIO);
	assert_string_equal(err.text, "systemd: libpod-1.scope: failed");
	fake_manager_end();
}

static void a_manager_that_goes_away_is_an_error(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .hangs_up = true });
	assert_true(scope_start(&scope, &err) < 0);
	assert_non_null(strstr(err.text, "systemd: "));
	fake_manager_end();
}

static void the_end_waits_for_its_job_and_leaves_no_failed_unit(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .job_result = "done" });
	assert_int_equal(scope_stop("libpod-1.scope", &err), 0);
	assert_string_equal(fake_manager_end(), "StopUnit libpod-1.scope replace\nResetFailedUnit libpod-1.scope\n");
	fake_manager_start(&(struct fake_manager) { .job_result = "canceled" });
	assert_int_equal(scope_stop("libpod-1.scope", &err), -EREMOTEIO);
	fake_manager_end();
}

static void a_unit_that_is_gone_needs_no_end(void **state)
{
	(void)state;
	fake_manager_start(&(struct fake_manager) { .stop_error = SYSTEMD ".NoSuchUnit" });
	assert_int_equal(scope_stop("libpod-1.scope", &err), 0);
	fake_manager_end();
}

static void lists_that_are_none_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", "a", "1-", "3-1", "1,,2", "-1", "1;2", "8192", "0-99999999999999999999"
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		const struct scope_limit limit = { .name = "AllowedCPUs", .list = wrong[i] };

		assert_int_equal(scope_limit("libpod-1.scope", &limit, 1, &err), -EINVAL);
		assert_non_null(strstr(err.text, "AllowedCPUs"));
	}
}

static void names_that_no_unit_has_are_refused(void **state)
{
	static const char *const wrong[] = { "", "a b.scope", "a+b.scope", "a/b.scope", "\xff.scope" };

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(scope_check_name(wrong[i], &err), -EINVAL);
	assert_int_equal(scope_check_name("libpod-1_2.x@y:z.scope", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_limit_is_a_property),
		cmocka_unit_test(the_system_bus_comes_first),
		cmocka_unit_test(no_systemd_is_an_error_with_the_next_step),
		cmocka_unit_test(a_unit_that_has_failed_is_reset),
		cmocka_unit_test(a_refusal_has_the_text_of_systemd),
		cmocka_unit_test(a_job_that_fails_is_an_error),
		cmocka_unit_test(a_manager_that_goes_away_is_an_error),
		cmocka_unit_test(the_end_waits_for_its_job_and_leaves_no_failed_unit),
		cmocka_unit_test(a_unit_that_is_gone_needs_no_end),
		cmocka_unit_test(lists_that_are_none_are_refused),
		cmocka_unit_test(names_that_no_unit_has_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
