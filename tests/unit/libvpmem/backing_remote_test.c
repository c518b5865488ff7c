// SPDX-License-Identifier: Apache-2.0
/*
 * backing_remote_test.c - a backing whose file another process opens. Then the process with the backing needs no path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"
#include "file_server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- tests -------------------------------------------------------------------------------------------------- */

static void a_file_of_another_process_is_mapped_and_synced(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);
	struct vpmem_backing *b;

	file_make(d->file, 4 * MIB, 7);
	opts.offset = 2 * MIB;
	opts.files = &ops;
	b = must_open(&opts);
	memset(&ops, 0, sizeof(ops));
	assert_int_equal(vpmem_backing_size(b), 2 * MIB);
	assert_int_equal(*(uint8_t *)vpmem_backing_hva(b), (7 + 512) & 0xff);
	*(uint8_t *)vpmem_backing_hva(b) = 'x';
	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(faults.nfdatasyncs, 1);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(file_byte(d->file, 2 * MIB), 'x');
	end_file_server(&server);
}

/* The lock is that of the open file: it lasts as long as the backing, not as long as the other process's copy. */
static void the_lock_comes_with_the_descriptor(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB), here = opts;
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);
	struct vpmem_backing *b;

	opts.files = &ops;
	b = must_open(&opts);
	must_refuse(&here, -EBUSY, "backing store %s is in use by another memory backend of this process",
	            "stop its user");
	must_refuse(&opts, -EBUSY, "backing store %s is in use by another memory backend of this process",
	            "stop its user");
	vpmem_backing_close(b);
	b = must_open(&here);
	vpmem_backing_close(b);
	end_file_server(&server);
}

static void what_open_did_is_undone_unless_kept(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);
	struct vpmem_backing *b;

	opts.files = &ops;
	b = must_open(&opts);
	assert_int_equal(file_size(d->file), MIB);
	vpmem_backing_close(b);
	assert_false(file_exists(d->file));

	/* The part that this process does fails. */
	faults.map_error = ENOMEM;
	assert_int_equal(vpmem_backing_open(&opts, &b, NULL), -ENOMEM);
	faults.map_error = 0;
	assert_false(file_exists(d->file));

	b = must_open(&opts);
	vpmem_backing_keep(b);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), MIB);

	assert_int_equal(truncate(d->file, 0), 0);
	b = must_open(&opts);
	assert_int_equal(file_size(d->file), MIB);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), 0);
	end_file_server(&server);
}

static void errors_are_those_of_the_other_process(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);

	opts.files = &ops;
	must_refuse(&opts, -EINVAL, "Parameter 'size' is missing", "does not exist yet: give the size");
	file_make(d->file, MIB, 0);
	opts.size = 2 * MIB;
	must_refuse(&opts, -EINVAL,
	            "m1 backing store size 0x100000 is too small for 'size' option 0x200000 plus 'offset' option 0x0",
	            "truncate -s 2097152");
	end_file_server(&server);
	opts.size = 0;
	must_refuse(&opts, -EPIPE, "can't open backing store %s for guest RAM: Broken pipe", NULL);
}

static void read_only_private_and_scratch_files_work(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);
	struct vpmem_backing *b;

	file_make(d->file, MIB, 3);
	opts.files = &ops;
	opts.readonly = true;
	b = must_open(&opts);
	assert_true(vpmem_backing_is_rom(b));
	vpmem_backing_close(b);

	opts.readonly = opts.share = false;
	b = must_open(&opts);
	*(uint8_t *)vpmem_backing_hva(b) = 'x';
	vpmem_backing_close(b);
	assert_int_equal(file_byte(d->file, 0), 3);

	opts.path = d->path;
	opts.share = true;
	b = must_open(&opts);
	*(uint8_t *)vpmem_backing_hva(b) = 'x';
	assert_int_equal(files_in(d->path), 1);
	vpmem_backing_close(b);
	end_file_server(&server);
}

/* ---- without any path --------------------------------------------------------------------------------------- */

#define REFUSE(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/* Ends this process at a system call that takes a path. What is allowed of newfstatat is fstat. */
static bool forbid_paths(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_open
		REFUSE(open),
		REFUSE(stat),
		REFUSE(lstat),
		REFUSE(access),
		REFUSE(creat),
		REFUSE(readlink),
		REFUSE(unlink),
		REFUSE(rename),
		REFUSE(statfs),
		REFUSE(truncate),
#endif
		REFUSE(openat),
		REFUSE(openat2),
		REFUSE(readlinkat),
		REFUSE(unlinkat),
		REFUSE(faccessat),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, AT_EMPTY_PATH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Returns what went wrong, or NULL. */
static const char *use_everything(const struct vpmem_backing_options *opts, int process_vm_error)
{
	struct vpmem_error err = { .text = "" };
	struct vpmem_usage usage;
	struct vpmem_backing *b;
	char byte = 'x';

	faults.process_vm_error = process_vm_error;
	if (vpmem_backing_open(opts, &b, &err))
		return "open";
	if (vpmem_backing_store(b, 5, &byte, 1) || vpmem_backing_load(b, 5, &byte, 1) || byte != 'x')
		return "access";
	if (vpmem_backing_room(b) || vpmem_backing_is_truncated(b) || vpmem_backing_usage(b, &usage))
		return "examination";
	if (vpmem_backing_open(opts, &b, &err) != -EBUSY)
		return "lock";
	return vpmem_backing_close(b) ? "close" : NULL;
}

static void run_without_paths(const struct vpmem_backing_options *opts, int process_vm_error)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		const char *what = forbid_paths() ? use_everything(opts, process_vm_error) : "seccomp";

		if (what)
			(void)!write(STDERR_FILENO, what, strlen(what));
		_exit(what ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_function_needs_a_path(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct file_server server = start_file_server();
	struct vpmem_file_ops ops = file_server_ops(&server);

	opts.files = &ops;
	for (int i = 0; i < 4; i++) {
		opts.prealloc = i & 1;
		run_without_paths(&opts, i & 2 ? EPERM : 0);
		assert_false(file_exists(d->file));
	}
	end_file_server(&server);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_file_of_another_process_is_mapped_and_synced),
		CASE(the_lock_comes_with_the_descriptor),
		CASE(what_open_did_is_undone_unless_kept),
		CASE(errors_are_those_of_the_other_process),
		CASE(read_only_private_and_scratch_files_work),
		CASE(no_function_needs_a_path),
	};

	return cmocka_run_group_tests_name("backing_remote", tests, NULL, NULL);
}
