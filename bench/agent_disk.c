// SPDX-License-Identifier: Apache-2.0
/*
 * The agent of pmvm-oci's guests for a monitor without virtio-pmem: images are disks, and are mounted without DAX. It
 * is linked with --wrap for the two functions in which the agent knows persistent memory.
 */
#include "agent_pmem.h"

#include <string.h>
#include <sys/mount.h>

int __wrap_pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err);
int __wrap_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options);
int __real_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options);

int __wrap_pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err)
{
	return block_find("vd", pci, dev, size, err);
}

int __wrap_mount(const char *source, const char *at, const char *type, unsigned long flags, const void *options)
{
	const bool is_disk = source && strncmp(source, "/dev/vd", 7) == 0;

	return __real_mount(source, at, type, flags, is_disk ? NULL : options);
}
