// SPDX-License-Identifier: Apache-2.0
// Messages go on where nobody reads them: whoever logs may hold a lock that everything else waits for.
#include "log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCKED_MAX 30u // seconds until a write that blocks ends the test

struct fixture {
	int saved, reader;
	char text[128 * 1024];
};
static struct fixture fixture;

// Standard error is a pipe without room.
static int setup(void **state)
{
	struct fixture *f = &fixture;
	char dots[4096];
	int fds[2];

	memset(dots, '.', sizeof(dots));
	*state = f;
	f->saved = dup(STDERR_FILENO);
	if (f->saved < 0 || pipe(fds) < 0)
		return -1;
	f->reader = fds[0];
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], dots, sizeof(dots)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	alarm(BLOCKED_MAX);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	alarm(0);
	dup2(f->saved, STDERR_FILENO);
	close(f->saved);
	close(f->reader);
	return 0;
}

// What is in the pipe, as text.
static const char *drain(struct fixture *f)
{
	ssize_t len;

	fcntl(f->reader, F_SETFL, O_NONBLOCK);
	len = read(f->reader, f->text, sizeof(f->text) - 1);
	f->text[len > 0 ? len : 0] = '\0';
	return f->text;
}

static void messages_without_a_reader_are_counted(void **state)
{
	const char *text;

	log_error("one");
	log_info("two");
	drain(*state);
	log_warn("three");
	text = drain(*state);
	assert_non_null(strstr(text, "pmvm: 2 messages were lost: nobody read standard error\n"));
	assert_non_null(strstr(text, "pmvm: warning: three\n"));
	assert_null(strstr(text, "two"));
	log_info("four");
	assert_string_equal(drain(*state), "pmvm: four\n");
}

// Also the line that says how many were left out.
static void what_a_guest_causes_waits_for_nobody(void **state)
{
	struct log_limit limit = { .window_start_ms = 1, .nskipped = 5 };
	const char *text;

	log_guest_at(&limit, "one");
	drain(*state);
	log_guest_at(&limit, "two");
	text = drain(*state);
	assert_non_null(strstr(text, "6 messages like the next one were left out\n"));
	assert_non_null(strstr(text, "pmvm: two\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_without_a_reader_are_counted),
		TEST(what_a_guest_causes_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
