// SPDX-License-Identifier: Apache-2.0
// The cache of images: locks, crashes, a full disk, its limit, and what `pmvm-oci layers` prints.
#include "layer_cache.h"
#include "store.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct store *store_of(void **state)
{
	if (!*state)
		skip();
	store_mount(*state);
	return *state;
}

static void find(struct store *store, struct rootfs *rootfs)
{
	struct vpmem_error err = { .text = "" };

	if (rootfs_find(store->merged, &store->settings, rootfs, &err))
		fail_msg("%s", err.text);
	assert_int_equal(rootfs->nlayers, 2);
}

typedef int report_fn(const struct layer_settings *settings, FILE *out, struct vpmem_error *err);

static int list_json(const struct layer_settings *settings, FILE *out, struct vpmem_error *err)
{
	return layers_list(settings, NULL, true, out, err);
}

static int list_table(const struct layer_settings *settings, FILE *out, struct vpmem_error *err)
{
	return layers_list(settings, NULL, false, out, err);
}

// What it prints, in a buffer that the next call overwrites.
static const char *report(report_fn *fn, struct store *store, int expected_rc)
{
	static char text[4096];
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct vpmem_error err = { .text = "" };

	assert_non_null(out);
	memset(text, 0, sizeof(text));
	assert_int_equal(fn(&store->settings, out, &err), expected_rc);
	assert_true((expected_rc == 0) == (err.text[0] == '\0'));
	fclose(out);
	return text;
}

static void an_image_in_use_is_not_removed(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs, other;

	find(store, &rootfs);
	find(store, &other);
	assert_non_null(strstr(report(layers_prune, store, 0), "0 removed, 0.0 MiB; 2 in use"));
	rootfs_fini(&other);
	assert_non_null(strstr(report(layers_prune, store, 0), "2 in use"));
	assert_int_equal(store_count(store, ".erofs"), 2);
	rootfs_fini(&rootfs);
	assert_non_null(strstr(report(layers_prune, store, 0), "2 removed, 0.0 MiB; 0 in use"));
	assert_int_equal(store_count(store, ""), 0);
	find(store, &rootfs);
	assert_true(rootfs.layers[0].is_new && rootfs.layers[1].is_new);
	rootfs_fini(&rootfs);
}

static void a_forked_process_keeps_it_in_use(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;
	int fds[2];
	pid_t pid;

	find(store, &rootfs);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char byte;

		close(fds[1]);
		_exit(read(fds[0], &byte, 1) != 0);
	}
	close(fds[0]);
	rootfs_fini(&rootfs);
	assert_non_null(strstr(report(layers_prune, store, 0), "2 in use"));
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_non_null(strstr(report(layers_prune, store, 0), "2 removed"));
}

// Whether the process waits for a lock.
static bool is_waiting(pid_t pid)
{
	char line[256], expected[64];
	FILE *locks = fopen("/proc/locks", "re");
	bool is = false;

	assert_non_null(locks);
	snprintf(expected, sizeof(expected), "WRITE %d ", (int)pid);
	while (!is && fgets(line, sizeof(line), locks))
		is = strstr(line, "->") && strstr(line, expected);
	fclose(locks);
	return is;
}

static void a_lock_whose_file_was_removed_is_taken_again(void **state)
{
	struct store *store = store_of(state);
	struct layer_files files;
	int lock_fd, status;
	pid_t pid;

	store_run("mkdir -m 700 cache");
	assert_int_equal(layer_files_init(&files, store->cache, "key"), 0);
	lock_fd = layer_cache_lock(&files, true);
	assert_true(lock_fd >= 0);
	assert_int_equal(layer_cache_lock(&files, false), -EWOULDBLOCK);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct stat by_fd, by_path;
		int fd;

		close(lock_fd); // the same open file: it would keep the lock
		fd = layer_cache_lock(&files, true);
		_exit(fd < 0 || fstat(fd, &by_fd) < 0 || stat(files.lock, &by_path) < 0 ||
		      by_fd.st_ino != by_path.st_ino);
	}
	for (unsigned i = 0; i < 20000 && !is_waiting(pid); i++)
		usleep(1000);
	assert_int_equal(unlink(files.lock), 0);
	close(lock_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	layer_files_fini(&files);
}

static void of_several_one_makes_it(void **state)
{
	enum { N = 6 };
	struct store *store = store_of(state);
	unsigned made = 0;
	pid_t pids[N];

	for (unsigned i = 0; i < N; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			struct rootfs rootfs;
			int rc = rootfs_find(store->merged, &store->settings, &rootfs, NULL);

			_exit(rc ? 99 : rootfs.layers[0].is_new + rootfs.layers[1].is_new);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
		made += (unsigned)WEXITSTATUS(status);
	}
	assert_int_equal(made, 2);
	assert_int_equal(store_count(store, ".erofs"), 2);
	assert_int_equal(store_count(store, ".tmp"), 0);
}

// A mkfs.erofs that is slow at first, and one that ends as a crash does.
static void with_program(struct store *store, const char *script)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/mkfs", store->dir);
	store_run("printf '#!/bin/sh\\n%s\\n' >%s && chmod +x %s", script, path, path);
	store->settings.mkfs_erofs = path;
}

static void a_killed_maker_leaves_nothing_that_matters(void **state)
{
	struct store *store = store_of(state);
	const char *mkfs = store->settings.mkfs_erofs;
	struct rootfs rootfs;
	pid_t pid;

	// $7 is the temporary image.
	with_program(store, "echo half >\"$7\"; exec sleep 600");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(rootfs_find(store->merged, &store->settings, &rootfs, NULL) != 0);
	for (unsigned i = 0; i < 20000 && store_count(store, ".tmp") == 0; i++)
		usleep(1000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(store_count(store, ".erofs"), 0);
	assert_int_equal(store_count(store, ".tmp"), 1);

	store->settings.mkfs_erofs = mkfs;
	find(store, &rootfs);
	assert_int_equal(store_count(store, ".tmp"), 0);
	report(layers_verify, store, 0);
	rootfs_fini(&rootfs);

	store_run("touch cache/x.tmp cache/y.json cache/z.lock cache/v.json.tmp cache/other");
	report(layers_prune, store, 0);
	assert_int_equal(store_count(store, ""), 1); // "other" is none of ours
}

static void a_failed_program_leaves_nothing(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err;
	struct rootfs rootfs;

	with_program(store, "echo half >\"$7\"; echo I am broken >&2; exit 1");
	assert_int_equal(rootfs_find(store->merged, &store->settings, &rootfs, &err), -EIO);
	assert_non_null(strstr(err.text, "overlay/b/diff: "));
	assert_non_null(strstr(err.text, "exit status 1: I am broken"));
	rootfs_fini(&rootfs);
	assert_int_equal(store_count(store, ""), 0);
}

static void a_full_disk_is_reported_and_leaves_nothing(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err;
	struct rootfs rootfs;

	store_run("umount %s && head -c 3000000 /dev/urandom >overlay/b/diff/large", store->merged);
	store_mount(store);
	store_limit_cache(store, "2m");
	assert_int_equal(rootfs_find(store->merged, &store->settings, &rootfs, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "overlay/b/diff"));
	assert_non_null(strstr(err.hint, "pmvm-oci layers prune"));
	rootfs_fini(&rootfs);
	assert_int_equal(store_count(store, ""), 0);
	store_run("umount %s", store->cache);
}

static void a_layer_beyond_the_limit_is_refused(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err;
	struct rootfs rootfs;

	store_run("umount %s && head -c 3000000 /dev/urandom >overlay/b/diff/large", store->merged);
	store_mount(store);
	store->settings.limit = 2u << 20;
	assert_int_equal(rootfs_find(store->merged, &store->settings, &rootfs, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "2097152 bytes"));
	assert_non_null(strstr(err.hint, "oci.conf"));
	rootfs_fini(&rootfs);
	assert_int_equal(store_count(store, ""), 0);
}

// Three images of 1.5 MB: one for each owner.
static void the_least_recently_used_goes_first(void **state)
{
	static const char *const owners[] = { "first", "second", "third" };
	struct store *store = store_of(state);
	struct rootfs rootfs, used;

	store_run("umount %s && head -c 1500000 /dev/urandom >overlay/a/diff/large", store->merged);
	store_mount(store);
	store->settings.share = LAYER_SHARE_SAME_OWNER;
	store->settings.limit = 4000000;
	for (unsigned i = 0; i < 2; i++) {
		store->settings.owner = owners[i];
		find(store, &rootfs);
		rootfs_fini(&rootfs);
	}
	// The second one is older now; no clock can hide it.
	store_run("touch -d 2020-01-01 cache/*second.json");
	store->settings.owner = owners[2];
	find(store, &rootfs);
	rootfs_fini(&rootfs);
	store_run("ls cache/a-*first.erofs cache/a-*third.erofs >/dev/null");
	store_run("! ls cache/a-*second.erofs 2>/dev/null");

	// The oldest one is in use, so another one goes.
	store->settings.owner = owners[0];
	find(store, &used);
	store_run("touch -d 2020-01-01 cache/*first.json");
	store->settings.owner = owners[1];
	find(store, &rootfs);
	rootfs_fini(&rootfs);
	store_run("ls cache/a-*first.erofs cache/a-*second.erofs >/dev/null");
	store_run("! ls cache/a-*third.erofs 2>/dev/null");
	rootfs_fini(&used);
}

static void a_container_drops_its_own_images(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	find(store, &rootfs);
	rootfs_fini(&rootfs);
	store->settings.share = LAYER_SHARE_NEVER;
	store->settings.container = "one";
	find(store, &rootfs);
	rootfs_fini(&rootfs);
	store->settings.container = "on";
	find(store, &rootfs);
	assert_int_equal(store_count(store, ".erofs"), 6);
	layers_drop(&store->settings); // in use
	assert_int_equal(store_count(store, ".erofs"), 6);
	rootfs_fini(&rootfs);
	layers_drop(&store->settings);
	assert_int_equal(store_count(store, ".erofs"), 4);
	assert_int_equal(store_count(store, "@container-one.erofs"), 2);
	store->settings.share = LAYER_SHARE_ALL;
	layers_drop(&store->settings);
	assert_int_equal(store_count(store, ".erofs"), 4);
}

static void verify_finds_a_flipped_byte(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;
	const char *text;
	int fd;

	find(store, &rootfs);
	text = report(layers_verify, store, 0);
	assert_non_null(strstr(strstr(text, ": ok\n") + 1, ": ok\n"));
	fd = open(rootfs.layers[0].path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 1 << 20), 1);
	close(fd);
	text = report(layers_verify, store, -EBADMSG);
	assert_non_null(strstr(text, "changed since"));
	assert_non_null(strstr(text, ": ok\n"));
	rootfs_fini(&rootfs);
}

static void a_truncated_image_is_made_again(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	find(store, &rootfs);
	assert_int_equal(truncate(rootfs.layers[0].path, 4096), 0);
	assert_non_null(strstr(report(layers_verify, store, -EBADMSG), "4096 bytes, not 2097152"));
	rootfs_fini(&rootfs);
	find(store, &rootfs);
	assert_true(rootfs.layers[0].is_new && !rootfs.layers[1].is_new);
	report(layers_verify, store, 0);
	// And one without its description.
	rootfs_fini(&rootfs);
	store_run("rm cache/a-*.json");
	assert_non_null(strstr(report(layers_verify, store, -EBADMSG), ".json: No such file"));
	find(store, &rootfs);
	assert_true(!rootfs.layers[0].is_new && rootfs.layers[1].is_new);
	rootfs_fini(&rootfs);
}

static void the_list_as_json_and_as_a_table(void **state)
{
	struct store *store = store_of(state);
	struct json_object *array, *first, *value;
	struct rootfs rootfs, other;
	const char *text;

	assert_string_equal(report(list_json, store, 0), "[]\n");
	find(store, &rootfs);
	find(store, &other);
	array = json_tokener_parse(report(list_json, store, 0));
	assert_true(json_object_is_type(array, json_type_array));
	assert_int_equal(json_object_array_length(array), 2);
	first = json_object_array_get_idx(array, 0);
	assert_true(json_object_object_get_ex(first, "users", &value));
	assert_int_equal(json_object_get_int(value), 2);
	assert_true(json_object_object_get_ex(first, "size", &value));
	assert_int_equal(json_object_get_int(value), LAYER_PADDING);
	assert_true(json_object_object_get_ex(first, "path", &value));
	assert_string_equal(json_object_get_string(value), rootfs.layers[1].path); // sorted: a before b
	assert_true(json_object_object_get_ex(first, "source", &value));
	assert_non_null(strstr(json_object_get_string(value), "/overlay/a/diff"));
	assert_true(json_object_object_get_ex(first, "sha256", &value));
	assert_int_equal(json_object_get_string_len(value), 64);
	json_object_put(array);
	text = report(list_table, store, 0);
	assert_non_null(strstr(text, "USERS"));
	assert_non_null(strstr(text, "/overlay/b/diff\n"));
	rootfs_fini(&other);
	rootfs_fini(&rootfs);
}

static void a_cache_that_others_may_write_is_refused(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err;
	struct rootfs rootfs;

	store_run("mkdir cache && chmod 777 cache");
	assert_int_equal(rootfs_find(store->merged, &store->settings, &rootfs, &err), -EPERM);
	assert_non_null(strstr(err.hint, "chmod 700"));
	rootfs_fini(&rootfs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_make, store_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_in_use_is_not_removed),
		TEST(a_forked_process_keeps_it_in_use),
		TEST(a_lock_whose_file_was_removed_is_taken_again),
		TEST(of_several_one_makes_it),
		TEST(a_killed_maker_leaves_nothing_that_matters),
		TEST(a_failed_program_leaves_nothing),
		TEST(a_full_disk_is_reported_and_leaves_nothing),
		TEST(a_layer_beyond_the_limit_is_refused),
		TEST(the_least_recently_used_goes_first),
		TEST(a_container_drops_its_own_images),
		TEST(verify_finds_a_flipped_byte),
		TEST(a_truncated_image_is_made_again),
		TEST(the_list_as_json_and_as_a_table),
		TEST(a_cache_that_others_may_write_is_refused),
	};

	return cmocka_run_group_tests_name("layer_cache", tests, NULL, NULL);
}
