// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci.h - the virtio-pci transport (modern only) for the pmem device: 1af4:105b, MSI-X, INTx.
 *
 * BAR 0 is laid out by page: page 0 common configuration and device configuration, page 1 ISR, page 2 notify,
 * page 3 MSI-X table, page 4 pending bits. No read of page 0 has a side effect: with register_page it is a
 * read-only memory slot (vm.h), which the guest reads without leaving. With shmem, BAR 2 (64-bit,
 * prefetchable) is the pmem window. With pio_notify, BAR 4 is ports for notifications, and the first of two such
 * capabilities, which is the one that Linux takes.
 */
#ifndef PMVM_VIRTIO_PCI_H
#define PMVM_VIRTIO_PCI_H

#include "pci.h"
#include <vpmem.h>

struct virtio_pci;

struct virtio_pci_config {
	struct pci_bus *bus;
	int bus_nr;             /* which of the buses, or -1: the first one that has room */
	int slot;               /* device number 1 to 31, or -1: the first free one */
	const char *id;         /* may be NULL; copied */
	bool pio_notify;        /* on bus 0 only */
	bool register_page;     /* reads of page 0 do not leave the guest, if the machine has a slot */
	const struct gmem *mem; /* guest memory; borrowed */
	/*
	 * gmem is made from mem. callbacks.interrupt is replaced by the transport's own; callbacks.event keeps its opaque. With shmem,
	 * gpa is 0 and the transport maps the backing into BAR 2; without, the caller maps it at gpa.
	 */
	struct vpmem_device_options device;
};

/*
 * Creates the pmem device and plugs it into the bus: BARs assigned, visible to the guest. Errors: the
 * slot is taken (QEMU: "PCI: slot 5 function 0 not available for virtio-pmem-pci, in use by <name>"),
 * none is free, no room for a BAR, and those of vpmem_device_create.
 */
int virtio_pci_create(const struct virtio_pci_config *cfg, struct virtio_pci **out, struct vpmem_error *err);

/*
 * Resets the device and takes it out of the bus; the guest no longer sees it, and it raises no interrupt.
 * Does not wait for a sync that is under way. A second call does nothing.
 */
void virtio_pci_unplug(struct virtio_pci *vp);

/*
 * Unplugs if that was not done, and destroys the device: waits for a sync that is under way. After
 * virtio_pci_unplug it may be called without the machine lock, so that the guest runs on meanwhile.
 * Returns the device's sticky error (vpmem_device_error) at its very end. NULL is allowed. Not from a callback.
 */
int virtio_pci_destroy(struct virtio_pci *vp);

struct vpmem_device *virtio_pci_device(struct virtio_pci *vp);
/* Through all buses: pci.h. */
int virtio_pci_slot(const struct virtio_pci *vp);
/* Where the pmem window is now: the fixed address, or with shmem the BAR's (0: not mapped). */
uint64_t virtio_pci_pmem_gpa(const struct virtio_pci *vp);

#endif
