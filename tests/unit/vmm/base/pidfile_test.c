// SPDX-License-Identifier: Apache-2.0
// The pidfile: what it refuses, and that nobody else's file is overwritten or removed.
#include "pidfile.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct fixture {
	char dir[64], path[96], other[96];
	int fd;
	struct vpmem_error err;
} f;

static int lock_error; // of F_OFD_SETLK; 0: none

int __real_fcntl64(int fd, int cmd, void *arg);
int __wrap_fcntl64(int fd, int cmd, void *arg);
int __wrap_fcntl64(int fd, int cmd, void *arg)
{
	if (cmd != F_OFD_SETLK || lock_error == 0)
		return __real_fcntl64(fd, cmd, arg);
	errno = lock_error;
	return -1;
}

static int setup(void **state)
{
	(void)state;
	snprintf(f.dir, sizeof(f.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/pid", f.dir);
	snprintf(f.other, sizeof(f.other), "%s/other", f.dir);
	f.fd = -1;
	lock_error = 0;
	f.err = (struct vpmem_error) { "", "" };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pidfile_remove(f.path, &f.fd);
	unlink(f.path);
	unlink(f.other);
	return rmdir(f.dir);
}

static int create(void)
{
	return pidfile_create(f.path, &f.fd, &f.err);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode : 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *get(const char *path)
{
	static char text[64];
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	text[len > 0 ? len : 0] = '\0';
	close(fd);
	return text;
}

static const char *our_pid(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	return text;
}

static void holds_the_process_id_and_goes_at_the_end(void **state)
{
	mode_t mask = umask(0);

	(void)state;
	assert_int_equal(create(), 0);
	umask(mask);
	assert_string_equal(get(f.path), our_pid());
	assert_int_equal(mode_of(f.path) & 07777, 0600);
	pidfile_remove(f.path, &f.fd);
	assert_int_equal(f.fd, -1);
	assert_int_equal(mode_of(f.path), 0);
}

static void a_file_that_a_killed_program_left_is_used_again(void **state)
{
	(void)state;
	put(f.path, "1234567\n");
	assert_int_equal(create(), 0);
	assert_string_equal(get(f.path), our_pid());
}

static void a_second_program_is_refused(void **state)
{
	int second = -1;

	(void)state;
	assert_int_equal(create(), 0);
	assert_int_equal(pidfile_create(f.path, &second, &f.err), -EBUSY);
	assert_int_equal(second, -1);
	pidfile_remove(f.path, &second);
	assert_string_equal(get(f.path), our_pid());
}

// As on a file system without locks.
static void a_lock_that_fails_for_another_reason_is_no_second_program(void **state)
{
	(void)state;
	lock_error = ENOLCK;
	assert_int_equal(create(), -ENOLCK);
	assert_non_null(strstr(f.err.text, strerror(ENOLCK)));
	assert_string_equal(f.err.hint, "");
	assert_int_equal(f.fd, -1);
	// It was created, and is gone; one that was there stays.
	assert_int_equal(mode_of(f.path), 0);
	put(f.path, "17\n");
	assert_int_equal(create(), -ENOLCK);
	assert_string_equal(get(f.path), "17\n");
}

// Another program finds the file that we have just created, and locks it first.
static void a_file_that_another_program_has_locked_stays(void **state)
{
	(void)state;
	lock_error = EAGAIN;
	assert_int_equal(create(), -EBUSY);
	assert_true(f.err.hint[0]);
	assert_true(S_ISREG(mode_of(f.path)));
}

static void a_file_with_other_content_stays(void **state)
{
	(void)state;
	put(f.path, "precious\n");
	assert_int_equal(create(), -EEXIST);
	assert_non_null(strstr(f.err.text, "is no pid file"));
	pidfile_remove(f.path, &f.fd);
	assert_string_equal(get(f.path), "precious\n");
}

static void is_refused_and_stays(const char *reason)
{
	mode_t before = mode_of(f.path);

	assert_int_equal(create(), -EINVAL);
	assert_non_null(strstr(f.err.text, f.path));
	assert_non_null(strstr(f.err.text, reason));
	assert_true(f.err.hint[0]);
	assert_int_equal(f.fd, -1);
	pidfile_remove(f.path, &f.fd);
	assert_int_equal(mode_of(f.path), before);
}

static void what_is_no_regular_file_is_refused_and_stays(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(mkfifo(f.path, 0600), 0);
	is_refused_and_stays("not a regular file");
	unlink(f.path);
	memcpy(addr.sun_path, f.path, strlen(f.path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	is_refused_and_stays("not a regular file");
	unlink(f.path);
	assert_int_equal(mkdir(f.path, 0700), 0);
	is_refused_and_stays("not a regular file");
	rmdir(f.path);
	// As /dev/null. Only root may make one; the branch is the same.
	if (mknod(f.path, S_IFCHR | 0666, 1 << 8 | 3) == 0)
		is_refused_and_stays("not a regular file");
}

static void a_symbolic_link_is_refused_and_its_target_stays(void **state)
{
	(void)state;
	put(f.other, "17\n");
	assert_int_equal(symlink(f.other, f.path), 0);
	is_refused_and_stays("symbolic link");
	assert_string_equal(get(f.other), "17\n");
}

static void the_target_of_a_dangling_link_is_not_created(void **state)
{
	(void)state;
	assert_int_equal(symlink(f.other, f.path), 0);
	is_refused_and_stays("symbolic link");
	assert_int_equal(mode_of(f.other), 0);
}

// An administrator removed the first program's file, and a second one has its own there.
static void the_end_of_the_first_leaves_the_file_of_the_second(void **state)
{
	int second = -1;

	(void)state;
	assert_int_equal(create(), 0);
	unlink(f.path);
	assert_int_equal(pidfile_create(f.path, &second, &f.err), 0);
	pidfile_remove(f.path, &f.fd);
	assert_string_equal(get(f.path), our_pid());
	pidfile_remove(f.path, &second);
	assert_int_equal(mode_of(f.path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(holds_the_process_id_and_goes_at_the_end),
		TEST(a_file_that_a_killed_program_left_is_used_again),
		TEST(a_second_program_is_refused),
		TEST(a_lock_that_fails_for_another_reason_is_no_second_program),
		TEST(a_file_that_another_program_has_locked_stays),
		TEST(a_file_with_other_content_stays),
		TEST(what_is_no_regular_file_is_refused_and_stays),
		TEST(a_symbolic_link_is_refused_and_its_target_stays),
		TEST(the_target_of_a_dangling_link_is_not_created),
		TEST(the_end_of_the_first_leaves_the_file_of_the_second),
	};

	return cmocka_run_group_tests_name("pidfile", tests, NULL, NULL);
}
