// SPDX-License-Identifier: Apache-2.0
// Another user and another root directory: who is found, and that all threads have changed for good.
#include "privileges.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UID 12345u
#define GID 54321u

static struct vpmem_error err;
static struct privileges to;

static int setup(void **state)
{
	(void)state;
	err = (struct vpmem_error) { "", "" };
	return 0;
}

static void test_names_and_numbers_are_found(void **state)
{
	(void)state;
	assert_int_equal(privileges_find("root", &to, &err), 0);
	assert_int_equal(to.uid, 0);
	assert_int_equal(to.gid, 0);
	assert_true(to.ngroups >= 1 && to.groups[0] == 0);
	assert_int_equal(privileges_find("12345:54321", &to, &err), 0);
	assert_int_equal(to.uid, UID);
	assert_int_equal(to.gid, GID);
	assert_int_equal(to.ngroups, 1);
	assert_int_equal(to.groups[0], GID);
}

static void test_who_does_not_exist_is_refused(void **state)
{
	static const char *const users[] = { "",
		                             "no-such-user",
		                             "1",
		                             "1:",
		                             ":1",
		                             "-1:1",
		                             "1:-1",
		                             "1:2:3",
		                             "1: 2",
		                             "x:1",
		                             "1:x",
		                             "roo",
		                             "4294967295:1",
		                             "1:4294967295",
		                             "99999999999999999999:1" };

	(void)state;
	for (unsigned i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		char wanted[128];

		snprintf(wanted, sizeof(wanted), "User \"%s\" doesn't exist (and is not <uid>:<gid>)", users[i]);
		assert_int_equal(privileges_find(users[i], &to, &err), -ENOENT);
		assert_string_equal(err.text, wanted);
		assert_non_null(strstr(err.hint, "UID:GID"));
	}
}

static void test_without_a_user_and_a_directory_nothing_changes(void **state)
{
	char before[4096], after[4096];

	(void)state;
	to = (struct privileges) { .user = NULL };
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(privileges_drop(&to, NULL, &err), 0);
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
	// Whom the process is already, it need not become.
	to = (struct privileges) { .user = "me", .uid = getuid(), .gid = getgid() };
	assert_int_equal(privileges_drop(&to, NULL, &err), 0);
}

// ---- in a process of their own

static int release[2];
static pid_t other_uid;

// The thread's own credentials: those that the kernel has for it.
static void *other_thread(void *opaque)
{
	char byte;

	(void)!read(release[0], &byte, 1);
	other_uid = (pid_t)syscall(SYS_getuid);
	return opaque;
}

static int changed(const char *root)
{
	pthread_t thread;
	int death_signal = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGUSR1) < 0 || pipe2(release, O_CLOEXEC) < 0 ||
	    pthread_create(&thread, NULL, other_thread, NULL))
		return 1;
	if (privileges_find("12345:54321", &to, &err) < 0 || privileges_drop(&to, root, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		return 2;
	}
	(void)!write(release[1], "x", 1);
	pthread_join(thread, NULL);
	if (getuid() != UID || geteuid() != UID || getgid() != GID || other_uid != UID)
		return 3;
	if (getgroups(0, NULL) != 1 || setuid(0) == 0 || setgid(0) == 0)
		return 4;
	// The kernel drops it with the user.
	if (prctl(PR_GET_PDEATHSIG, &death_signal) < 0 || death_signal != SIGUSR1)
		return 6;
	return access("/here", F_OK) == 0 && access("/etc/passwd", F_OK) < 0 ? 0 : 5;
}

static int status_of(int (*run)(const char *), const char *root)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(run(root));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_all_threads_become_the_user_below_the_directory(void **state)
{
	char dir[64], here[80];
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(dir, sizeof(dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(here, sizeof(here), "%s/here", dir);
	assert_int_equal(close(open(here, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)), 0);
	status = status_of(changed, dir);
	unlink(here);
	rmdir(dir);
	assert_int_equal(status, 0);
}

static int refused(const char *root)
{
	if (geteuid() == 0 && setresuid(UID, UID, UID) < 0)
		return 1;
	if (privileges_find("0:0", &to, &err) < 0 || privileges_drop(&to, NULL, &err) != -EPERM)
		return 2;
	if (!strstr(err.text, "cannot become user '0:0': setgroups: ") || !strstr(err.hint, "start it as that user"))
		return 3;
	if (privileges_drop(&to, root, &err) != -EPERM)
		return 4;
	return strstr(err.text, "cannot make '/' the root directory: ") && strstr(err.hint, "CAP_SYS_CHROOT") ? 0 : 5;
}

static void test_an_ordinary_user_is_refused(void **state)
{
	(void)state;
	assert_int_equal(status_of(refused, "/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_names_and_numbers_are_found, setup),
		cmocka_unit_test_setup(test_who_does_not_exist_is_refused, setup),
		cmocka_unit_test_setup(test_without_a_user_and_a_directory_nothing_changes, setup),
		cmocka_unit_test_setup(test_all_threads_become_the_user_below_the_directory, setup),
		cmocka_unit_test_setup(test_an_ordinary_user_is_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
