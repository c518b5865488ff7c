// SPDX-License-Identifier: Apache-2.0
// The files of the cache and their locks.
#include "layer_cache.h"

#include "error.h"
#include "file_id.h"
#include "layer_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// ---- names

int layer_files_init(struct layer_files *files, const char *cache, const char *key)
{
	*files = (struct layer_files) { 0 };
	if (asprintf(&files->image, "%s/%s.erofs", cache, key) < 0 ||
	    asprintf(&files->tmp, "%s/%s.tmp", cache, key) < 0 ||
	    asprintf(&files->meta, "%s/%s.json", cache, key) < 0 ||
	    asprintf(&files->meta_tmp, "%s/%s.json.tmp", cache, key) < 0 ||
	    asprintf(&files->lock, "%s/%s.lock", cache, key) < 0) {
		layer_files_fini(files);
		return -ENOMEM;
	}
	return 0;
}

void layer_files_fini(struct layer_files *files)
{
	free(files->image);
	free(files->tmp);
	free(files->meta);
	free(files->meta_tmp);
	free(files->lock);
	*files = (struct layer_files) { 0 };
}

static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int layer_cache_prepare(const char *cache, struct vpmem_error *err)
{
	char *copy = strdup(cache);
	struct stat st;
	int rc = copy ? make_parents(copy) : -ENOMEM;

	free(copy);
	if (rc == 0 && stat(cache, &st) < 0)
		rc = -errno;
	if (rc)
		return error_set(err, rc, "layers: cache %s: %s", cache, strerror(-rc));
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "layers: cache %s: %s", cache, strerror(ENOTDIR));
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		error_set(err, -EPERM, "layers: cache %s: others than uid %u may write in it", cache, geteuid());
		error_hint(err, "chown %u %s; chmod 700 %s", geteuid(), cache, cache);
		return -EPERM;
	}
	return 0;
}

// ---- locks

static int lock(int fd, int operation)
{
	while (flock(fd, operation) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

// Opens and locks the file that the path names once it is locked. -errno of open(2) or flock(2).
static int open_locked(const char *path, int flags, int operation)
{
	struct file_id id;

	for (;;) {
		int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

		if (fd < 0)
			return -errno;
		rc = lock(fd, operation);
		rc = rc ? rc : file_id_of_fd(fd, &id);
		if (rc == 0 && file_id_is_at(&id, path))
			return fd;
		close(fd);
		if (rc)
			return rc;
	}
}

int layer_cache_lock(const struct layer_files *files, bool wait)
{
	return open_locked(files->lock, O_RDWR | O_CREAT, LOCK_EX | (wait ? 0 : LOCK_NB));
}

int layer_cache_open(const struct layer_files *files, struct layer *layer, struct vpmem_error *err)
{
	struct layer_meta meta;
	struct stat st;
	int fd = open_locked(files->image, O_RDONLY, LOCK_SH), rc;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, fd, "%s: %s", files->image, strerror(-fd));
	rc = fstat(fd, &st) < 0 ? -errno : layer_meta_read(files->meta, &meta, err);
	if (rc || st.st_size <= 0 || (uint64_t)st.st_size != meta.size) {
		if (rc == 0)
			layer_meta_fini(&meta);
		close(fd);
		return rc == 0 || rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
	}
	layer_meta_fini(&meta);
	layer->path = strdup(files->image);
	if (!layer->path) {
		close(fd);
		return error_set(err, -ENOMEM, "layers: out of memory");
	}
	layer->fd = fd;
	layer->size = (uint64_t)st.st_size;
	layer_meta_touch(files->meta);
	return 1;
}

int64_t layer_cache_remove(const struct layer_files *files)
{
	int lock_fd = layer_cache_lock(files, false), fd;
	struct stat st = { 0 };

	if (lock_fd < 0)
		return lock_fd;
	fd = open_locked(files->image, O_RDONLY, LOCK_EX | LOCK_NB);
	if (fd < 0 && fd != -ENOENT) {
		close(lock_fd);
		return fd;
	}
	if (fd >= 0)
		(void)fstat(fd, &st);
	unlink(files->image);
	unlink(files->tmp);
	unlink(files->meta);
	unlink(files->meta_tmp);
	unlink(files->lock);
	if (fd >= 0)
		close(fd);
	close(lock_fd);
	return (int64_t)st.st_blocks * 512;
}

// "1: FLOCK  ADVISORY  READ 4711 fe:01:1234 0 EOF": hexadecimal major and minor, decimal inode.
static unsigned count_locks(const struct stat *st)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256], kind[16], access[16];
	unsigned n = 0, dev_major, dev_minor;
	unsigned long long ino;

	if (!locks)
		return 0;
	while (fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*[0-9]: %15s %*s %15s %*d %x:%x:%llu", kind, access, &dev_major, &dev_minor, &ino) ==
		    5)
			n += strcmp(kind, "FLOCK") == 0 && strcmp(access, "READ") == 0 && ino == st->st_ino &&
			     dev_major == major(st->st_dev) && dev_minor == minor(st->st_dev);
	}
	fclose(locks);
	return n;
}

bool layer_cache_is_used(const struct layer_files *files, unsigned *users)
{
	int fd = open(files->image, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	bool is_used;

	*users = 0;
	if (fd < 0)
		return false;
	is_used = lock(fd, LOCK_EX | LOCK_NB) == -EWOULDBLOCK;
	if (is_used && fstat(fd, &st) == 0)
		*users = count_locks(&st);
	if (is_used && *users == 0)
		*users = 1; // by a file system whose device is another in /proc/locks
	close(fd);
	return is_used;
}
