// SPDX-License-Identifier: Apache-2.0
// What a virtio-net card offers: the features of its back end and of its tap, and those of its own.
#include "vhost_net_internal.h"

#include <linux/virtio_net.h>

/* What the driver receives, and the same for what it sends: a tap that can do the first can do the second. */
#define GUEST_OFFLOADS                                                                                \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_GUEST_UFO))
/* The same in both directions, and the number of pairs: what a back end for all pairs can do. */
#define ALL_PAIRS_FEATURES                                                                            \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT(VIRTIO_NET_F_GUEST_ECN) | BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |         \
	 BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_MQ))
#define RING_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))

/* The driver may send what the tap may send to it. */
static uint64_t host_offloads(uint64_t guest)
{
	uint64_t host = 0;

	if (guest & BIT(VIRTIO_NET_F_GUEST_CSUM))
		host |= BIT(VIRTIO_NET_F_CSUM);
	if (guest & BIT(VIRTIO_NET_F_GUEST_TSO4))
		host |= BIT(VIRTIO_NET_F_HOST_TSO4);
	if (guest & BIT(VIRTIO_NET_F_GUEST_TSO6))
		host |= BIT(VIRTIO_NET_F_HOST_TSO6);
	if (guest & BIT(VIRTIO_NET_F_GUEST_ECN))
		host |= BIT(VIRTIO_NET_F_HOST_ECN);
	if (guest & BIT(VIRTIO_NET_F_GUEST_UFO))
		host |= BIT(VIRTIO_NET_F_HOST_UFO);
	return host;
}

/* Section 5.1.3.1: a feature needs another one. What is needed comes first. */
static uint64_t without_orphans(uint64_t features)
{
	static const struct {
		uint8_t needed;
		uint64_t by;
	} needs[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, GUEST_OFFLOADS },
		{ VIRTIO_NET_F_CSUM, BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
		                             BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) },
		{ VIRTIO_NET_F_CTRL_VQ, BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
		                                BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) },
	};

	for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!(features & BIT(needs[i].needed)))
			features &= ~needs[i].by;
	if (!(features & (BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))))
		features &= ~BIT(VIRTIO_NET_F_GUEST_ECN);
	if (!(features & (BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6))))
		features &= ~BIT(VIRTIO_NET_F_HOST_ECN);
	return features;
}

uint64_t vhost_net_backend_features(void)
{
	return RING_FEATURES | BIT(VIRTIO_NET_F_MRG_RXBUF) | ALL_PAIRS_FEATURES;
}

uint64_t vhost_net_shared_features(const struct vhost_net *net)
{
	return vhost_net_backend_features() & ~(net->one_backend ? 0 : ALL_PAIRS_FEATURES);
}

uint64_t vhost_net_device_features(const struct vhost_net *net, const struct vhost_net_options *cfg, uint64_t backend)
{
	uint64_t guest = cfg->tap.offloads & GUEST_OFFLOADS;
	uint64_t features = backend & vhost_net_shared_features(net);

	features |= BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
	            BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);
	features |= guest | host_offloads(guest);
	if (guest)
		features |= BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (net->tap.npairs > 1 && !net->one_backend)
		features |= BIT(VIRTIO_NET_F_MQ);
	if (net->tap.npairs == 1)
		features &= ~BIT(VIRTIO_NET_F_MQ);
	if (net->host_mtu)
		features |= BIT(VIRTIO_NET_F_MTU);
	return without_orphans(features & ~cfg->features_off) | BIT(VIRTIO_F_VERSION_1);
}
