// SPDX-License-Identifier: Apache-2.0
/*
 * vhost_net_filter.c - which packets the driver of a card wants (virtio specification, sections 5.1.6.5.1 and 5.1.6.5.2).
 * Nobody here applies it, as it is "best-effort". It is for a client of the monitor that applies it on the host.
 */
#include "vhost_net_internal.h"

#include <linux/virtio_net.h>
#include <string.h>

#define COUNT_SIZE 4u

_Static_assert(VIRTIO_NET_CTRL_RX_NOBCAST + 1 == VHOST_NET_MODES, "the last one");

/* As in QEMU, a driver that has said nothing gets everything. */
void vhost_net_filter_reset(struct vhost_net *net)
{
	net->filter = (struct vhost_net_filter) { .modes[VIRTIO_NET_CTRL_RX_PROMISC] = true };
}

void vhost_net_filter_changed(struct vhost_net *net)
{
	if (!net->filter_reported && net->owner.filter_changed)
		net->owner.filter_changed(net->owner.owner);
	net->filter_reported = true;
}

bool vhost_net_filter_set_mode(struct vhost_net *net, uint8_t mode, bool on)
{
	if (mode >= VHOST_NET_MODES)
		return false;
	net->filter.modes[mode] = on;
	vhost_net_filter_changed(net);
	return true;
}

static uint32_t load_count(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool vhost_net_filter_set_table(struct vhost_net *net, const uint8_t *bytes, uint32_t len)
{
	struct vhost_net_filter new = net->filter;
	uint32_t nunicast, nmulticast;

	if (len < COUNT_SIZE)
		return false;
	nunicast = load_count(bytes);
	len -= COUNT_SIZE;
	if (nunicast > len / MAC_SIZE)
		return false;
	len -= nunicast * MAC_SIZE;
	if (len < COUNT_SIZE)
		return false;
	len -= COUNT_SIZE;
	/* Behind a list that is too long the other one is not read: it is taken as too long as well. */
	new.unicast_overflow = nunicast > VHOST_NET_MACS_MAX;
	nmulticast = new.unicast_overflow ? len / MAC_SIZE : load_count(bytes + COUNT_SIZE + nunicast * MAC_SIZE);
	if (len % MAC_SIZE != 0 || nmulticast != len / MAC_SIZE)
		return false;
	new.multicast_overflow = new.unicast_overflow || nmulticast > VHOST_NET_MACS_MAX - nunicast;
	new.nunicast = new.unicast_overflow ? 0 : nunicast;
	new.nmulticast = new.multicast_overflow ? 0 : nmulticast;
	memcpy(new.macs, bytes + COUNT_SIZE, new.nunicast *MAC_SIZE);
	memcpy(new.macs[new.nunicast], bytes + 2 * COUNT_SIZE + new.nunicast *MAC_SIZE, new.nmulticast *MAC_SIZE);
	net->filter = new;
	vhost_net_filter_changed(net);
	return true;
}
