// SPDX-License-Identifier: Apache-2.0
// From the root of a container to its layers: real overlay mounts, real images.
#include "file_id.h"
#include "store.h"
#include "unit_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store *store_of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static void find(struct store *store, const char *path, struct rootfs *rootfs)
{
	struct vpmem_error err = { .text = "" };

	if (rootfs_find(path, &store->settings, rootfs, &err))
		fail_msg("%s", err.text);
}

static void check_is_directory(struct store *store, const char *path, const char *directory)
{
	struct rootfs rootfs;

	find(store, path, &rootfs);
	assert_int_equal(rootfs.nlayers, 0);
	assert_null(rootfs.layers);
	assert_null(rootfs.upper);
	assert_null(rootfs.writable_dir);
	assert_string_equal(rootfs.directory, directory);
	assert_int_equal(store_count(store, ""), 0);
	rootfs_fini(&rootfs);
}

static void layers_are_images_top_first(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;
	char expected[128];

	store_mount(store);
	find(store, store->merged, &rootfs);
	assert_int_equal(rootfs.nlayers, 2);
	for (size_t i = 0; i < rootfs.nlayers; i++) {
		struct layer *layer = &rootfs.layers[i];
		struct stat st;

		assert_true(layer->is_new);
		assert_int_equal(fstat(layer->fd, &st), 0);
		assert_int_equal(layer->size, LAYER_PADDING);
		assert_int_equal(st.st_size, layer->size);
		assert_int_equal(st.st_mode & 07777, 0444);
		assert_true(fcntl(layer->fd, F_GETFD) & FD_CLOEXEC);
		snprintf(expected, sizeof(expected), "%s/%s-", store->cache, i == 0 ? "b" : "a");
		assert_memory_equal(layer->path, expected, strlen(expected));
		store_run("dump.erofs --ls --path=/etc %s | grep -q gone", layer->path);
		// Only the lowest one has a file there, of one block: no tail inside its inode. The other one has a whiteout.
		store_run("dump.erofs --path=/etc/gone %s | grep -q '%s'", layer->path,
		          i == 0 ? "Size: 0 .*character\\|Size: 0 .*char" : "Layout: 0");
	}
	snprintf(expected, sizeof(expected), "%s/overlay/c", store->dir);
	assert_string_equal(rootfs.writable_dir, expected);
	strcat(expected, "/diff");
	assert_string_equal(rootfs.upper, expected);
	assert_non_null(strstr(rootfs.work, "/overlay/c/work"));
	rootfs_fini(&rootfs);

	// The second time they are there.
	find(store, store->merged, &rootfs);
	assert_int_equal(rootfs.nlayers, 2);
	assert_false(rootfs.layers[0].is_new || rootfs.layers[1].is_new);
	rootfs_fini(&rootfs);
}

static void a_bind_mount_of_the_overlay_is_the_overlay(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	// As buildah has it, by a path with a symbolic link in it.
	store_mount(store);
	store_run("mkdir -p 'mnt x/rootfs' && ln -s 'mnt x' short && mount --bind %s 'mnt x/rootfs'", store->merged);
	find(store, "short/rootfs", &rootfs);
	assert_int_equal(rootfs.nlayers, 2);
	assert_non_null(rootfs.upper);
	rootfs_fini(&rootfs);
	store_run("umount 'mnt x/rootfs'");
}

static void of_stacked_mounts_the_topmost_counts(void **state)
{
	struct store *store = store_of(state);

	store_mount(store);
	assert_int_equal(mount("tmpfs", store->merged, "tmpfs", 0, NULL), 0);
	check_is_directory(store, store->merged, store->merged);
	assert_int_equal(umount(store->merged), 0);
}

static void other_roots_are_ordinary_directories(void **state)
{
	struct store *store = store_of(state);
	char path[128];

	// A directory, also one inside the overlay, and a bind mount of that.
	snprintf(path, sizeof(path), "%s/overlay/a/diff", store->dir);
	check_is_directory(store, path, path);
	store_mount(store);
	snprintf(path, sizeof(path), "%s/etc", store->merged);
	check_is_directory(store, path, path);
	snprintf(path, sizeof(path), "%s/bind", store->dir);
	store_run("mkdir bind && mount --bind %s/etc bind", store->merged);
	check_is_directory(store, path, path);
	store_run("umount bind");
}

static void an_overlay_that_can_be_written_can_be_left_alone(void **state)
{
	struct store *store = store_of(state);

	store_mount(store);
	store->settings.readonly_only = true;
	check_is_directory(store, store->merged, store->merged);
}

static void a_lower_directory_that_may_change_has_no_image(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	// podman run --rootfs DIR:O
	store_run("mkdir mine && mount -t overlay overlay -o lowerdir=%s/mine,upperdir=%s/overlay/c/diff,"
	          "workdir=%s/overlay/c/work %s",
	          store->dir, store->dir, store->dir, store->merged);
	check_is_directory(store, store->merged, store->merged);
	find(store, store->merged, &rootfs);
	assert_non_null(strstr(rootfs.why_none, "/mine is not in the store of an engine"));
	rootfs_fini(&rootfs);
}

static void directories_that_are_not_found_are_no_layers(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	// Relative to a directory that nothing tells.
	store_run(
		"mount -t overlay overlay -o lowerdir=overlay/a/diff,upperdir=overlay/c/diff,workdir=overlay/c/work %s",
		store->merged);
	check_is_directory(store, store->merged, store->merged);
	find(store, store->merged, &rootfs);
	assert_non_null(strstr(rootfs.why_none, "overlay/c/diff"));
	rootfs_fini(&rootfs);
}

static void snapshots_of_containerd_are_layers(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	store_run(
		"mkdir -p snapshots/1/fs snapshots/2/fs snapshots/2/work bundle/rootfs && cd snapshots && "
		"mount -t overlay overlay -o lowerdir=1/fs,upperdir=%s/snapshots/2/fs,workdir=%s/snapshots/2/work ../bundle/rootfs",
		store->dir, store->dir);
	find(store, "bundle/rootfs", &rootfs);
	assert_int_equal(rootfs.nlayers, 1);
	assert_non_null(strstr(rootfs.layers[0].path, "/1-"));
	rootfs_fini(&rootfs);
	store_run("umount bundle/rootfs");
}

static void a_read_only_mount_has_no_upper_directory(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	store_run("mount -t overlay overlay -o lowerdir=%s/overlay/l/B:%s/overlay/l/A %s", store->dir, store->dir,
	          store->merged);
	find(store, store->merged, &rootfs);
	assert_int_equal(rootfs.nlayers, 2);
	assert_null(rootfs.upper);
	assert_null(rootfs.writable_dir);
	rootfs_fini(&rootfs);
}

static void links_of_a_layer_are_not_followed(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	store_mount(store);
	find(store, store->merged, &rootfs);
	// "out" leads to the host's /etc/passwd; it stays a symbolic link of 11 characters.
	store_run("dump.erofs --path=/out %s | grep -q 'Size: 11 .*symlink\\|Size: 11 .*symbolic'",
	          rootfs.layers[1].path);
	rootfs_fini(&rootfs);
}

static void a_changed_directory_is_another_layer(void **state)
{
	struct store *store = store_of(state);
	struct rootfs rootfs;

	store_mount(store);
	find(store, store->merged, &rootfs);
	rootfs_fini(&rootfs);
	store_run("umount %s && chmod 700 overlay/a/diff", store->merged);
	store_mount(store);
	find(store, store->merged, &rootfs);
	assert_false(rootfs.layers[0].is_new);
	assert_true(rootfs.layers[1].is_new);
	rootfs_fini(&rootfs);
}

static void sharing_is_limited_as_set(void **state)
{
	struct store *store = store_of(state);
	struct rootfs first, second;

	store_mount(store);
	store->settings.share = LAYER_SHARE_SAME_OWNER;
	store->settings.owner = "a/b";
	find(store, store->merged, &first);
	store->settings.owner = "a%2fb"; // encodes as another text
	find(store, store->merged, &second);
	assert_string_not_equal(first.layers[0].path, second.layers[0].path);
	assert_true(second.layers[0].is_new);
	rootfs_fini(&second);
	store->settings.owner = "a/b";
	find(store, store->merged, &second);
	assert_string_equal(first.layers[0].path, second.layers[0].path);
	rootfs_fini(&second);
	store->settings.share = LAYER_SHARE_NEVER;
	store->settings.container = "a/b";
	find(store, store->merged, &second);
	assert_string_not_equal(first.layers[0].path, second.layers[0].path);
	rootfs_fini(&second);
	rootfs_fini(&first);
}

static void what_is_missing_is_named(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err;
	struct rootfs rootfs;

	assert_int_equal(rootfs_find("/no/such", &store->settings, &rootfs, &err), -ENOENT);
	assert_string_equal(err.text, "root.path: /no/such: No such file or directory");
	rootfs_fini(&rootfs);
	assert_int_equal(rootfs_find("overlay/a/link", &store->settings, &rootfs, &err), -ENOTDIR);
	rootfs_fini(&rootfs);
	store_mount(store);
	store->settings.mkfs_erofs = "/no/mkfs.erofs";
	assert_int_equal(rootfs_find(store->merged, &store->settings, &rootfs, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/no/mkfs.erofs"));
	assert_non_null(strstr(err.hint, "erofs-utils"));
	rootfs_fini(&rootfs);
	assert_int_equal(store_count(store, ""), 0);
}

static void a_scratch_file_is_an_ext4_without_a_name(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err = { .text = "" };
	struct rootfs rootfs;
	struct stat st;
	int fd;

	store_mount(store);
	find(store, store->merged, &rootfs);
	if (rootfs_make_scratch(&rootfs, &store->settings, (64 << 20) + 1, &err))
		fail_msg("%s", err.text);
	assert_true(rootfs.has_scratch);
	assert_int_equal(fstat(rootfs.scratch_fd, &st), 0);
	assert_int_equal(st.st_size, (64 << 20) + LAYER_PADDING);
	assert_in_range(st.st_blocks, 1, (8 << 20) / 512); // sparse
	assert_int_equal(st.st_nlink, 0);
	assert_true(fcntl(rootfs.scratch_fd, F_GETFD) & FD_CLOEXEC);
	store_run("dumpe2fs -h /proc/%d/fd/%d 2>&1 | grep -q 'Block count: *16896'", getpid(), rootfs.scratch_fd);
	fd = rootfs.scratch_fd;
	rootfs_fini(&rootfs);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void an_ordinary_directory_has_no_scratch_file(void **state)
{
	struct store *store = store_of(state);
	struct vpmem_error err = { .text = "" };
	struct rootfs rootfs;

	find(store, store->dir, &rootfs);
	assert_int_equal(rootfs_make_scratch(&rootfs, &store->settings, 0, &err), -ENOTSUP);
	assert_string_equal(err.text, "annotation io.pmvm.upper=pmem: the root has no layers: "
	                              "it is not the root of an overlay mount");
	assert_non_null(strstr(err.hint, store->dir));
	rootfs_fini(&rootfs);
}

static void a_scratch_file_needs_a_file_system_that_has_such(void **state)
{
	struct store *store = store_of(state);
	struct layer_settings settings = store->settings;
	struct vpmem_error err = { .text = "" };
	struct rootfs rootfs;

	store_mount(store);
	find(store, store->merged, &rootfs);
	settings.cache = "/proc";
	assert_int_equal(rootfs_make_scratch(&rootfs, &settings, 0, &err), -EOPNOTSUPP);
	assert_string_equal(err.text, "annotation io.pmvm.upper=pmem: a file of 1073741824 bytes in /proc: "
	                              "Operation not supported");
	assert_non_null(strstr(err.hint, "layer-cache"));
	// A disk that is full: the words of mkfs.ext4.
	settings.cache = store->cache;
	store_limit_cache(store, "4k");
	assert_int_not_equal(rootfs_make_scratch(&rootfs, &settings, 0, &err), 0);
	assert_non_null(strstr(err.text, "mkfs.ext4"));
	assert_false(rootfs.has_scratch);
	rootfs_fini(&rootfs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_make, store_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(layers_are_images_top_first),
		TEST(a_bind_mount_of_the_overlay_is_the_overlay),
		TEST(of_stacked_mounts_the_topmost_counts),
		TEST(other_roots_are_ordinary_directories),
		TEST(an_overlay_that_can_be_written_can_be_left_alone),
		TEST(a_lower_directory_that_may_change_has_no_image),
		TEST(directories_that_are_not_found_are_no_layers),
		TEST(snapshots_of_containerd_are_layers),
		TEST(a_read_only_mount_has_no_upper_directory),
		TEST(links_of_a_layer_are_not_followed),
		TEST(a_changed_directory_is_another_layer),
		TEST(sharing_is_limited_as_set),
		TEST(what_is_missing_is_named),
		TEST(a_scratch_file_is_an_ext4_without_a_name),
		TEST(an_ordinary_directory_has_no_scratch_file),
		TEST(a_scratch_file_needs_a_file_system_that_has_such),
	};

	return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
