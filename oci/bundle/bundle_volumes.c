// SPDX-License-Identifier: Apache-2.0
// Whether the images of volumes have the file system that the guest mounts with DAX: ext4, with blocks of one page.
#include "bundle.h"
#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// The superblock of ext2, ext3 and ext4.
#define SUPERBLOCK_OFF 1024
#define BLOCK_SIZE_OFF 24 /* le32: 1024 << n */
#define MAGIC_OFF 56      /* le16 */

static int check(const struct pmem_volume *volume, struct vpmem_error *err)
{
	uint8_t block[MAGIC_OFF + 2];
	// O_NONBLOCK: it was a regular file when the configuration was read.
	int fd = open(volume->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len;

	if (fd < 0)
		return error_set(err, -errno, "annotations: io.pmvm.pmem: %s: %s", volume->file, strerror(errno));
	len = pread(fd, block, sizeof(block), SUPERBLOCK_OFF);
	close(fd);
	if (len != (ssize_t)sizeof(block) || block[MAGIC_OFF] != 0x53 || block[MAGIC_OFF + 1] != 0xef)
		error_set(err, -EINVAL, "annotations: io.pmvm.pmem: %s has no ext4 file system", volume->file);
	else if (block[BLOCK_SIZE_OFF] != 2)
		error_set(err, -EINVAL,
		          "annotations: io.pmvm.pmem: %s: its ext4 has no blocks of 4096 bytes, as DAX needs",
		          volume->file);
	else
		return 0;
	error_hint(err, "mkfs.ext4 -b 4096 %s makes one, and removes what is there", volume->file);
	return -EINVAL;
}

int bundle_check_volumes(const struct bundle *bundle, struct vpmem_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < bundle->npmem; i++)
		rc = check(&bundle->pmem[i], err);
	return rc;
}
