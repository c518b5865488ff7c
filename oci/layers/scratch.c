// SPDX-License-Identifier: Apache-2.0
// What a container writes, in a file without a name.
#include "error.h"
#include "layer_cache.h"
#include "layers.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Without a journal, which is for what comes after a crash: then the file is gone.
static int make_filesystem(int fd, struct vpmem_error *err)
{
	static const char *const argv[] = {
		"/sbin/mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-O", "^has_journal", "/proc/self/fd/0", NULL
	};
	struct program program = { .argv = argv, .stdin_fd = fd };
	struct vpmem_error why = { .text = "" };
	int rc = program_run(&program, &why);

	if (rc == 0)
		return 0;
	error_set(err, rc, "annotation io.pmvm.upper=pmem: %s", why.text);
	if (rc == -ENOENT)
		error_hint(err, "apt-get install e2fsprogs");
	return rc;
}

static int make_file(const char *directory, uint64_t size, int *fd, struct vpmem_error *err)
{
	const uint64_t rounded = (size + LAYER_PADDING - 1) / LAYER_PADDING * LAYER_PADDING;
	int rc;

	*fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0 && ftruncate(*fd, (off_t)rounded) == 0)
		return make_filesystem(*fd, err);
	rc = -errno;
	error_set(err, rc, "annotation io.pmvm.upper=pmem: a file of %llu bytes in %s: %s", (unsigned long long)rounded,
	          directory, strerror(-rc));
	if (rc == -EOPNOTSUPP)
		error_hint(err, "set layer-cache in /etc/pmvm/oci.conf to a directory on ext4, xfs, btrfs or tmpfs");
	return rc;
}

int rootfs_make_scratch(struct rootfs *rootfs, const struct layer_settings *settings, uint64_t size,
                        struct vpmem_error *err)
{
	int fd, rc;

	if (rootfs->nlayers == 0) {
		error_set(err, -ENOTSUP, "annotation io.pmvm.upper=pmem: the root has no layers: %s", rootfs->why_none);
		error_hint(err, "leave the annotation out: the container then writes to %s", rootfs->directory);
		return -ENOTSUP;
	}
	rc = make_file(settings->cache, size ? size : SCRATCH_SIZE, &fd, err);
	if (rc == 0 && asprintf(&rootfs->scratch_path, "%s/scratch-%d.tmp", settings->cache, (int)getpid()) < 0) {
		rootfs->scratch_path = NULL;
		rc = error_set(err, -ENOMEM, "layers: out of memory");
	}
	if (rc == 0) {
		rootfs->has_scratch = true;
		rootfs->scratch_fd = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	return rc;
}
