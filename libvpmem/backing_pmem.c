// SPDX-License-Identifier: Apache-2.0
/*
 * backing_pmem.c - real persistent memory below a memory backend: what the host's kernel reports about it, and
 * whether a flush needs a system call.
 *
 * With MAP_SYNC a flush has no metadata to write. Stores may still be in a CPU cache. They are safe
 *   - where the caches are in the persistence domain: the platform saves them when the power fails;
 *   - when the guest wrote them back itself before it asked for the flush: Linux does, others need not;
 *   - after an fdatasync: for a DAX file the kernel keeps a dirty mark of each page that may be stored to,
 *     and writes back the cache lines of those pages.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A device is some levels below its region in sysfs; the root ends the search in any case. */
#define SYSFS_LEVELS 16

/* The device's directory in sysfs, or -errno. */
static int open_sysfs(const char *kind, dev_t dev)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u", kind, major(dev), minor(dev));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* One line of an attribute, without its end. */
static int read_attribute(int dir_fd, const char *name, char *text, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return (int)len;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* Is it a device of this bus or class? */
static bool in_subsystem(int dir_fd, const char *name)
{
	char link[256];
	ssize_t len = readlinkat(dir_fd, "subsystem", link, sizeof(link) - 1);
	const char *last;

	if (len < 0)
		return false;
	link[len] = '\0';
	last = strrchr(link, '/');
	return last && strcmp(last + 1, name) == 0;
}

/* The domain by one directory on the way up; BACKING_DOMAIN_NONE: it has none, the search continues. */
static enum backing_domain domain_here(int dir_fd)
{
	char text[32];

	/* Only a region has the attribute, and only where the platform reports it. */
	if (!in_subsystem(dir_fd, "nd"))
		return BACKING_DOMAIN_NONE;
	if (read_attribute(dir_fd, "persistence_domain", text, sizeof(text)))
		return BACKING_DOMAIN_UNKNOWN;
	if (strcmp(text, "cpu_cache") == 0)
		return BACKING_DOMAIN_CACHE;
	return strcmp(text, "memory_controller") == 0 ? BACKING_DOMAIN_MEMORY : BACKING_DOMAIN_UNKNOWN;
}

/* Takes the directory of a block or DAX device; its region is above it. */
static enum backing_domain find_domain(int dir_fd)
{
	enum backing_domain best = BACKING_DOMAIN_NONE;

	for (int i = 0; dir_fd >= 0 && i < SYSFS_LEVELS && best <= BACKING_DOMAIN_UNKNOWN; i++) {
		enum backing_domain here = domain_here(dir_fd);
		int up = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (here > best)
			best = here;
		close(dir_fd);
		dir_fd = up;
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return best;
}

/* A file's device is that of its file system. A device made of several (device-mapper) has BACKING_DOMAIN_NONE. */
enum backing_domain backing_find_domain(const struct vpmem_backing *b)
{
	struct stat st;

	if (fstat(b->fd, &st))
		return BACKING_DOMAIN_NONE;
	return find_domain(b->is_dax ? open_sysfs("char", st.st_rdev) : open_sysfs("block", st.st_dev));
}

/* ---- /dev/daxX.Y --------------------------------------------------------------------------------- */

bool backing_is_dax(dev_t rdev)
{
	int dir_fd = open_sysfs("char", rdev);
	bool is_dax;

	if (dir_fd < 0)
		return false;
	is_dax = in_subsystem(dir_fd, "dax");
	close(dir_fd);
	return is_dax;
}

static int dax_attribute(const struct vpmem_backing *b, const char *name, uint64_t *val)
{
	char text[32], *end;
	int dir_fd, rc;
	struct stat st;

	if (fstat(b->fd, &st))
		return -errno;
	dir_fd = open_sysfs("char", st.st_rdev);
	if (dir_fd < 0)
		return dir_fd;
	rc = read_attribute(dir_fd, name, text, sizeof(text));
	close(dir_fd);
	if (rc)
		return rc;
	errno = 0;
	*val = strtoull(text, &end, 0);
	return errno || end == text || *end ? -EINVAL : 0;
}

int backing_dax_size(const struct vpmem_backing *b, uint64_t *size)
{
	return dax_attribute(b, "size", size);
}

int backing_dax_align(const struct vpmem_backing *b, uint64_t *align)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	int rc = dax_attribute(b, "align", align);

	if (rc)
		return rc;
	return *align < page_size || (*align & (*align - 1)) ? -EINVAL : 0;
}

/* ---- whether a flush needs a sync ---------------------------------------------------------------------- */

static int not_persistent(const struct vpmem_backing *b, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP, "pmem=on: backing store %s is no persistent memory: it belongs to no NVDIMM region",
	         b->path);
	err_hint(err, "such memory forgets everything at a reboot; make a namespace of an NVDIMM: "
	              "ndctl create-namespace -m devdax");
	return -EOPNOTSUPP;
}

static int cannot_write_back(const struct vpmem_backing *b, struct vpmem_error *err)
{
	err_fail(err, -EOPNOTSUPP,
	         "pmem=on: backing store %s cannot be synced: it is a character device, and the CPU caches of "
	         "this host are not known to survive a power failure",
	         b->path);
	err_hint(err, "pmem-writeback=guest if the guest's kernel writes back its caches itself, as Linux does; "
	              "for any guest use a file on a DAX file system");
	return -EOPNOTSUPP;
}

int backing_pmem_settle(struct vpmem_backing *b, const struct vpmem_backing_options *opts, struct vpmem_error *err)
{
	int rc;

	if (b->is_dax && b->domain == BACKING_DOMAIN_NONE)
		return not_persistent(b, err);
	b->no_sync = opts->writeback == VPMEM_WRITEBACK_GUEST ||
	             (opts->writeback == VPMEM_WRITEBACK_AUTO && b->domain == BACKING_DOMAIN_CACHE);
	if (b->is_dax)
		return b->no_sync ? 0 : cannot_write_back(b, err);
	if (!b->no_sync)
		return 0;
	/* No flush will sync: this makes earlier writes to the file durable, and its size. */
	rc = backing_sync_file(b);
	return rc ? err_fail(err, rc, "pmem=on: can't sync backing store %s: %m", b->path) : 0;
}
