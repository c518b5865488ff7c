// SPDX-License-Identifier: Apache-2.0
/* virtio_pci_internal.h - the transport's state and BAR layout, shared by its files. */
#ifndef PMVM_VIRTIO_PCI_INTERNAL_H
#define PMVM_VIRTIO_PCI_INTERNAL_H

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

/* struct virtio_pci_common_cfg up to queue_reset; the administration virtqueue's fields are not offered. */
#define COMMON_CFG_SIZE 60u
#define NOTIFY_MULTIPLIER 4u
#define NOTIFY_SIZE (VPMEM_QUEUE_COUNT * NOTIFY_MULTIPLIER)

#define SHMEM_BAR 2u

/* With pio_notify the notify structure is here, too, from the BAR's start: ports. */
#define NOTIFY_IO_BAR 4u
#define NOTIFY_IO_BAR_SIZE 16u

/* ISR bits (section 4.1.4.5), which are also the pin's causes. */
#define ISR_QUEUE 0x1u
#define ISR_CONFIG 0x2u

enum { EVENT_CONFIG, EVENT_QUEUE };
static_assert(EVENT_QUEUE + VPMEM_QUEUE_COUNT == MSIX_EVENTS, "one event for the configuration, one per queue");
static_assert(COMMON_CFG_OFF == 0 && DEVICE_CFG_OFF + VPMEM_CONFIG_SIZE <= REGS_PAGE_SIZE,
              "the register page is the first of the BAR and has both configurations");
static_assert(NOTIFY_SIZE <= NOTIFY_IO_BAR_SIZE, "the I/O BAR has room for the notify structure");
static_assert(VPMEM_QUEUE_COUNT == 1, "the flush queue is the only one: one notify address, one vector");
#define FLUSH_QUEUE 0u

struct virtio_pci {
	struct vm *vm;
	struct pci_device *pci;
	struct vpmem_device *device;
	struct msix *msix;
	char *id;
	struct vpmem_gmem *gmem;          /* guest memory in the library's terms; owned */
	struct vpmem_backing *backing;    /* borrowed */
	struct vpmem_callbacks callbacks; /* the monitor's */
	bool plugged;
	bool shmem, pio_notify;
	gpa_t pmem_gpa;            /* where the window is; 0: nowhere (shmem, BAR not decoded) */
	uint64_t ioeventfds[2];    /* where notifications bypass us, by enum vm_space; 0: nowhere */
	uint8_t *page;             /* the register page; NULL: off */
	bool page_mapped;          /* the guest reads it */
	pthread_mutex_t page_lock; /* a leaf: guards device_status in the page */
	unsigned msix_cap_off, pci_cfg_cap_off;
	/* Registers of the transport itself; the machine lock guards them. */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
};

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

uint64_t virtio_pci_regs_read(void *owner, uint64_t off, unsigned width);
void virtio_pci_regs_write(void *owner, uint64_t off, unsigned width, uint64_t val);
/* The same for the I/O BAR. */
uint64_t virtio_pci_notify_read(void *owner, uint64_t off, unsigned width);
void virtio_pci_notify_write(void *owner, uint64_t off, unsigned width, uint64_t val);

/*
 * virtio_pci_page.c, under the machine lock: map and unmap with BAR 0, fill after whatever changes a register.
 * Any thread, also with the device's lock held: set_status, before the interrupt that tells of a new status.
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
