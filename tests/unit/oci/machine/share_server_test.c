// SPDX-License-Identifier: Apache-2.0
/*
 * What virtiofsd can reach: instead of it, this program runs itself, tries, and answers as virtiofsd does when it is ready.
 * It needs root, and a root directory that is a mount point, which that of a chroot is not.
 */
#include "share_server.h"

#include "landlock.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- in the place of virtiofsd

static void expect(bool is_as_expected, const char *what)
{
	if (is_as_expected)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void try_all(bool has_landlock)
{
	expect(opens("root/diff/new", O_CREAT | O_WRONLY), "a file in diff");
	expect(mknod("root/diff/whiteout", S_IFCHR | 0600, 0) == 0, "a whiteout in diff");
	expect(rename("root/diff/new", "root/work/new") == 0, "rename to work");
	expect(opens("0/file", O_RDWR), "a file of a volume");
	expect(opens("1", O_RDONLY), "a file that is a volume");
	expect(!opens("1", O_RDWR) && errno == EROFS, "a read-only volume is written");
	expect(!opens("2/file", O_RDWR) && errno == EROFS, "a read-only directory is written");
	expect(opens("0/mounted/under", O_RDONLY), "a file that is mounted below a volume");
	expect(!opens("3/mounted/under", O_RDONLY) && errno == ENOENT, "the same, of a volume that is not recursive");
	expect(!opens("/etc/shadow", O_RDONLY) || !has_landlock, "a file of the host is read");
	if (!has_landlock)
		return;
	expect(!opens("root/lower", O_RDONLY) && errno == EACCES, "a file of the engine is read");
	expect(!opens("root/lower", O_WRONLY | O_TRUNC) && errno == EACCES, "a file of the engine is written");
	expect(rename("root/diff", "root/other") < 0, "diff is renamed");
	expect(!opens("new", O_CREAT | O_WRONLY) && errno == EACCES, "a file beside the volumes");
}

// The arguments of virtiofsd: --fd=N -o source=DIR,...
static int be_virtiofsd(char **argv)
{
	char *dir = strchr(argv[3], '=') + 1;
	uint8_t head[12], answer[20] = { 0 };
	int fd;

	*strchr(dir, ',') = '\0';
	fd = accept(atoi(argv[1] + strlen("--fd=")), NULL, NULL);
	expect(chdir(dir) == 0, "the view");
	expect(recv(fd, head, sizeof(head), MSG_WAITALL) == sizeof(head) && head[0] == 1, "GET_FEATURES");
	try_all(landlock_version() >= 2);
	expect(send(fd, answer, sizeof(answer), 0) == sizeof(answer), "the answer");
	recv(fd, head, sizeof(head), 0);
	return 0;
}

// ---- the test

static const char *program;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void write_file(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void make_tree(char *dir)
{
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	mkdir("view", 0700);
	mkdir("layer", 0700);
	mkdir("layer/diff", 0700);
	mkdir("layer/work", 0700);
	write_file("layer/lower");
	mkdir("volume", 0700);
	write_file("volume/file");
	mkdir("volume/mounted", 0700);
	assert_int_equal(mount("test", "volume/mounted", "tmpfs", 0, NULL), 0);
	write_file("volume/mounted/under");
}

static void start(const char *source, int expected, struct vpmem_error *err)
{
	char dir[] = "/tmp/share-XXXXXX", view[64];
	struct bind binds[] = {
		{ .source = "layer", .name = "root" },
		{ .source = source, .name = "0", .recursive = true },
		{ .source = "volume/file", .name = "1", .readonly = true },
		{ .source = "volume", .name = "2", .readonly = true, .recursive = true },
		{ .source = "volume", .name = "3" },
	};
	const struct share_rule rules[] = { { "root/diff", false }, { "root/work", false }, { "0", false },
		                            { "1", true },          { "2", true },          { "3", false } };
	struct share_plan plan = {
		.program = program, .dir = view, .binds = binds, .nbinds = 5, .rules = rules, .nrules = 6
	};
	struct helper helper = { 0 };
	struct loop loop;
	int fd = -1, rc;

	make_tree(dir);
	snprintf(view, sizeof(view), "%s/view", dir);
	pthread_mutex_lock(&lock);
	assert_int_equal(loop_init(&loop, &lock), 0);
	rc = share_server_start(&helper, &plan, &loop, NULL, NULL, &fd, err);
	if (fd >= 0)
		close(fd);
	helper_end(&helper, 10000);
	loop_fini(&loop);
	pthread_mutex_unlock(&lock);
	if (rc != expected)
		fail_msg("%d: %s", rc, err->text);
	assert_int_equal(umount2("volume/mounted", MNT_DETACH), 0);
	// Its mounts were its own.
	assert_int_equal(access("view/root", F_OK), -1);
	assert_int_equal(chdir("/"), 0);
	snprintf(view, sizeof(view), "rm -r %s", dir);
	assert_int_equal(system(view), 0);
}

static bool is_possible(void)
{
	struct statx root = { 0 };

	return geteuid() == 0 && statx(AT_FDCWD, "/", 0, 0, &root) == 0 &&
	       (root.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static void test_what_it_can_reach(void **state)
{
	struct vpmem_error err = { 0 };

	(void)state;
	if (!is_possible())
		skip();
	start("volume", 0, &err);
}

static void test_volume_that_is_missing(void **state)
{
	struct vpmem_error err = { 0 };

	(void)state;
	if (!is_possible())
		skip();
	start("nowhere", -ENOENT, &err);
	assert_non_null(strstr(err.text, "cannot share 'nowhere': No such file"));
}

static void test_program_that_is_missing(void **state)
{
	struct vpmem_error err = { 0 };
	const char *true_program = program;

	(void)state;
	if (!is_possible())
		skip();
	program = "/nowhere/virtiofsd";
	start("volume", -ENOENT, &err);
	program = true_program;
	// Landlock refuses what is not there as well.
	assert_non_null(strstr(err.text, "could not start virtiofsd: cannot run /nowhere/virtiofsd"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_can_reach),
		cmocka_unit_test(test_volume_that_is_missing),
		cmocka_unit_test(test_program_that_is_missing),
	};

	if (argc > 3)
		return be_virtiofsd(argv);
	program = realpath(argv[1], NULL);
	assert_non_null(program);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
