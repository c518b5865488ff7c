// SPDX-License-Identifier: Apache-2.0
// Which files a process reaches by which rules. Each case runs in a child process, in a directory with DIR and FILE.
#include "confined.h"
#include "landlock.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct attempt {
	const char *rule_path; // NULL: no rule
	enum landlock_access access;
	const char *path;
	int flags, error; // of open
} attempts[] = {
	{ NULL, 0, "/etc/passwd", O_RDONLY, EACCES },
	{ NULL, 0, "dir/file", O_RDONLY, EACCES },
	{ "dir", LANDLOCK_READ, "dir/file", O_RDONLY, 0 },
	{ "dir", LANDLOCK_READ, "dir", O_RDONLY | O_DIRECTORY, 0 },
	{ "dir", LANDLOCK_READ, "dir/file", O_RDWR, EACCES },
	{ "dir", LANDLOCK_READ, "dir/new", O_RDWR | O_CREAT, EACCES },
	{ "dir", LANDLOCK_READ, "other", O_RDONLY, EACCES },
	{ "dir", LANDLOCK_READ_WRITE, "dir/file", O_RDWR | O_TRUNC, 0 },
	{ "dir", LANDLOCK_READ_WRITE, "dir/new", O_RDWR | O_CREAT, 0 },
	{ "dir", LANDLOCK_READ_WRITE, "dir/../other", O_RDONLY, EACCES },
	{ "dir", LANDLOCK_READ_WRITE, "dir/link", O_RDONLY, EACCES },
	{ "other", LANDLOCK_READ_WRITE, "other", O_RDWR, 0 },
	{ "missing", LANDLOCK_READ_WRITE, "other", O_RDWR, EACCES },
};

static int attempt(void *arg)
{
	const struct attempt *a = arg;
	const struct landlock_rule rule = { a->rule_path, a->access };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(&rule, a->rule_path ? 1 : 0, false) < 0)
		return 126;
	return open(a->path, a->flags, 0600) < 0 ? errno : 0;
}

static int execute(void *arg)
{
	const struct landlock_rule rule = { "/", LANDLOCK_READ_WRITE };

	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(&rule, 1, false) < 0)
		return 126;
	execl("/bin/true", "true", NULL);
	return errno;
}

static int execute_permitted(void *arg)
{
	const struct landlock_rule rule = { "/", LANDLOCK_RUN };

	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(&rule, 1, false) < 0)
		return 126;
	execl("/bin/true", "true", NULL);
	return errno;
}

// It needs root: others get EPERM by themselves.
static int make_whiteout(void *arg)
{
	const struct landlock_rule rule = { "dir", *(const enum landlock_access *)arg };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_confine(&rule, 1, false) < 0)
		return 126;
	return mknod("dir/whiteout", S_IFCHR, 0) < 0 ? errno : 0;
}

static void test_rules(void **state)
{
	(void)state;
	if (landlock_version() == 0)
		skip();
	for (size_t i = 0; i < COUNT(attempts); i++) {
		int error = run_confined(attempt, (void *)&attempts[i]);

		if (error != attempts[i].error)
			fail_msg("%zu: %s: %d", i, attempts[i].path, error);
	}
	assert_int_equal(run_confined(execute, NULL), EACCES);
	assert_int_equal(run_confined(execute_permitted, NULL), 0);
}

static void test_device_nodes(void **state)
{
	enum landlock_access some = LANDLOCK_READ_WRITE, all = LANDLOCK_ALL;

	(void)state;
	if (landlock_version() == 0 || geteuid() != 0)
		skip();
	assert_int_equal(run_confined(make_whiteout, &some), EACCES);
	assert_int_equal(run_confined(make_whiteout, &all), 0);
}

static int setup(void **state)
{
	char dir[] = "/tmp/landlock-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	mkdir("dir", 0700);
	close(open("dir/file", O_CREAT | O_WRONLY, 0600));
	close(open("other", O_CREAT | O_WRONLY, 0600));
	return symlink("../other", "dir/link");
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rules), cmocka_unit_test(test_device_nodes) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
