// SPDX-License-Identifier: Apache-2.0
/*
 * backing_answer_test.c - the answer of the process that opens the file of a backing is not believed if it cannot be
 * true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backing_fixture.h"

#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SIZE (4 * MIB)

/* The other process, here: what it answers is changed by `lie`. */
struct liar {
	void (*lie)(struct vpmem_file *file);
	int rc;
	const char *text; /* with rc: the error's, NULL: it has no end */
	unsigned nremoves;
};

static int open_and_lie(void *opaque, const struct vpmem_file_request *request, const char *id, const char *path,
                        struct vpmem_file *file, struct vpmem_error *err)
{
	const struct liar *liar = opaque;
	int rc;

	if (liar->rc) {
		memset(err, 'x', sizeof(*err));
		if (liar->text)
			snprintf(err->text, sizeof(err->text), "%s", liar->text);
		return liar->rc;
	}
	rc = vpmem_file_open(request, id, path, 0, file, err);
	if (rc == 0 && liar->lie)
		liar->lie(file);
	return rc;
}

static int count_remove(void *opaque, const char *path, int fd)
{
	((struct liar *)opaque)->nremoves++;
	return vpmem_file_remove(path, fd);
}

/* Puts another open file in the place of the descriptor. */
static void replace(struct vpmem_file *file, int fd)
{
	assert_true(fd >= 0);
	close(file->fd);
	file->fd = fd;
}

static void lie_no_fd(struct vpmem_file *file)
{
	close(file->fd);
	file->fd = -1;
}

static void lie_closed_fd(struct vpmem_file *file)
{
	close(file->fd);
	file->fd = 1 << 20;
}

static void lie_pipe(struct vpmem_file *file)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	replace(file, fds[0]);
}

static void lie_read_only(struct vpmem_file *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	replace(file, open(path, O_RDONLY | O_CLOEXEC));
}

static void lie_path_only(struct vpmem_file *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	replace(file, open(path, O_PATH | O_RDWR | O_CLOEXEC));
}

static void lie_zero(struct vpmem_file *file)
{
	replace(file, open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void lie_truncated(struct vpmem_file *file)
{
	assert_int_equal(ftruncate(file->fd, (off_t)file->size - 1), 0);
}

#define LIE(name, statement)                            \
	static void lie_##name(struct vpmem_file *file) \
	{                                               \
		statement;                              \
	}

LIE(kind_range, file->kind = BACKING_DAX + 1)
LIE(kind_huge, file->kind = UINT32_MAX)
LIE(kind_block, file->kind = BACKING_BLOCK)
LIE(kind_dax, file->kind = BACKING_DAX)
LIE(flags, file->flags = 4)
LIE(page_size_0, file->page_size = 0)
LIE(page_size_large, file->page_size *= 2)
LIE(huge_page_size_odd, file->flags = BACKING_FILE_HUGE; file->page_size = 3 * MIB)
LIE(huge_page_size_small, file->flags = BACKING_FILE_HUGE; file->page_size = 512)
LIE(huge_page_size_large, file->flags = BACKING_FILE_HUGE; file->page_size = UINT64_C(1) << 41)
LIE(size_0, file->size = 0)
LIE(size_large, file->size = UINT64_MAX)
LIE(size_less, file->size -= 4096)
LIE(undo_range, file->undo = BACKING_UNDO_GROW + 1)
LIE(domain, file->domain = BACKING_DOMAIN_CACHE + 1)

static void an_answer_that_cannot_be_true_is_refused(void **state)
{
	static const struct {
		const char *name;
		void (*lie)(struct vpmem_file *file);
	} lies[] = {
		{ "descriptor", lie_no_fd },
		{ "descriptor", lie_closed_fd },
		{ "descriptor", lie_pipe },
		{ "descriptor", lie_read_only },
		{ "descriptor", lie_path_only },
		{ "descriptor", lie_zero },
		{ "descriptor", lie_kind_range },
		{ "descriptor", lie_kind_huge },
		{ "descriptor", lie_kind_block },
		{ "descriptor", lie_kind_dax },
		{ "flags", lie_flags },
		{ "page size", lie_page_size_0 },
		{ "page size", lie_page_size_large },
		{ "page size", lie_huge_page_size_odd },
		{ "page size", lie_huge_page_size_small },
		{ "page size", lie_huge_page_size_large },
		{ "size", lie_size_0 },
		{ "size", lie_size_large },
		{ "size", lie_size_less },
		{ "undo", lie_undo_range },
		{ "persistence domain", lie_domain },
	};
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct liar liar = { 0 };
	struct vpmem_file_ops ops = { .open = open_and_lie, .remove = count_remove, .opaque = &liar };
	char hint[128];

	file_make(d->file, SIZE, 0);
	opts.files = &ops;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		unsigned nfds = files_in("/proc/self/fd");

		liar.lie = lies[i].lie;
		snprintf(hint, sizeof(hint), "cannot be true: its %s", lies[i].name);
		must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", hint);
		assert_int_equal(files_in("/proc/self/fd"), nfds);
	}
	assert_int_equal(file_size(d->file), SIZE);
	assert_int_equal(liar.nremoves, 0);
}

static void lie_created(struct vpmem_file *file)
{
	file->undo = BACKING_UNDO_CREATE;
}

static void lie_grown(struct vpmem_file *file)
{
	file->undo = BACKING_UNDO_GROW;
}

/* Nothing is lost by an answer that has a file removed or emptied which cannot have been new. */
static void a_file_that_was_not_new_is_not_undone(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE / 2);
	struct liar liar = { .lie = lie_grown };
	struct vpmem_file_ops ops = { .open = open_and_lie, .remove = count_remove, .opaque = &liar };

	file_make(d->file, SIZE, 0);
	opts.files = &ops;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its undo");
	liar.lie = lie_created;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its undo");
	opts.size = 0;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its undo");
	opts.readonly = true;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its undo");
	liar.lie = lie_truncated;
	opts.readonly = false;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its size");
	/* must_refuse opens twice */
	assert_int_equal(file_size(d->file), SIZE - 2);
	assert_int_equal(liar.nremoves, 0);
}

/* Without size=, the answer alone has the size. */
static void a_size_is_that_of_the_file_at_most(void **state)
{
	static void (*const lies[])(struct vpmem_file *) = { lie_size_0, lie_size_large, lie_truncated };
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, 0);
	struct liar liar = { 0 };
	struct vpmem_file_ops ops = { .open = open_and_lie, .remove = count_remove, .opaque = &liar };

	file_make(d->file, SIZE, 0);
	opts.files = &ops;
	opts.offset = MIB;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		liar.lie = lies[i];
		must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", "its size");
	}
}

static void sizes_that_the_other_process_should_have_refused(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, UINT64_MAX - 1);
	struct liar liar = { 0 };
	struct vpmem_file_ops ops = { .open = open_and_lie, .remove = count_remove, .opaque = &liar };

	file_make(d->file, SIZE, 0);
	opts.files = &ops;
	must_refuse(&opts, -EFBIG, "'size' option 0xfffffffffffffffe plus 'offset' option 0x0 is too large for a file",
	            NULL);
}

static void a_refusal_is_an_errno_and_a_text(void **state)
{
	const struct dir *d = *state;
	struct vpmem_backing_options opts = options(d, SIZE);
	struct liar liar = { .rc = -ENXIO, .text = "" };
	struct vpmem_file_ops ops = { .open = open_and_lie, .remove = count_remove, .opaque = &liar };
	struct vpmem_backing *b = NULL;
	struct vpmem_error err;

	opts.files = &ops;
	must_refuse(&opts, -ENXIO, "can't open backing store %s for guest RAM: No such device or address", NULL);
	liar.rc = 1;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", NULL);
	liar.rc = -4096;
	must_refuse(&opts, -EPROTO, "can't open backing store %s for guest RAM: Protocol error", NULL);
	liar.text = NULL;
	assert_int_equal(vpmem_backing_open(&opts, &b, &err), -EPROTO);
	assert_int_equal(strnlen(err.text, sizeof(err.text)), sizeof(err.text) - 1);
	assert_int_equal(strnlen(err.hint, sizeof(err.hint)), sizeof(err.hint) - 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_answer_that_cannot_be_true_is_refused), CASE(a_file_that_was_not_new_is_not_undone),
		CASE(a_size_is_that_of_the_file_at_most),       CASE(sizes_that_the_other_process_should_have_refused),
		CASE(a_refusal_is_an_errno_and_a_text),
	};

	return cmocka_run_group_tests_name("backing_answer", tests, NULL, NULL);
}
