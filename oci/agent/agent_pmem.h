// SPDX-License-Identifier: Apache-2.0
/*
 * agent_pmem.h - the block device of a virtio-pmem device, by its PCI address.
 */
#ifndef PMVM_OCI_AGENT_PMEM_H
#define PMVM_OCI_AGENT_PMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

/* "0000:00:05.0", with lower-case digits as sysfs has them. */
bool pci_wellformed(const char *pci);

/* "/dev/pmem3" into dev. Waits for it: the kernel registers it in the background. -ENODEV: there is none. */
int pmem_find(const char *pci, char *dev, size_t size, struct vpmem_error *err);
/* The same of another driver: the names of its block devices begin with prefix, as "vd" of virtio-blk. */
int block_find(const char *prefix, const char *pci, char *dev, size_t size, struct vpmem_error *err);

#endif
