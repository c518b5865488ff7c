// SPDX-License-Identifier: Apache-2.0
/*
 * backing_lock_test.c - who may use a file at the same time, and how a second user is refused; block devices.
 *
 * The case of the loop device needs root and skips with a message where that is not possible.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- locks --------------------------------------------------------------------------------------- */

static void one_writer_or_many_readers(void **state)
{
	const struct dir *d = *state;
	enum { WRITER, COW, READER, NMODES };
	struct vpmem_backing_options opts[NMODES] = { options(d, 0), options(d, 0), options(d, 0) };

	file_make(d->file, MIB, 0);
	opts[COW].share = false;
	opts[READER].readonly = true;
	for (unsigned i = 0; i < NMODES; i++) {
		for (unsigned j = 0; j < NMODES; j++) {
			struct vpmem_backing *first = must_open(&opts[i]), *second = NULL;
			struct vpmem_error err = { 0 };
			int rc = vpmem_backing_open(&opts[j], &second, &err);

			assert_int_equal(rc, i == WRITER || j == WRITER ? -EBUSY : 0);
			if (rc) {
				assert_non_null(strstr(err.text, d->file));
				assert_non_null(strstr(err.text, "another memory backend of this process"));
				assert_non_null(strstr(err.hint, "readonly=on"));
			}
			vpmem_backing_close(first);
			/* the lock went with it */
			if (rc)
				second = must_open(&opts[j]);
			vpmem_backing_close(second);
		}
	}
}

/* A process that does something, says whether that worked, and then waits until it is ended. */
struct other {
	pid_t pid;
	int down_fd;
	bool worked;
};

static struct other start_other(const struct dir *d, bool (*act)(const struct dir *d))
{
	struct other other;
	int up[2], down[2];
	char byte = 0;

	assert_int_equal(pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
	other.pid = fork();
	assert_true(other.pid >= 0);
	if (other.pid == 0) {
		close(down[1]);
		byte = act(d);
		(void)!write(up[1], &byte, 1);
		/* until the parent closes its end, or is gone */
		(void)!read(down[0], &byte, 1);
		_exit(0);
	}
	close(down[0]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	close(up[1]);
	other.down_fd = down[1];
	other.worked = byte;
	return other;
}

static void end_other(const struct other *other)
{
	close(other->down_fd);
	assert_int_equal(waitpid(other->pid, NULL, 0), other->pid);
}

static bool use_file(const struct dir *d)
{
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;

	return vpmem_backing_open(&opts, &b, NULL) == 0;
}

static void must_be_in_use_by(const struct dir *d, pid_t pid, bool readonly)
{
	struct vpmem_backing_options opts = options(d, MIB);
	char expected[600];

	opts.readonly = readonly;
	/* the name is what the kernel keeps of it: 15 characters */
	snprintf(expected, sizeof(expected), "backing store %s is in use by process %d (backing_lock_te)", d->file,
	         pid);
	must_refuse(&opts, -EBUSY, expected, "readonly=on");
}

static void a_file_in_use_by_another_process_is_refused_by_name(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct other holder;
	int bystander_fd;

	/* who has it open without a lock is not meant: this process */
	file_make(d->file, MIB, 0);
	bystander_fd = open(d->file, O_RDWR | O_CLOEXEC);
	assert_true(bystander_fd >= 0);
	holder = start_other(d, use_file);
	assert_true(holder.worked);
	must_be_in_use_by(d, holder.pid, false);
	must_be_in_use_by(d, holder.pid, true);
	end_other(&holder);
	vpmem_backing_close(must_open(&opts));
	close(bystander_fd);
}

/* What a process may not see: less is said, and the file is refused all the same. */
static void a_holder_that_cannot_be_found_is_another_process(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b = must_open(&opts);
	char own_fdinfo[64];
	const char *const hidden[] = { own_fdinfo, "/proc" };

	must_refuse(&opts, -EBUSY, "backing store %s is in use by another memory backend of this process",
	            "readonly=on");
	snprintf(own_fdinfo, sizeof(own_fdinfo), "/proc/%d/fdinfo", getpid());
	for (unsigned i = 0; i < 2; i++) {
		faults.no_file = hidden[i];
		must_refuse(&opts, -EBUSY, "backing store %s is in use by another process", "readonly=on");
	}
	faults.no_file = NULL;
	vpmem_backing_close(b);
}

/* A host may have a million open files. */
static void the_search_for_a_holder_ends(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b = must_open(&opts);

	faults.clock_step = 3;
	must_refuse(&opts, -EBUSY, "backing store %s is in use by another process", "readonly=on");
	faults.clock_step = 0;
	must_refuse(&opts, -EBUSY, "backing store %s is in use by another memory backend of this process",
	            "readonly=on");
	vpmem_backing_close(b);
}

static void a_holder_that_ends_meanwhile_has_no_name(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct other holder = start_other(d, use_file);
	char comm[64], expected[600];

	assert_true(holder.worked);
	snprintf(comm, sizeof(comm), "/proc/%d/comm", holder.pid);
	faults.no_file = comm;
	snprintf(expected, sizeof(expected), "backing store %s is in use by process %d (?)", d->file, holder.pid);
	must_refuse(&opts, -EBUSY, expected, "readonly=on");
	faults.no_file = NULL;
	end_other(&holder);
}

/* A file system whose server never answers: a stat of a file in it blocks. Returns the server's descriptor, or -1. */
static int mount_dead(const char *where)
{
	int server_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char opts[100];

	if (server_fd < 0)
		return -1;
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", server_fd);
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("dead", where, "fuse", 0, opts) == 0)
		return server_fd;
	close(server_fd);
	return -1;
}

static bool open_dead(const struct dir *d)
{
	/* without a question to the server */
	return mount_dead(d->path) >= 0 && open(d->path, O_PATH | O_CLOEXEC) >= 0;
}

/* A process that comes before the holder has a file of a dead file system open. The search does not wait for it. */
static void the_search_for_a_holder_waits_for_no_other_file_system(void **state)
{
	const struct dir *d = *state;
	struct other dead = start_other(d, open_dead), holder = start_other(d, use_file);

	assert_true(holder.worked);
	/* Were it to wait, this would end the test. */
	alarm(300);
	if (dead.worked)
		must_be_in_use_by(d, holder.pid, false);
	alarm(0);
	/* in this order: the second has inherited the first one's end of a pipe */
	end_other(&holder);
	end_other(&dead);
	if (!dead.worked) {
		print_message("SKIPPED: no FUSE here: it needs root and /dev/fuse\n");
		skip();
	}
}

/* ---- block devices ------------------------------------------------------------------------------- */

/* A loop device on the file, which goes away with its last descriptor; -1 with errno if it cannot be had. */
static int loop_attach(const char *file, char *path, size_t size)
{
	int control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC), nr, file_fd, loop_fd;
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };

	if (control_fd < 0)
		return -1;
	nr = ioctl(control_fd, LOOP_CTL_GET_FREE);
	close(control_fd);
	if (nr < 0)
		return -1;
	snprintf(path, size, "/dev/loop%d", nr);
	loop_fd = open(path, O_RDWR | O_CLOEXEC);
	file_fd = open(file, O_RDWR | O_CLOEXEC);
	config.fd = (unsigned)file_fd;
	if (loop_fd >= 0 && ioctl(loop_fd, LOOP_CONFIGURE, &config)) {
		close(loop_fd);
		loop_fd = -1;
	}
	close(file_fd);
	return loop_fd;
}

static void a_block_device_has_its_own_size(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b, *second;
	struct vpmem_error err;
	char path[64];
	int loop_fd;

	file_make(d->file, 4 * MIB, 7);
	loop_fd = loop_attach(d->file, path, sizeof(path));
	if (loop_fd < 0) {
		print_message("SKIPPED: no loop device: %s\n", strerror(errno));
		skip();
	}
	opts.path = path;
	opts.prealloc = true; /* it has its blocks */
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 4 * MIB);
	assert_int_equal(*(unsigned char *)vpmem_backing_hva(b), 7);
	*(unsigned char *)vpmem_backing_hva(b) = 99;
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(file_byte(d->file, 0), 99);
	/* claimed: a second user, or mount, is refused */
	assert_int_equal(vpmem_backing_open(&opts, &second, &err), -EBUSY);
	assert_non_null(strstr(err.hint, "mounted"));
	assert_int_equal(vpmem_backing_close(b), 0);
	opts.size = 8 * MIB;
	assert_int_equal(vpmem_backing_open(&opts, &second, &err), -EINVAL);
	assert_non_null(strstr(err.text, "size 0x400000 is too small for 'size' option 0x800000"));
	close(loop_fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_writer_or_many_readers),
		CASE(a_file_in_use_by_another_process_is_refused_by_name),
		CASE(a_holder_that_cannot_be_found_is_another_process),
		CASE(the_search_for_a_holder_ends),
		CASE(a_holder_that_ends_meanwhile_has_no_name),
		CASE(the_search_for_a_holder_waits_for_no_other_file_system),
		CASE(a_block_device_has_its_own_size),
	};

	return cmocka_run_group_tests_name("backing_lock", tests, NULL, NULL);
}
