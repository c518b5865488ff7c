// SPDX-License-Identifier: Apache-2.0
// One lower directory as an image in the cache.
#include "layer_make.h"

#include "error.h"
#include "layer_cache.h"
#include "layer_meta.h"
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SHA256SUM "/usr/bin/sha256sum"
// Any fixed one: so the same directory always becomes the same image.
#define IMAGE_UUID "7d0b1f5c-6d6e-4c3a-8f7e-706d766d6f63"

// ---- the key

// Adds text; what is no letter, digit, '.', '_' or '-' as %XX, so that two texts never become one.
static void add_encoded(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);

	for (; *text && len + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_plain = isalnum(c) || (c == '.' && len > 0) || c == '_' || c == '-';

		len += (size_t)snprintf(buf + len, size - len, is_plain ? "%c" : "%%%02x", c);
	}
}

// ".../LAYER/diff" or ".../N/fs": the name of the directory above.
static char *layer_name(const char *directory)
{
	const char *end = strrchr(directory, '/'), *start = end;

	while (start && start > directory && start[-1] != '/')
		start--;
	return start ? strndup(start, (size_t)(end - start)) : strdup("");
}

void layer_scope(const struct layer_settings *settings, char *buf, size_t size)
{
	bool by_owner = settings->share == LAYER_SHARE_SAME_OWNER;
	const char *whose = by_owner ? settings->owner : settings->container;

	buf[0] = '\0';
	if (settings->share == LAYER_SHARE_ALL)
		return;
	snprintf(buf, size, by_owner ? "@owner-" : "@container-");
	add_encoded(buf, size, whose ? whose : "");
}

int layer_key(const char *directory, const struct layer_settings *settings, char **key, struct vpmem_error *err)
{
	char buf[PATH_MAX], *name = layer_name(directory);
	struct stat st;
	size_t len;

	if (!name)
		return error_set(err, -ENOMEM, "layers: out of memory");
	if (stat(directory, &st) < 0) {
		free(name);
		return error_set(err, -errno, "layers: %s: %s", directory, strerror(errno));
	}
	buf[0] = '\0';
	add_encoded(buf, sizeof(buf) / 2, name);
	free(name);
	len = strlen(buf);
	snprintf(buf + len, sizeof(buf) - len, "-%x.%x-%llu-%llx.%09lu", major(st.st_dev), minor(st.st_dev),
	         (unsigned long long)st.st_ino, (unsigned long long)st.st_ctim.tv_sec,
	         (unsigned long)st.st_ctim.tv_nsec);
	len = strlen(buf);
	layer_scope(settings, buf + len, sizeof(buf) - len);
	if (strlen(buf) + strlen(".json.tmp") > NAME_MAX)
		return error_set(err, -ENAMETOOLONG, "layers: %s: %s", buf, strerror(ENAMETOOLONG));
	*key = strdup(buf);
	return *key ? 0 : error_set(err, -ENOMEM, "layers: out of memory");
}

// ---- the image

int layer_sha256(int fd, char *hex, struct vpmem_error *err)
{
	struct program program = { .argv = (const char *const[]) { SHA256SUM, NULL }, .stdin_fd = fd };
	int rc = lseek(fd, 0, SEEK_SET) < 0 ? -errno : program_run(&program, err);

	if (rc)
		return rc;
	program.output[LAYER_SHA256_LEN] = '\0';
	if (strspn(program.output, "0123456789abcdef") != LAYER_SHA256_LEN)
		return error_set(err, -EIO, "%s: unexpected output: %s", SHA256SUM, program.output);
	strcpy(hex, program.output);
	return 0;
}

// Whether the disk of the cache has almost nothing left: then that is why a program has failed.
static bool is_disk_full(const char *cache)
{
	struct statfs st;

	return statfs(cache, &st) == 0 &&
	       (st.f_ffree == 0 || (uint64_t)st.f_bavail * (uint64_t)st.f_bsize < (1u << 20));
}

static int run_mkfs(const char *directory, const struct layer_settings *settings, const char *tmp,
                    struct vpmem_error *err)
{
	// Inline tails cannot be mapped by DAX.
	const char *const argv[] = {
		settings->mkfs_erofs, "-E", "noinline_data", "-U", IMAGE_UUID, "--quiet", "--", tmp, directory, NULL
	};
	struct program program = {
		.argv = argv, .stdin_fd = -1, .file_size_max = settings->limit, .timeout_s = settings->timeout_s
	};
	struct vpmem_error why = { .text = "" };
	int rc = program_run(&program, &why);

	if (rc == -EFBIG) {
		error_set(err, -ENOSPC, "layers: %s is larger than the cache may be, %llu bytes", directory,
		          (unsigned long long)settings->limit);
		error_hint(err, "raise the size of the cache in /etc/pmvm/oci.conf");
		return -ENOSPC;
	}
	if (rc == -ENOENT) {
		error_set(err, rc, "layers: %s", why.text);
		error_hint(err, "apt-get install erofs-utils, or set the path of mkfs.erofs in /etc/pmvm/oci.conf");
		return rc;
	}
	if (rc == -EIO && is_disk_full(settings->cache))
		rc = -ENOSPC;
	if (rc)
		error_set(err, rc, "layers: %s: %s", directory, why.text);
	if (rc == -ETIMEDOUT)
		error_hint(err, "raise layer-timeout in /etc/pmvm/oci.conf");
	return rc;
}

// Pads the image, reads it, and syncs it. *meta gets what is known then.
static int finish_image(const char *tmp, struct layer_meta *meta, struct vpmem_error *err)
{
	int fd = open(tmp, O_RDWR | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	struct stat st;

	if (fd < 0)
		return error_set(err, -errno, "layers: %s: %s", tmp, strerror(errno));
	if (fstat(fd, &st) == 0) {
		meta->size = ((uint64_t)st.st_size + LAYER_PADDING - 1) / LAYER_PADDING * LAYER_PADDING;
		rc = ftruncate(fd, (off_t)meta->size) < 0 || fchmod(fd, 0444) < 0 || fsync(fd) < 0 ? -errno : 0;
	} else {
		rc = -errno;
	}
	if (rc)
		error_set(err, rc, "layers: %s: %s", tmp, strerror(-rc));
	else
		rc = layer_sha256(fd, meta->sha256, err);
	close(fd);
	return rc;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

// The lock of the key is ours.
static int make_image(const char *directory, const struct layer_settings *settings, const struct layer_files *files,
                      struct vpmem_error *err)
{
	struct layer_meta meta = { .source = (char *)directory };
	int rc;

	unlink(files->tmp);
	rc = run_mkfs(directory, settings, files->tmp, err);
	rc = rc ? rc : finish_image(files->tmp, &meta, err);
	layer_meta_time(time(NULL), meta.created, sizeof(meta.created));
	rc = rc ? rc : layer_meta_write(files->meta, &meta, err);
	if (rc == 0) {
		rc = rename(files->tmp, files->image) < 0 ? -errno : sync_directory(settings->cache);
		if (rc)
			error_set(err, rc, "layers: %s: %s", files->image, strerror(-rc));
	}
	if (rc)
		unlink(files->tmp);
	if (rc == -ENOSPC && err && !err->hint[0])
		error_hint(err, "free space in %s: pmvm-oci layers prune", settings->cache);
	return rc;
}

// After a failure nothing of the key is left, not even its lock.
static int open_or_make(const char *directory, const struct layer_settings *settings, const struct layer_files *files,
                        struct layer *layer, struct vpmem_error *err)
{
	int lock_fd, rc = layer_cache_open(files, layer, err);

	if (rc)
		return rc < 0 ? rc : 0;
	lock_fd = layer_cache_lock(files, true);
	if (lock_fd < 0)
		return error_set(err, lock_fd, "layers: %s: %s", files->lock, strerror(-lock_fd));
	rc = layer_cache_open(files, layer, err);
	if (rc == 0) {
		rc = make_image(directory, settings, files, err);
		rc = rc ? rc : layer_cache_open(files, layer, err);
		if (rc == 0)
			rc = error_set(err, -EIO, "layers: %s: vanished", files->image);
		layer->is_new = rc > 0;
	}
	close(lock_fd);
	if (rc < 0)
		(void)layer_cache_remove(files);
	return rc < 0 ? rc : 0;
}

int layer_open(const char *directory, const struct layer_settings *settings, struct layer *layer,
               struct vpmem_error *err)
{
	struct layer_files files;
	char *key = NULL;
	int rc;

	*layer = (struct layer) { .fd = -1 };
	rc = layer_key(directory, settings, &key, err);
	if (rc)
		return rc;
	rc = layer_files_init(&files, settings->cache, key);
	free(key);
	if (rc)
		return error_set(err, rc, "layers: out of memory");
	rc = open_or_make(directory, settings, &files, layer, err);
	layer_files_fini(&files);
	return rc;
}
