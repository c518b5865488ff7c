// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_net.h - virtio-net-pci, a network card: its registers, its control queue, its link. Who moves the packets is a back
 * end of vhost.h: the kernel's vhost_net on a tap, so that they do not pass by us, or one that the caller has made.
 *
 * The device of the virtio specification, section 5.1, 1af4:1041: a pair of queues for each queue of the tap, and a control
 * queue, which is served here. The tap is somebody else's (the room net): this device gets its descriptors, what it
 * can do, and functions that change it.
 *
 * A pair of queues is a part of its own (vhost.h), by default with a descriptor of /dev/vhost-net. A driver that did not negotiate
 * VIRTIO_NET_F_MQ has one pair, and the control queue is its third queue.
 */
#ifndef PMVM_VHOST_NET_H
#define PMVM_VHOST_NET_H

#include "virtio_pci.h"

#include <vpmem.h>

struct vhost_backend;

#define VHOST_NET_MODEL "virtio-net-pci"
#define VHOST_NET_PAIRS_MAX 31u /* two queues each, and the control queue */
#define VHOST_NET_QUEUE_SIZE_MIN 256u
#define VHOST_NET_QUEUE_SIZE_MAX 1024u
#define MAC_SIZE 6u

/*
 * What the device needs of its tap, or of whatever has its pairs of queues. Called under the machine lock. Each returns 0 or
 * -errno. NULL: there is nothing to do.
 */
struct vhost_net_tap {
	/* One queue's descriptor, for the kernel's vhost; borrowed until the device is destroyed. */
	int (*fd)(void *tap, unsigned idx);
	/*
	 * The driver takes packets without checksum, or larger than a frame: VIRTIO_NET_F_GUEST_* of the features. Only
	 * bits of `offloads` are set.
	 */
	int (*set_offloads)(void *tap, uint64_t features);
	/* The driver uses so many queues: the others get no packets. */
	int (*set_queues)(void *tap, unsigned npairs);
	/* Before its queues run: the MTU that the driver has negotiated, or 0, and the address of the card. */
	void (*describe)(void *tap, uint16_t mtu, const uint8_t mac[MAC_SIZE]);
	void *tap;
	unsigned npairs;   /* 1 to VHOST_NET_PAIRS_MAX */
	uint64_t offloads; /* VIRTIO_NET_F_GUEST_* that set_offloads can do */
	bool no_header;    /* packets have no struct virtio_net_hdr before them: there are no offloads */
};

/*
 * Back ends that are not the kernel's vhost: one for each pair, with the queues of that pair as 0 and 1; or one for all
 * pairs (is_one), which learns by the tap's set_queues how many of them the driver uses.
 */
struct vhost_net_backends {
	struct vhost_backend *
		*list; /* NULL: the kernel's. What they point to is borrowed until the device is destroyed */
	bool is_one;
	/*
	 * VIRTIO_NET_F_MRG_RXBUF and those of the rings that they know. One for all pairs has VIRTIO_NET_F_MQ among them, and
	 * offloads, of either direction, which it does by itself: the driver cannot change them while it runs.
	 */
	uint64_t features;
	unsigned regions_max; /* of memory; 0: there is no limit */
};

#define VHOST_NET_MACS_MAX 64u
#define VHOST_NET_MODES 6u

/* What the driver wants to receive. */
struct vhost_net_filter {
	bool modes[VHOST_NET_MODES];               /* by VIRTIO_NET_CTRL_RX_* */
	bool unicast_overflow, multicast_overflow; /* the list is longer than there is room for, and empty here */
	unsigned nunicast, nmulticast;
	uint8_t macs[VHOST_NET_MACS_MAX][MAC_SIZE]; /* unicast, then multicast */
};

struct vhost_net_owner {
	/* The filter or the address is another one. Main thread; not again before vhost_net_filter. NULL: nobody asks. */
	void (*filter_changed)(void *owner);
	void *owner;
};

/* What the card uses of the features of a back end for all pairs. */
uint64_t vhost_net_backend_features(void);

struct vhost_net_options {
	struct virtio_pci_config pci; /* where and how it is plugged; ops and device are filled here */
	const struct gmem *mem;       /* borrowed */
	struct vhost_net_tap tap;
	struct vhost_net_backends backends;
	struct vhost_net_owner owner;
	const int *
		vhost_fds; /* one for each pair, open descriptors of /dev/vhost-net; NULL: they are opened. Taken on success */
	uint8_t mac[MAC_SIZE];
	uint16_t host_mtu; /* 0: none is offered */
	uint16_t queue_size;
	uint64_t features_off; /* VIRTIO_NET_F_* and others that the user does not want */
};

/*
 * Creates the device and plugs it in. Errors, in QEMU's words: no /dev/vhost-net; those of virtio_pci_create; -E2BIG of
 * vhost_init.
 */
int vhost_net_create(const struct vhost_net_options *cfg, struct virtio_pci **out, struct vpmem_error *err);

/* Of a transport that vhost_net_create made. Without a link no packet passes, and the driver sees that. */
void vhost_net_set_link(struct virtio_pci *vp, bool up);
bool vhost_net_link_is_up(const struct virtio_pci *vp);
/* The address now: the driver may have set another. */
const uint8_t *vhost_net_mac(const struct virtio_pci *vp);
/* The filter now; the next change is reported. */
const struct vhost_net_filter *vhost_net_filter(struct virtio_pci *vp);

#endif
