// SPDX-License-Identifier: Apache-2.0
/*
 * backing_file_test.c - the file of a memory backend: what may be opened, creation and its undoing, sizes; each
 * refusal with its text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPEN_TEXT "can't open backing store %s for guest RAM: "

/* ---- options that contradict each other ---------------------------------------------------------- */

static void refuses_contradictions(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts;

	opts = options(d, MIB);
	opts.path = NULL;
	must_refuse(&opts, -EINVAL, "Parameter 'mem-path' is missing", NULL);
	opts.path = "";
	must_refuse(&opts, -EINVAL, "Parameter 'mem-path' is missing", NULL);
	opts = options(d, MIB);
	opts.rom = VPMEM_ROM_ON;
	must_refuse(&opts, -EINVAL, "property 'rom' = 'on' is not supported with 'readonly' = 'off'", NULL);
	opts.rom = VPMEM_ROM_OFF;
	opts.readonly = true;
	must_refuse(&opts, -EINVAL, "property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = 'on'",
	            NULL);
	opts = options(d, MIB);
	opts.prealloc = true;
	opts.reserve = false;
	must_refuse(&opts, -EINVAL, "'prealloc=on' and 'reserve=off' are incompatible", NULL);
	opts = options(d, MIB);
	opts.host_nodes = 1;
	must_refuse(&opts, -EINVAL,
	            "host-nodes must be empty for policy default, or you should explicitly specify a policy other than "
	            "default",
	            NULL);
	opts.host_nodes = 0;
	opts.policy = VPMEM_POLICY_BIND;
	must_refuse(&opts, -EINVAL, "host-nodes must be set for policy bind", NULL);
	opts.policy = VPMEM_POLICY_PREFERRED;
	must_refuse(&opts, -EINVAL, "host-nodes must be set for policy preferred", NULL);
	opts.policy = VPMEM_POLICY_INTERLEAVE;
	must_refuse(&opts, -EINVAL, "host-nodes must be set for policy interleave", NULL);
	/* nothing was created for any of them */
	assert_int_equal(files_in(d->path), 0);
}

static void the_check_touches_no_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_error err;

	assert_int_equal(vpmem_backing_check(&opts, NULL), 0);
	opts.align = 3 * MIB;
	assert_int_equal(vpmem_backing_check(&opts, &err), -EINVAL);
	assert_string_equal(err.text, "alignment 0x300000 must be a power of two");
	assert_int_equal(vpmem_backing_check(&opts, NULL), -EINVAL);
	opts = options(d, MIB);
	opts.policy = VPMEM_POLICY_INTERLEAVE + 1;
	assert_int_equal(vpmem_backing_check(&opts, &err), -EINVAL);
	assert_string_equal(err.text, "Parameter 'policy' is not valid");
	assert_int_equal(files_in(d->path), 0);
}

static void refuses_bad_units_and_takes_the_file_away_again(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	opts.align = 3;
	must_refuse(&opts, -EINVAL, "alignment 0x3 must be multiples of page size 0x1000", NULL);
	opts.align = 0x300000;
	must_refuse(&opts, -EINVAL, "alignment 0x300000 must be a power of two", NULL);
	opts.align = 0;
	opts.offset = 0x800;
	must_refuse(&opts, -EINVAL, "offset 0x800 must be multiples of page size 0x1000", NULL);
	opts.offset = UINT64_MAX - 0xfff;
	must_refuse(&opts, -EFBIG,
	            "'size' option 0x100000 plus 'offset' option 0xfffffffffffff000 is too large for a file", NULL);
	opts.offset = 0;
	opts.size = UINT64_MAX;
	must_refuse(&opts, -EFBIG, "'size' option 0xffffffffffffffff plus 'offset' option 0x0 is too large for a file",
	            NULL);
	assert_int_equal(files_in(d->path), 0);
}

/* ---- what can be opened -------------------------------------------------------------------------- */

static void refuses_what_cannot_be_opened(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	char path[300];

	opts.readonly = true;
	must_refuse(&opts, -ENOENT, OPEN_TEXT "No such file or directory", NULL);
	opts.path = d->path;
	must_refuse(&opts, -EISDIR, OPEN_TEXT "Is a directory", NULL);
	opts.readonly = false;
	snprintf(path, sizeof(path), "%s/no/a.img", d->path);
	opts.path = path;
	must_refuse(&opts, -ENOENT, OPEN_TEXT "No such file or directory", NULL);
	file_make(d->file, MIB, 0);
	snprintf(path, sizeof(path), "%s/a.img", d->file);
	must_refuse(&opts, -ENOTDIR, OPEN_TEXT "Not a directory", NULL);
	snprintf(path, sizeof(path), "%s/link", d->path);
	assert_int_equal(symlink("nowhere", path), 0);
	must_refuse(&opts, -EEXIST, OPEN_TEXT "File exists", "symbolic link");
}

static void refuses_other_kinds_of_files(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* without waiting for a writer */
	assert_int_equal(mkfifo(d->file, 0600), 0);
	must_refuse(&opts, -EINVAL, OPEN_TEXT "it is a FIFO", "regular file");
	opts.readonly = true;
	must_refuse(&opts, -EINVAL, OPEN_TEXT "it is a FIFO", "regular file");
	unlink(d->file);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", d->file);
	assert_int_equal(bind(sock_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	must_refuse(&opts, -EINVAL, OPEN_TEXT "it is a socket", "regular file");
	close(sock_fd);
	opts.path = "/dev/null";
	must_refuse(&opts, -EINVAL, OPEN_TEXT "it is a character device", "regular file");
}

static void refuses_a_file_without_permission(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;

	file_make(d->file, MIB, 0);
	assert_int_equal(chmod(d->file, 0444), 0);
	assert_int_equal(chmod(d->path, 0755), 0);
	if (geteuid() == 0 && seteuid(65534)) {
		print_message("SKIPPED: cannot become another user: %s\n", strerror(errno));
		skip();
	}
	must_refuse(&opts, -EACCES, OPEN_TEXT "Permission denied", "readonly=on");
	opts.share = false;
	must_refuse(&opts, -EACCES, OPEN_TEXT "Permission denied", "readonly=on,rom=off");
	/* what the hints say works */
	opts.readonly = true;
	opts.rom = VPMEM_ROM_OFF;
	b = must_open(&opts);
	assert_true(writable(vpmem_backing_hva(b)));
	vpmem_backing_close(b);
	opts.rom = VPMEM_ROM_AUTO;
	opts.share = true;
	vpmem_backing_close(must_open(&opts));
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

/* On a file system that is mounted read-only; immutable (chattr +i). */
static void refuses_a_file_that_cannot_be_written(void **state)
{
	static const struct {
		int error;
		const char *text;
	} cases[] = {
		{ EROFS, OPEN_TEXT "Read-only file system" },
		{ EPERM, OPEN_TEXT "Operation not permitted" },
	};
	const struct dir *d = *state;

	file_make(d->file, MIB, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct vpmem_backing_options opts = options(d, MIB);

		faults.open_error = cases[i].error;
		must_refuse(&opts, -cases[i].error, cases[i].text, "readonly=on");
		opts.share = false;
		must_refuse(&opts, -cases[i].error, cases[i].text, "readonly=on,rom=off");
		/* what the hint says works */
		opts.readonly = true;
		opts.rom = VPMEM_ROM_OFF;
		vpmem_backing_close(must_open(&opts));
	}
}

/* The open descriptors of this file, each of which is closed on exec; the last of them in *fd. */
static unsigned descriptors_of(const char *path, int *fd)
{
	char name[300], link[64];
	unsigned nfound = 0;

	for (int i = 0; i < 64; i++) {
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", i);
		len = readlink(link, name, sizeof(name) - 1);
		if (len < 0)
			continue;
		name[len] = '\0';
		if (strcmp(name, path))
			continue;
		assert_true(fcntl(i, F_GETFD) & FD_CLOEXEC);
		*fd = i;
		nfound++;
	}
	return nfound;
}

static void one_descriptor_for_map_and_sync(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);

	/* created, then existing */
	for (int i = 0; i < 2; i++) {
		struct vpmem_backing *b = must_open(&opts);
		int fd = -1;

		vpmem_backing_keep(b);
		assert_int_equal(descriptors_of(d->file, &fd), 1);
		vpmem_backing_sync(b);
		assert_int_equal(faults.synced_fd, fd);
		vpmem_backing_close(b);
		assert_int_equal(descriptors_of(d->file, &fd), 0);
	}
}

/* ---- creating and taking back -------------------------------------------------------------------- */

static void a_missing_file_is_created_and_goes_away_unless_kept(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 4 * MIB);
	struct vpmem_backing *b = must_open(&opts);
	struct stat st;

	assert_int_equal(stat(d->file, &st), 0);
	assert_int_equal(st.st_size, 4 * MIB);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(st.st_mode & 0777 & ~0644u, 0);
	/* its name is as durable as its data */
	assert_int_equal(faults.nfsyncs, 1);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_false(file_exists(d->file));
	assert_int_equal(faults.nfdatasyncs, 0);

	b = must_open(&opts);
	vpmem_backing_keep(b);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(file_size(d->file), 4 * MIB);
	/* and a file that was there before stays in any case */
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(file_size(d->file), 4 * MIB);
}

static void created_with_offset_the_file_is_larger(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 2 * MIB);
	struct vpmem_backing *b;

	opts.offset = MIB;
	b = must_open(&opts);
	assert_int_equal(file_size(d->file), 3 * MIB);
	vpmem_backing_close(b);
}

static void a_file_of_another_is_not_removed(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b = must_open(&opts);

	assert_int_equal(unlink(d->file), 0);
	file_make(d->file, 100, 0);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), 100);
}

static void a_created_file_that_others_use_by_now_stays(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *first, *second;

	opts.share = false;
	first = must_open(&opts);
	second = must_open(&opts);
	vpmem_backing_close(first);
	assert_true(file_exists(d->file));
	vpmem_backing_close(second);
}

static void an_empty_file_grows_and_shrinks_back_unless_kept(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;

	file_make(d->file, 0, 0);
	b = must_open(&opts);
	assert_int_equal(file_size(d->file), MIB);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), 0);
	/* so also if the start fails later */
	opts.host_nodes = UINT64_C(1) << 63;
	opts.policy = VPMEM_POLICY_BIND;
	assert_int_not_equal(vpmem_backing_open(&opts, &b, NULL), 0);
	assert_int_equal(file_size(d->file), 0);
	opts = options(d, MIB);
	b = must_open(&opts);
	vpmem_backing_keep(b);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), MIB);
}

static void a_directory_gives_a_scratch_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *first, *second;

	opts.path = d->path;
	for (int i = 0; i < 2; i++) {
		faults.no_tmpfile = i == 1;
		first = must_open(&opts);
		second = must_open(&opts);
		assert_int_equal(files_in(d->path), 0);
		*(char *)vpmem_backing_hva(first) = 'x';
		assert_int_equal(*(char *)vpmem_backing_hva(second), 0);
		vpmem_backing_keep(first);
		assert_int_equal(vpmem_backing_sync(first), 0);
		vpmem_backing_close(first);
		vpmem_backing_close(second);
		assert_int_equal(files_in(d->path), 0);
	}
}

static void a_file_that_vanishes_while_it_is_opened_is_not_used(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB);
	struct vpmem_backing *b;
	struct vpmem_error err;

	for (int is_new = 0; is_new < 2; is_new++) {
		if (!is_new)
			file_make(d->file, MIB, 0);
		faults.unlink_after_open = d->file;
		assert_int_equal(vpmem_backing_open(&opts, &b, &err), -ESTALE);
		assert_non_null(strstr(err.hint, "try again"));
		assert_int_equal(files_in(d->path), 0);
	}
}

/* ---- sizes --------------------------------------------------------------------------------------- */

static void size_is_taken_from_the_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct vpmem_backing *b;

	file_make(d->file, 3 * MIB + 100, 0);
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 3 * MIB + 100);
	vpmem_backing_close(b);
	opts.offset = MIB;
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), 2 * MIB + 100);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), 3 * MIB + 100);
	opts.offset = 4 * MIB;
	must_refuse(&opts, -EINVAL, "m1 backing store size 0x300064 has nothing beyond 'offset' option 0x400000", NULL);
}

static void size_is_needed_where_there_is_no_file(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);

	must_refuse(&opts, -EINVAL, "Parameter 'size' is missing", "does not exist");
	assert_false(file_exists(d->file));
	opts.path = d->path;
	must_refuse(&opts, -EINVAL, "Parameter 'size' is missing", "directory");
	opts.path = d->file;
	file_make(d->file, 0, 0);
	must_refuse(&opts, -EINVAL, "Parameter 'size' is missing", "empty");
}

static void a_file_with_content_is_never_extended(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 8 * MIB);

	file_make(d->file, 4 * MIB, 0);
	must_refuse(&opts, -EINVAL,
	            "m1 backing store size 0x400000 is too small for 'size' option 0x800000 plus 'offset' option 0x0",
	            "truncate -s 8388608");
	opts.size = MIB;
	opts.offset = 4 * MIB;
	must_refuse(
		&opts, -EINVAL,
		"m1 backing store size 0x400000 is too small for 'size' option 0x100000 plus 'offset' option 0x400000",
		"truncate -s 5242880");
	/* read-only, not even an empty one */
	opts.offset = 0;
	opts.readonly = true;
	file_make(d->file, 0, 0);
	must_refuse(&opts, -EINVAL,
	            "m1 backing store size 0x0 is too small for 'size' option 0x100000 plus 'offset' option 0x0",
	            "truncate");
	assert_int_equal(file_size(d->file), 0);
}

static void a_part_of_the_file_is_fine_and_size_is_rounded_to_pages(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, MIB + 1);
	struct vpmem_backing *b;

	file_make(d->file, 4 * MIB, 0);
	b = must_open(&opts);
	assert_int_equal(vpmem_backing_size(b), MIB + 4096);
	vpmem_backing_close(b);
	assert_int_equal(file_size(d->file), 4 * MIB);
}

/* Data that a sync made durable was acknowledged: closing without vpmem_backing_keep must not take it back. */
static void what_was_synced_is_not_undone(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 2 * MIB);
	struct vpmem_backing *b = must_open(&opts);

	assert_int_equal(vpmem_backing_sync(b), 0);
	assert_int_equal(vpmem_backing_close(b), 0);
	assert_int_equal(file_size(d->file), 2 * MIB);
	vpmem_backing_close(must_open(&opts));
	assert_int_equal(file_size(d->file), 2 * MIB);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(refuses_contradictions),
		CASE(the_check_touches_no_file),
		CASE(refuses_bad_units_and_takes_the_file_away_again),
		CASE(refuses_what_cannot_be_opened),
		CASE(refuses_other_kinds_of_files),
		CASE(refuses_a_file_without_permission),
		CASE(refuses_a_file_that_cannot_be_written),
		CASE(one_descriptor_for_map_and_sync),
		CASE(a_missing_file_is_created_and_goes_away_unless_kept),
		CASE(created_with_offset_the_file_is_larger),
		CASE(a_file_of_another_is_not_removed),
		CASE(a_created_file_that_others_use_by_now_stays),
		CASE(an_empty_file_grows_and_shrinks_back_unless_kept),
		CASE(a_directory_gives_a_scratch_file),
		CASE(a_file_that_vanishes_while_it_is_opened_is_not_used),
		CASE(size_is_taken_from_the_file),
		CASE(size_is_needed_where_there_is_no_file),
		CASE(a_file_with_content_is_never_extended),
		CASE(a_part_of_the_file_is_fine_and_size_is_rounded_to_pages),
		CASE(what_was_synced_is_not_undone),
	};

	return cmocka_run_group_tests_name("backing_file", tests, NULL, NULL);
}
