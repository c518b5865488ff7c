// SPDX-License-Identifier: Apache-2.0
/* vhost_rig.h - a vhost device on the transport, a fake machine and a fake kernel, and its driver in the guest. */
#ifndef VHOST_RIG_H
#define VHOST_RIG_H

#include "fake_vhost.h"
#include "loop.h"
#include "rig.h"
#include "virtio_pci.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#define SLOT 5u
#define GSI (RIG_INTX_GSI + SLOT)
#define MSG_ADDR 0xfee00000u
#define ISR 0x1000u
#define NOTIFY 0x2000u
#define TABLE 0x3000u
#define PBA 0x4000u
#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define S_RUNNING (S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define BIT(n) (UINT64_C(1) << (n))

#define RAM_GPA UINT64_C(0x100000)
#define RAM_SIZE UINT64_C(0x100000)
/* Each queue has 16 KiB: descriptors, available ring, used ring. */
#define QUEUE_GPA(idx) (RAM_GPA + 0x4000u * (idx))
#define AVAIL_OFF 0x1000u
#define USED_OFF 0x2000u
#define QUEUE_SIZE 16u

struct vhost_rig {
	struct rig rig;
	struct gmem mem;
	pthread_mutex_t lock;
	struct loop loop;
	struct virtio_pci *vp;
	uint64_t regs; /* BAR 0 */
	unsigned nfds; /* descriptors before the device */
	uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
	uint8_t window[4096];
};

/* Without a device; the machine lock is held. */
struct vhost_rig *vhost_rig_new(void);
/* With or without one. Nothing is left behind. */
void vhost_rig_free(struct vhost_rig *r);
/* RAM becomes a file, which another process can map; returns its descriptor, which is the caller's to close. */
int vhost_rig_share_ram(struct vhost_rig *r, uint64_t fd_off);
struct virtio_pci_config vhost_rig_place(struct vhost_rig *r);
unsigned count_fds(void);

uint64_t rd(struct vhost_rig *r, unsigned off, unsigned width);
void wr(struct vhost_rig *r, unsigned off, unsigned width, uint64_t val);
uint8_t status(struct vhost_rig *r);
uint64_t offered_features(struct vhost_rig *r);

/* After the device is plugged: decoded, bus master. */
void probe(struct vhost_rig *r);
void negotiate(struct vhost_rig *r, uint64_t features);
void queue_set(struct vhost_rig *r, unsigned idx, uint64_t desc, uint64_t avail, uint64_t used, unsigned size);
void queue_enable(struct vhost_rig *r, unsigned idx);
/* Queues with their own rings, of a size that every device has. */
void queue_setup(struct vhost_rig *r, unsigned idx);
void msix_setup(struct vhost_rig *r, unsigned nqueues);
void driver_ok(struct vhost_rig *r);
/* All of it, with MSI-X. */
void start(struct vhost_rig *r, uint64_t features, unsigned nqueues);
/* Whether the eventfd interrupts by the queue's vector without us. */
bool is_bound(struct vhost_rig *r, unsigned queue_idx, int efd);
void loop_turn(struct vhost_rig *r);

#endif
