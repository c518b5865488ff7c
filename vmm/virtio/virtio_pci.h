// SPDX-License-Identifier: Apache-2.0
/*
 * virtio_pci.h - the virtio-pci transport (modern only) for any virtio device with up to 64 queues: MSI-X, INTx.
 *
 * BAR 0 is laid out by page: page 0 common configuration and device configuration, page 1 ISR, page 2 notify, page 3 MSI-X
 * table, page 4 pending bits, page 5 the device configuration of a device that changes it by itself. No read of page 0
 * has a side effect: with register_page it is a read-only memory slot (vm.h), which the guest reads without an exit.
 * A device with a shared memory window has it in BAR 2 (64-bit, prefetchable). With pio_notify, BAR 4 is ports for
 * notifications, and the first of two such capabilities, which is the one that Linux takes.
 *
 * There is an MSI-X vector for the configuration and one for each queue, unless the device has fewer. Each queue has a
 * notification address of its own, in memory and in the ports, to which its eventfd is bound where the machine has room
 * for an ioeventfd.
 *
 * A queue whose device has an eventfd for interrupts (virtio_device.h: queue_call_efd) needs nobody of ours: while its MSI-X
 * vector is enabled and not masked, KVM takes the eventfd. While the driver uses the pin, the event loop does, because the
 * ISR register has to show the cause.
 *
 * All of it runs under the machine lock, except the two interrupts.
 */
#ifndef PMVM_VIRTIO_PCI_H
#define PMVM_VIRTIO_PCI_H

#include "pci.h"
#include "virtio_device.h"

struct loop;
struct virtio_pci;

/* A shared memory region of the device (virtio specification, section 2.10), which the guest maps by BAR 2. */
struct virtio_window {
	void *hva; /* borrowed */
	uint64_t
		size; /* bytes; 0: there is none. The BAR is the next power of two, the window what is there, from its start */
	bool readonly;
	uint8_t shmem_id;
	int fd; /* the file that is mapped there, as in struct vm_memory_region; borrowed, -1: none */
	uint64_t fd_off;
};

struct virtio_pci_config {
	struct pci_bus *bus;
	int bus_nr;                          /* which of the buses, or -1: the first one that has room */
	int slot;                            /* device number 1 to 31, or -1: the first free one */
	const char *id;                      /* may be NULL; copied */
	bool pio_notify;                     /* on bus 0 only */
	bool register_page;                  /* reads of page 0 do not leave the guest, if the machine has a slot */
	const struct virtio_device_ops *ops; /* borrowed */
	void *device;                        /* in its reset state */
	struct loop *loop;                   /* borrowed; for devices with queue_call_efd, else NULL */
	struct virtio_window window;
};

/*
 * Plugs the device into the bus: BARs assigned, visible to the guest. Takes the device on success; on failure it stays the
 * caller's. Errors: the slot is taken (QEMU: "PCI: slot 5 function 0 not available for virtio-pmem-pci, in use by
 * <name>"), none is free, no room for a BAR. *out is set before the guest can see the device.
 */
int virtio_pci_create(const struct virtio_pci_config *cfg, struct virtio_pci **out, struct vpmem_error *err);

/*
 * Resets the device and takes it out of the bus; the guest no longer sees it, and it raises no interrupt.
 * Does not wait for what the device still does (the pmem device: a sync). A second call does nothing.
 */
void virtio_pci_unplug(struct virtio_pci *vp);

/*
 * Unplugs if that was not done, and destroys the device, which may wait. After virtio_pci_unplug it may be called
 * without the machine lock, so that the guest runs on meanwhile. Returns what the device's destroy returns. NULL is
 * allowed. Not from a callback.
 */
int virtio_pci_destroy(struct virtio_pci *vp);

/* The machine stops, or goes on: virtio_device.h. Does nothing after virtio_pci_unplug. */
void virtio_pci_set_paused(struct virtio_pci *vp, bool paused);

/*
 * The device's side. Any thread, with the device's lock held: device_status or the configuration changed; buffers of a
 * queue were used. Sends the message of the vector that the driver chose, or drives the pin.
 */
void virtio_pci_config_interrupt(struct virtio_pci *vp);
/*
 * The same for a device that changes its configuration itself (config_changes), after each change: a driver may read the
 * configuration before DRIVER_OK, when it gets no interrupt, and needs the generation of what it reads.
 */
void virtio_pci_config_changed(struct virtio_pci *vp);
void virtio_pci_queue_interrupt(struct virtio_pci *vp, uint16_t queue_idx);

/* The device behind the transport, which must be of this kind. */
void *virtio_pci_device(const struct virtio_pci *vp, const struct virtio_device_ops *ops);
/* Through all buses: pci.h. */
int virtio_pci_slot(const struct virtio_pci *vp);

#endif
