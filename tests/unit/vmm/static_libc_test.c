// SPDX-License-Identifier: Apache-2.0
// Tests of static_libc.c: what replaces a part of glibc does the same.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct comparison {
	const char *a, *b;
	size_t len;
	int sign;
};

static const struct comparison comparisons[] = {
	{ "", "", SIZE_MAX, 0 },
	{ "abc", "ABC", SIZE_MAX, 0 },
	{ "nan", "NaN", 3, 0 },
	{ "abc", "abd", SIZE_MAX, -1 },
	{ "ABD", "abc", SIZE_MAX, 1 },
	{ "ab", "abc", SIZE_MAX, -1 },
	{ "abc", "ab", SIZE_MAX, 1 },
	{ "abc", "abd", 2, 0 },
	{ "x", "y", 0, 0 },
	{ "", "a", 1, -1 },
	{ "infinity", "INFINITE", 7, 0 },
	{ "a_b", "A@B", SIZE_MAX, 1 },
	{ "z", "\303", SIZE_MAX, -1 },
	{ "ab\0c", "AB\0d", 4, 0 },
};

static int sign_of(int value)
{
	return (value > 0) - (value < 0);
}

static void comparisons_ignore_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
		const struct comparison *c = &comparisons[i];

		assert_int_equal(sign_of(strncasecmp(c->a, c->b, c->len)), c->sign);
		if (c->len == SIZE_MAX)
			assert_int_equal(sign_of(strcasecmp(c->a, c->b)), c->sign);
	}
}

_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function);

static void an_assertion_says_where_and_aborts(void **state)
{
	char text[600] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		__assert_fail("a < b", "file.c", 12, "f");
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	assert_string_equal(text, "pmvm: file.c:12: f: Assertion `a < b' failed.\n");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons_ignore_case),
		cmocka_unit_test(an_assertion_says_where_and_aborts),
	};

	return cmocka_run_group_tests_name("static_libc", tests, NULL, NULL);
}
