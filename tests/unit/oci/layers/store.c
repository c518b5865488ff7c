// SPDX-License-Identifier: Apache-2.0
// A small store of an engine.
#include "store.h"
#include "unit_test.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MKFS "/usr/bin/mkfs.erofs"

static struct store the_store;

void store_run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

// Once for the whole process. False: the reason was printed.
static bool have_namespace(void)
{
	static bool have;

	if (have)
		return true;
	if (access(MKFS, X_OK) < 0) {
		print_message("skipped: %s: %s\n", MKFS, strerror(errno));
		return false;
	}
	have = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	if (!have)
		print_message("skipped: a mount namespace: %s\n", strerror(errno));
	return have;
}

int store_make(void **state)
{
	struct store *store = &the_store;

	*state = NULL;
	if (!have_namespace())
		return 0;
	*store = (struct store) { .dir = "/tmp/pmvm-store-XXXXXX", .settings = { .mkfs_erofs = MKFS } };
	if (!mkdtemp(store->dir) || chdir(store->dir) < 0)
		return -1;
	// A tmpfs of its own: an overlay has no overlay below it, as containers of a test machine may have.
	if (mount("tmpfs", store->dir, "tmpfs", 0, "size=256m,mode=0700") < 0 || chdir(store->dir) < 0)
		return -1;
	snprintf(store->merged, sizeof(store->merged), "%s/overlay/c/merged", store->dir);
	snprintf(store->cache, sizeof(store->cache), "%s/cache", store->dir);
	store->settings.cache = store->cache;
	store_run(
		"mkdir -p overlay/l overlay/a/diff/etc overlay/b/diff/etc overlay/c/diff overlay/c/work overlay/c/merged && "
		"cd overlay && echo A >a/link && echo B >b/link && ln -s ../a/diff l/A && ln -s ../b/diff l/B && "
		"echo lowest >a/diff/etc/name && echo gone >a/diff/etc/gone && ln -s /etc/passwd a/diff/out && "
		"echo top >b/diff/etc/name && mknod b/diff/etc/gone c 0 0");
	*state = store;
	return 0;
}

int store_remove(void **state)
{
	struct store *store = *state;

	if (!store)
		return 0;
	if (chdir("/") < 0)
		return -1;
	(void)umount2(store->merged, MNT_DETACH);
	(void)umount2(store->dir, MNT_DETACH);
	return rmdir(store->dir);
}

void store_mount(struct store *store)
{
	assert_int_equal(chdir("overlay"), 0);
	assert_int_equal(mount("overlay", "c/merged", "overlay", 0, "lowerdir=l/B:l/A,upperdir=c/diff,workdir=c/work"),
	                 0);
	assert_int_equal(chdir(store->dir), 0);
}

void store_limit_cache(struct store *store, const char *size)
{
	char options[64];

	snprintf(options, sizeof(options), "mode=0700,size=%s", size);
	store_run("mkdir -p %s", store->cache);
	assert_int_equal(mount("tmpfs", store->cache, "tmpfs", 0, options), 0);
}

unsigned store_count(const struct store *store, const char *suffix)
{
	DIR *dir = opendir(store->cache);
	struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), suffix_len = strlen(suffix);

		n += entry->d_name[0] != '.' && len >= suffix_len &&
		     strcmp(entry->d_name + len - suffix_len, suffix) == 0;
	}
	closedir(dir);
	return n;
}
