// SPDX-License-Identifier: Apache-2.0
// What a process cannot do behind the walls. Each case runs in a child process.
#include "confined.h"
#include "unit_test.h"
#include "walls.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct walls walls;

// 0: what a case demands holds.
static int behind_the_walls(void *arg)
{
	int (*demand)(void) = *(int (**)(void))arg;
	struct vpmem_error err;

	return walls_raise(&walls, &err) < 0 ? 126 : demand();
}

static int check(int (*demand)(void))
{
	return run_confined(behind_the_walls, &demand);
}

static int no_file_can_be_opened(void)
{
	// A kernel without Landlock that gives no namespaces leaves this wall to the filter of system calls.
	if (walls.landlock == 0 && !walls.empty_root)
		return 0;
	return open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/mem", O_RDWR) >= 0 ||
	       open("/new", O_WRONLY | O_CREAT, 0600) >= 0;
}

static int the_root_is_empty(void)
{
	return walls.empty_root && access("/etc", F_OK) == 0;
}

static int no_program_can_be_run(void)
{
	execl("/bin/true", "true", NULL);
	return walls.landlock > 0 || walls.empty_root ? errno != EACCES && errno != ENOENT : 0;
}

static int nothing_is_dumped(void)
{
	struct rlimit core, files;

	if (getrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return 1;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || core.rlim_max != 0 || files.rlim_max > WALLS_FDS_MAX ||
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

// What needs one: another user, another host name.
static int no_capability_is_left(void)
{
	return setresuid(12345, 12345, 12345) == 0 || sethostname("taken", 5) == 0 || chroot(".") == 0;
}

static int nobody_can_be_reached_by_tcp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (!walls.net_ns && walls.landlock < 4)
		return 0;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || (errno != EACCES && errno != ENETUNREACH);
}

static void test_walls(void **state)
{
	(void)state;
	assert_int_equal(check(no_file_can_be_opened), 0);
	assert_int_equal(check(the_root_is_empty), 0);
	assert_int_equal(check(no_program_can_be_run), 0);
	assert_int_equal(check(nothing_is_dumped), 0);
	assert_int_equal(check(no_capability_is_left), 0);
	assert_int_equal(check(nobody_can_be_reached_by_tcp), 0);
}

static int what_is_open(void)
{
	int n = 0;

	for (int fd = 3; fd < 200; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n = n * 10 + fd % 10;
	return n;
}

static int close_some(void *arg)
{
	const int keep[] = { 104, 106 };

	for (int fd = 101; fd <= 108; fd++)
		dup2(STDERR_FILENO, fd);
	walls_close_inherited(keep, *(unsigned *)arg);
	return what_is_open();
}

static void test_descriptors_that_nobody_named_are_closed(void **state)
{
	unsigned none = 0, one = 1, two = 2;

	(void)state;
	assert_int_equal(run_confined(close_some, &none), 0);
	assert_int_equal(run_confined(close_some, &one), 4);
	assert_int_equal(run_confined(close_some, &two), 46);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walls),
		cmocka_unit_test(test_descriptors_that_nobody_named_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
