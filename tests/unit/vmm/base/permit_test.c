// SPDX-License-Identifier: Apache-2.0
// Which paths and addresses are permitted. The directory of each test is DIR, with DIR/in permitted.
#include "permit.h"
#include "unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void touch(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static int setup(void **state)
{
	char dir[] = "/tmp/permit-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	mkdir("in", 0700);
	mkdir("in/sub", 0700);
	mkdir("out", 0700);
	mkdir("in-too", 0700);
	touch("in/file");
	touch("out/file");
	touch("single");
	assert_int_equal(symlink("../out/file", "in/link"), 0);
	assert_int_equal(symlink("../out/new", "in/dangling"), 0);
	assert_int_equal(symlink("../out", "in/dir"), 0);
	assert_int_equal(symlink("in/file", "good"), 0);
	assert_true(permit_path("out/file"));
	permit_begin();
	assert_int_equal(permit_add("in"), 0);
	assert_int_equal(permit_add("single"), 0);
	assert_int_equal(permit_add("missing"), -ENOENT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"");
}

static const struct {
	const char *path;
	bool is_permitted;
} paths[] = {
	{ "in", true },           { "in/file", true },         { "in/new", true },
	{ "in/sub/new", true },   { "./in//file", true },      { "single", true },
	{ "good", true },         { "in/sub/../file", true },  { "out/file", false },
	{ "in/link", false },     { "in/dangling", false },    { "in/dir/file", false },
	{ "in/dir/new", false },  { "in/../out/file", false }, { "in-too", false },
	{ "in-too/new", false },  { "single/x", false },       { "", false },
	{ "missing", false },     { "missing/x", false },      { "in/missing/x", false },
	{ "/etc/passwd", false }, { "in/sub/new/..", false },  { "/", false },
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		permit_clear_denied();
		if (permit_path(paths[i].path) != paths[i].is_permitted)
			fail_msg("%s", paths[i].path);
		assert_int_equal(permit_was_denied(), !paths[i].is_permitted);
	}
}

static void test_a_directory_that_is_not_there_is_the_error(void **state)
{
	(void)state;
	assert_int_equal(permit_check("in/new"), 0);
	assert_int_equal(permit_check(NULL), -EINVAL);
	assert_int_equal(permit_check("out/new"), -EACCES);
	assert_true(permit_was_denied());
	assert_int_equal(permit_check("missing/new"), -ENOENT);
	assert_int_equal(permit_check("single/new"), -ENOTDIR);
	assert_false(permit_was_denied());
	assert_int_equal(permit_check("/new"), -EACCES);
}

static void test_a_path_below_another_is_added_once(void **state)
{
	(void)state;
	assert_int_equal(permit_add("in/sub"), 0);
	assert_non_null(permit_get(1));
	assert_null(permit_get(2));
	assert_string_equal(strrchr(permit_get(0), '/'), "/in");
}

static bool unix_is_permitted(const char *path, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	memcpy(addr.sun_path, path, len);
	return permit_address((const struct sockaddr *)&addr, sizeof(addr));
}

static bool port_is_permitted(unsigned short port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return permit_address((const struct sockaddr *)&addr, sizeof(addr));
}

static void test_addresses(void **state)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(7) };

	(void)state;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(unix_is_permitted("in/sock", 7));
	assert_false(unix_is_permitted("out/sock", 8));
	assert_false(unix_is_permitted("\0in/sock", 8));
	assert_false(permit_address((const struct sockaddr *)&addr, 1));
	assert_false(port_is_permitted(7));
	assert_int_equal(permit_add_address((const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_true(port_is_permitted(7));
	assert_false(port_is_permitted(8));
	permit_add_all_addresses();
	assert_true(port_is_permitted(8));
	addr.sin_family = AF_PACKET;
	assert_false(permit_address((const struct sockaddr *)&addr, sizeof(addr)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_a_directory_that_is_not_there_is_the_error),
		cmocka_unit_test(test_a_path_below_another_is_added_once),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
