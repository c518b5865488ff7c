// SPDX-License-Identifier: Apache-2.0
/* virtio_pci_internal.h - the transport's state and BAR layout, shared by its files. */
#ifndef PMVM_VIRTIO_PCI_INTERNAL_H
#define PMVM_VIRTIO_PCI_INTERNAL_H

#include "loop.h"
#include "msix.h"
#include "virtio_pci.h"

#include <assert.h>
#include <pthread.h>

/* BAR 0, one kind of register per page. Offsets that have no register read 0 and ignore writes. */
#define REGS_PAGE_SIZE 0x1000u
#define REGS_BAR 0u
#define REGS_BAR_SIZE 0x8000u
#define COMMON_CFG_OFF 0x0000u
#define DEVICE_CFG_OFF 0x0800u
#define ISR_OFF REGS_PAGE_SIZE
#define NOTIFY_OFF 0x2000u
#define MSIX_TABLE_OFF 0x3000u
#define MSIX_PBA_OFF 0x4000u
/* Instead of DEVICE_CFG_OFF, for a device that changes its configuration by itself: a page that is never mapped. */
#define DEVICE_CFG_TRAPPED_OFF 0x5000u

/* struct virtio_pci_common_cfg up to queue_reset; the administration virtqueue's fields are not offered. */
#define COMMON_CFG_SIZE 60u
#define NOTIFY_MULTIPLIER 4u

#define SHMEM_BAR 2u

/* With pio_notify the notify structure is also here, from the BAR's start: ports. */
#define NOTIFY_IO_BAR 4u
#define NOTIFY_IO_BAR_SIZE_MIN 16u

/* ISR bits (section 4.1.4.5), which are also the pin's causes. */
#define ISR_QUEUE 0x1u
#define ISR_CONFIG 0x2u

/* Events of MSI-X: one for the configuration, one for each queue. */
#define EVENT_CONFIG 0u
#define EVENT_QUEUE(queue_idx) (1u + (queue_idx))

static_assert(COMMON_CFG_OFF == 0 && DEVICE_CFG_OFF + VIRTIO_DEVICE_CONFIG_MAX <= REGS_PAGE_SIZE,
              "the register page is the first of the BAR and has both configurations");
static_assert(VIRTIO_DEVICE_QUEUES_MAX * NOTIFY_MULTIPLIER <= 256, "an I/O BAR has room for every queue");
static_assert((VIRTIO_DEVICE_QUEUES_MAX + 1) * 16 <= REGS_PAGE_SIZE, "the MSI-X table is one page");

/* The event loop waits for the eventfd by which a queue's buffers are reported used. */
struct virtio_pci_call {
	struct loop_source source;
	struct virtio_pci *vp;
	uint16_t queue_idx;
	bool waits; /* source is in the loop */
};

struct virtio_pci {
	struct vm *vm;
	struct pci_device *pci;
	const struct virtio_device_ops *ops;
	void *device; /* owned */
	unsigned nqueues, nvectors;
	struct msix *msix;
	char *id;
	struct loop *loop;
	struct virtio_pci_call *calls; /* one for each queue; NULL: the device has no such eventfds */
	struct virtio_window window;
	bool plugged;
	bool pio_notify;
	/* Where notifications do not come to us, by enum vm_space: the address of queue 0, and a bit for each queue. */
	struct {
		uint64_t addr, queues;
	} ioeventfds[2];
	unsigned device_cfg_off;   /* DEVICE_CFG_OFF or DEVICE_CFG_TRAPPED_OFF */
	uint8_t *page;             /* the register page; NULL: off */
	bool page_mapped;          /* the guest reads it */
	pthread_mutex_t page_lock; /* a leaf: guards device_status and config_generation in the page */
	unsigned msix_cap_off, pci_cfg_cap_off;
	struct virtio_select select; /* registers of the transport itself; the machine lock guards them */
};
static_assert(VIRTIO_DEVICE_QUEUES_MAX <= 64, "a bit for each queue");

/* For messages: the user's id. */
const char *virtio_pci_name(const struct virtio_pci *vp);

/* virtio_pci_config.c: before plugging; and the two hooks of struct pci_device_ops. */
void virtio_pci_capabilities_add(struct virtio_pci *vp);
void virtio_pci_config_read(void *owner, unsigned off, unsigned width);
void virtio_pci_config_written(void *owner, unsigned off, unsigned width);

/* virtio_pci_regs.c: accesses within BAR 0, from the BAR or from the window in configuration space. */
struct virtio_pci_field {
	uint8_t off, width;
};
#define COMMON_FIELDS 21u
extern const struct virtio_pci_field virtio_pci_common_fields[COMMON_FIELDS];

/* The device's registers with what the driver has selected: one lock of the device. */
struct virtio_registers virtio_pci_registers(struct virtio_pci *vp);
/* What a field of the common configuration reads as; `regs` is what virtio_pci_registers returned. */
uint32_t virtio_pci_common_field(const struct virtio_pci *vp, const struct virtio_registers *regs, unsigned off);

uint64_t virtio_pci_regs_read(void *owner, uint64_t off, unsigned width);
/* Does not bring the register page up to date: the BAR's handler does (virtio_pci.c). */
void virtio_pci_regs_write(void *owner, uint64_t off, unsigned width, uint64_t val);
/* The same for the I/O BAR. */
uint64_t virtio_pci_notify_read(void *owner, uint64_t off, unsigned width);
void virtio_pci_notify_write(void *owner, uint64_t off, unsigned width, uint64_t val);

/*
 * virtio_pci_call.c: the eventfds that somebody else writes to. They are the device's until it is destroyed. Update after
 * whatever may change who takes them: status, vectors, masks.
 */
int virtio_pci_calls_create(struct virtio_pci *vp);
void virtio_pci_calls_update(struct virtio_pci *vp);
void virtio_pci_calls_destroy(struct virtio_pci *vp);

/*
 * virtio_pci_page.c, under the machine lock: map and unmap with BAR 0, fill after whatever changes a register.
 * Any thread, also with the device's lock held: set_status, before the interrupt that announces a new status.
 */
int virtio_pci_page_create(struct virtio_pci *vp);
void virtio_pci_page_map(struct virtio_pci *vp, gpa_t gpa);
void virtio_pci_page_unmap(struct virtio_pci *vp, gpa_t gpa);
void virtio_pci_page_fill(struct virtio_pci *vp);
void virtio_pci_page_set_status(struct virtio_pci *vp);
void virtio_pci_page_destroy(struct virtio_pci *vp);

/* Resets the device, and with it selectors, event mapping and ISR; not the state that belongs to PCI. */
void virtio_pci_device_reset(struct virtio_pci *vp);

#endif
