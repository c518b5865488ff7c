// SPDX-License-Identifier: Apache-2.0
// A mount in which a file belongs to the user of a machine.
#include "binds.h"
#include "error.h"
#include "owner_map.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER 1879048200u

static char path[64];

// Of root, with this mode: a mount of it.
static int take_file(mode_t mode)
{
	struct vpmem_error err = { 0 };
	int fd;

	snprintf(path, sizeof(path), "/tmp/owner-map-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	fd = binds_take(path, false, &err);
	if (fd < 0) {
		unlink(path);
		print_message("skipped: %s\n", err.text);
		skip();
	}
	return fd;
}

static void check_owner(int fd, uid_t uid)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, uid);
	close(fd);
	// Of the file itself nothing has changed.
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	unlink(path);
}

static void the_file_belongs_to_the_user(void **state)
{
	struct vpmem_error err = { 0 };
	int fd = take_file(0600), rc;

	(void)state;
	rc = owner_map_file(fd, -1, USER, true, &err);
	if (rc == -EINVAL) {
		assert_non_null(strstr(err.text, "idmapped mounts"));
		close(fd);
		unlink(path);
		print_message("skipped: %s\n", err.text);
		skip();
	}
	assert_int_equal(rc, 0);
	check_owner(fd, USER);
}

static void what_all_may_use_stays_as_it_is(void **state)
{
	static const struct {
		mode_t mode;
		bool readonly;
		uint32_t uid;
	} cases[] = { { 0644, true, USER }, { 0666, false, USER }, { 0600, false, 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int fd = take_file(cases[i].mode);

		assert_int_equal(owner_map_file(fd, -1, cases[i].uid, cases[i].readonly, NULL), 0);
		check_owner(fd, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_belongs_to_the_user),
		cmocka_unit_test(what_all_may_use_stays_as_it_is),
	};

	return cmocka_run_group_tests_name("owner_map", tests, NULL, NULL);
}
