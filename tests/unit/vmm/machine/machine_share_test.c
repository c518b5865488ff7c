// SPDX-License-Identifier: Apache-2.0
// Folders of the host: what virtiofsd gets, and what is said when it cannot serve. A script stands for it, which only ends.
#include "machine_share.h"

#include "machine.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit_test.h"

static struct machine *m;
static struct vpmem_error err;
static char dir[64], script[80], folder[80], args_file[80], *old_path;
static int spawn_error;
static unsigned nspawns;

int __real_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[]);
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	nspawns++;
	return spawn_error ? spawn_error : __real_posix_spawnp(pid, file, actions, attr, argv, envp);
}

static int setup(void **state)
{
	static struct machine_config opts;
	static struct chardev_config chardev, *chardevs[] = { &chardev };
	FILE *file;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/machine_share_test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(script, sizeof(script), "%s/virtiofsd", dir);
	snprintf(folder, sizeof(folder), "%s/folder", dir);
	snprintf(args_file, sizeof(args_file), "%s/args", dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	file = fopen(script, "w");
	fprintf(file, "#!/bin/sh\necho \"$*\" >%s\n[ -S /proc/self/fd/3 ] && echo 'no namespaces'\nexit 1\n",
	        args_file);
	fclose(file);
	chmod(script, 0700);
	old_path = strdup(getenv("PATH"));
	setenv("PATH", dir, 1);
	chardev = (struct chardev_config) { .kind = CHARDEV_SOCKET, .id = (char *)"s0" };
	opts = (struct machine_config) { .nshares = 1, .nchardevs = 1, .chardevs = chardevs };
	opts.shares[0] = (struct share_config) { .dir = folder, .chardev = (char *)"s0" };
	m = calloc(1, sizeof(*m));
	m->opts = &opts;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_lock(&m->lock);
	assert_int_equal(loop_init(&m->loop, &m->lock), 0);
	spawn_error = 0;
	nspawns = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_shares_down(m);
	assert_null(m->opts->chardevs[0]->fd);
	assert_int_equal(m->loop.nsources, 0);
	loop_fini(&m->loop);
	pthread_mutex_unlock(&m->lock);
	free(m);
	setenv("PATH", old_path, 1);
	free(old_path);
	unlink(script);
	unlink(args_file);
	rmdir(folder);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void what_it_said_last_is_the_error(void **state)
{
	char args[256] = "", expected[256];
	FILE *file;

	(void)state;
	m->opts->shares[0].sandbox = (char *)"chroot";
	assert_int_equal(machine_shares_up(m, &err), -ECONNRESET);
	assert_string_equal(err.text, "virtiofsd did not start: no namespaces");
	assert_non_null(strstr(err.hint, geteuid() == 0 ? "sandbox=chroot" : "by root"));
	file = fopen(args_file, "r");
	assert_non_null(file);
	assert_non_null(fgets(args, sizeof(args), file));
	fclose(file);
	snprintf(expected, sizeof(expected), "--fd=3 -o source=%s -o sandbox=chroot\n", folder);
	assert_string_equal(args, expected);
}

static void a_missing_program_is_named_with_its_package(void **state)
{
	(void)state;
	spawn_error = ENOENT;
	assert_int_equal(machine_shares_up(m, &err), -ENOENT);
	assert_string_equal(err.text, "could not start virtiofsd: No such file or directory");
	assert_non_null(strstr(err.hint, "apt-get install virtiofsd"));
	assert_non_null(strstr(err.hint, "qemu-system-common"));
	/* PATH, and where Debian has it. */
	assert_int_equal(nspawns, 3);
}

static void a_folder_is_checked_before_it_is_shared(void **state)
{
	(void)state;
	m->opts->shares[0].dir = script;
	assert_int_not_equal(machine_shares_up(m, &err), 0);
	assert_non_null(strstr(err.text, "/virtiofsd': Not a directory"));
	machine_shares_down(m);
	m->opts->shares[0].dir = args_file;
	assert_int_not_equal(machine_shares_up(m, &err), 0);
	assert_non_null(strstr(err.text, "/args': No such file or directory"));
	assert_non_null(strstr(err.hint, "a folder that exists"));
	assert_int_equal(nspawns, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_said_last_is_the_error),
		TEST(a_missing_program_is_named_with_its_package),
		TEST(a_folder_is_checked_before_it_is_shared),
	};

	return cmocka_run_group_tests_name("machine_share", tests, NULL, NULL);
}
