// SPDX-License-Identifier: Apache-2.0
// virtio-net-pci: network cards of the machine, each with a netdev.
#include "machine_net.h"

#include "error.h"
#include "machine.h"
#include "machine_device.h"
#include "machine_find.h"
#include "machine_netdev.h"
#include "net_port.h"
#include "net_worker.h"
#include "tap.h"
#include "vhost_net.h"
#include "vhost_user_net.h"
#include "virtio.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct net {
	struct device dev;
	struct netdev *netdev;
	bool has_peer;                              /* the netdev was not deleted, and has not ended */
	struct net_worker *workers[NET_QUEUES_MAX]; /* NULL: the kernel's vhost */
};

#define BIT(n) (UINT64_C(1) << (n))

static const uint8_t feature_bits[NET_FEATURES] = {
	[NET_CSUM] = VIRTIO_NET_F_CSUM,
	[NET_CTRL_GUEST_OFFLOADS] = VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	[NET_CTRL_MAC_ADDR] = VIRTIO_NET_F_CTRL_MAC_ADDR,
	[NET_CTRL_RX] = VIRTIO_NET_F_CTRL_RX,
	[NET_CTRL_VQ] = VIRTIO_NET_F_CTRL_VQ,
	[NET_GUEST_CSUM] = VIRTIO_NET_F_GUEST_CSUM,
	[NET_GUEST_ECN] = VIRTIO_NET_F_GUEST_ECN,
	[NET_GUEST_TSO4] = VIRTIO_NET_F_GUEST_TSO4,
	[NET_GUEST_TSO6] = VIRTIO_NET_F_GUEST_TSO6,
	[NET_HOST_ECN] = VIRTIO_NET_F_HOST_ECN,
	[NET_HOST_TSO4] = VIRTIO_NET_F_HOST_TSO4,
	[NET_HOST_TSO6] = VIRTIO_NET_F_HOST_TSO6,
	[NET_MRG_RXBUF] = VIRTIO_NET_F_MRG_RXBUF,
	[NET_STATUS] = VIRTIO_NET_F_STATUS,
};

// ---- the tap, as the device wants it

static int get_fd(void *tap, unsigned idx)
{
	return tap_fd(tap, idx);
}

static int set_offloads(void *tap, uint64_t features)
{
	return tap_set_offloads(tap, features);
}

static int set_queues(void *tap, unsigned npairs)
{
	return tap_set_queues(tap, npairs);
}

// ---- plugging

static uint64_t features_off(const struct net_config *cfg)
{
	uint64_t off = 0;

	for (unsigned i = 0; i < NET_FEATURES; i++)
		if (!cfg->features[i])
			off |= BIT(feature_bits[i]);
	if (!cfg->mq || !cfg->features[NET_CTRL_VQ])
		off |= BIT(VIRTIO_NET_F_MQ);
	if (!cfg->dev.event_idx)
		off |= BIT(VIRTIO_F_EVENT_IDX);
	if (!cfg->dev.indirect_desc)
		off |= BIT(VIRTIO_F_INDIRECT_DESC);
	return off;
}

// QEMU's: the first card has 52:54:00:12:34:56, the next one 57.
static void choose_mac(struct machine *m, const struct net_config *cfg, uint8_t mac[MAC_SIZE])
{
	static const uint8_t first[MAC_SIZE] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

	memcpy(mac, cfg->mac_text ? cfg->mac : first, MAC_SIZE);
	if (!cfg->mac_text)
		mac[MAC_SIZE - 1] = (uint8_t)(mac[MAC_SIZE - 1] + m->nmacs++);
}

static int find_netdev(struct machine *m, const char *id, struct netdev **out, struct vpmem_error *err)
{
	struct object *netdev = machine_find_netdev(m, id);

	if (!netdev) {
		error_set(err, -EINVAL, "Property 'virtio-net-device.netdev' can't find value '%s'", id);
		error_hint(err,
		           "netdev names a network back end: netdev_add tap,id=%s,ifname=tap0,script=no,downscript=no",
		           id);
		return -EINVAL;
	}
	if (netdev->in_use) {
		error_set(err, -EBUSY, "Property 'virtio-net-device.netdev' can't take value '%s', it's in use", id);
		error_hint(err, "every card needs a netdev of its own");
		return -EBUSY;
	}
	*out = (struct netdev *)netdev;
	return 0;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

// The device closes its descriptors, and those of the user belong to the netdev, which may get another card later.
static int dup_vhost_fds(const struct tap_config *cfg, int out[NET_QUEUES_MAX], struct vpmem_error *err)
{
	for (unsigned i = 0; i < cfg->nvhost_fds; i++) {
		out[i] = fcntl(cfg->vhost_fds[i], F_DUPFD_CLOEXEC, 0);
		if (out[i] < 0) {
			int rc = -errno;

			close_all(out, i);
			return error_set(err, rc, "vhostfd=%d: %s", cfg->vhost_fds[i], strerror(-rc));
		}
	}
	return 0;
}

static void on_filter_changed(void *owner)
{
	const struct device *dev = owner;
	char *path;

	// As in QEMU, that of the device inside.
	if (asprintf(&path, "%s/virtio-backend", dev->path) < 0)
		return;
	machine_event_send(dev->machine, &(struct machine_event) { .kind = MACHINE_EVENT_NIC_RX_FILTER_CHANGED,
	                                                           .device = dev->cfg->id,
	                                                           .path = path });
	free(path);
}

// What a card has of its configuration, whatever its netdev is.
static struct vhost_net_options card_options(struct net *net, const struct virtio_pci_config *pci)
{
	const struct net_config *cfg = device_config_as(net->dev.cfg, &virtio_net_pci_model);
	struct vhost_net_options opts = {
		.pci = *pci,
		.mem = &net->dev.machine->gmem,
		.tap = { .npairs = net->netdev->npairs },
		.host_mtu = (uint16_t)cfg->host_mtu,
		.queue_size = (uint16_t)cfg->rx_queue_size,
		.features_off = features_off(cfg),
		.owner = { .filter_changed = on_filter_changed, .owner = &net->dev },
	};

	choose_mac(net->dev.machine, cfg, opts.mac);
	return opts;
}

static int plug_vhost(struct net *net, const struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct netdev_tap *netdev = (struct netdev_tap *)net->netdev;
	struct tap *tap = netdev->tap;
	struct vhost_net_options opts;
	int vhost_fds[NET_QUEUES_MAX], rc = dup_vhost_fds(netdev->cfg, vhost_fds, err);

	if (rc < 0)
		return rc;
	opts = card_options(net, pci);
	opts.tap.fd = get_fd;
	opts.tap.set_offloads = set_offloads;
	opts.tap.set_queues = set_queues;
	opts.tap.tap = tap;
	opts.tap.offloads = tap_offloads(tap);
	opts.tap.no_header = !tap_has_header(tap);
	opts.vhost_fds = netdev->cfg->nvhost_fds ? vhost_fds : NULL;
	rc = vhost_net_create(&opts, &net->dev.vp, err);
	if (rc < 0)
		close_all(vhost_fds, netdev->cfg->nvhost_fds);
	return rc;
}

// ---- threads of this process

static void drop_workers(struct net *net)
{
	for (unsigned i = 0; i < net->netdev->npairs; i++) {
		net_worker_destroy(net->workers[i]);
		net->workers[i] = NULL;
	}
}

static int add_worker(struct net *net, unsigned idx, struct vpmem_error *err)
{
	const struct net_worker_options opts = {
		.name = net->dev.cfg->id ? net->dev.cfg->id : net->netdev->obj.cfg->id,
		.mem = &net->dev.machine->gmem,
		.port = { .poll_fd = net_port_poll_fd,
		          .set_wake_efd = net_port_set_wake_efd,
		          .next = net_port_next,
		          .drop = net_port_drop,
		          .send = net_port_send,
		          .flush = net_port_flush,
		          .hung_up = net_port_hung_up,
		          .port = net->netdev->ports[idx] },
	};

	return net_worker_create(&opts, &net->workers[idx], err);
}

static_assert(NET_FRAME_MAX == NET_WORKER_FRAME_MAX, "a port takes what a worker has");
static_assert(NET_PARTS_MAX >= VIRTQ_CHAIN_MAX, "in as many parts");

static int plug_workers(struct net *net, const struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct vhost_backend *backends[NET_QUEUES_MAX];
	struct vhost_net_options opts = card_options(net, pci);
	int rc = 0;

	for (unsigned i = 0; i < net->netdev->npairs && rc == 0; i++) {
		rc = add_worker(net, i, err);
		if (rc == 0)
			backends[i] = net_worker_backend(net->workers[i]);
	}
	opts.backends = (struct vhost_net_backends) { .list = backends, .features = net_worker_features() };
	if (rc == 0)
		rc = vhost_net_create(&opts, &net->dev.vp, err);
	if (rc < 0)
		drop_workers(net);
	return rc;
}

// ---- another process

static int set_user_pairs(void *net, unsigned npairs)
{
	return vhost_user_net_set_pairs(net, npairs);
}

static void describe(void *net, uint16_t mtu, const uint8_t *mac)
{
	vhost_user_net_describe(net, mtu, mac);
}

static int plug_vhost_user(struct net *net, const struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct vhost_user_net *user = net->netdev->vhost_user;
	struct vhost_backend *backend = vhost_user_net_backend(user);
	struct vhost_net_options opts = card_options(net, pci);

	opts.tap.tap = user;
	opts.tap.set_queues = set_user_pairs;
	opts.tap.describe = describe;
	opts.backends = (struct vhost_net_backends) { .list = &backend,
		                                      .is_one = true,
		                                      .features = vhost_user_net_features(user),
		                                      .regions_max = vhost_user_net_regions_max(user) };
	return vhost_net_create(&opts, &net->dev.vp, err);
}

// ---- every card

static void set_link(struct net *net, bool up)
{
	vhost_net_set_link(net->dev.vp, up);
	for (unsigned i = 0; i < net->netdev->npairs; i++)
		if (net->workers[i])
			net_worker_set_discard(net->workers[i], !up);
}

static int net_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	struct net *net = (struct net *)dev;
	const struct net_config *cfg = device_config_as(dev->cfg, &virtio_net_pci_model);
	int rc = find_netdev(dev->machine, cfg->netdev, &net->netdev, err);

	if (rc < 0)
		return rc;
	if (net->netdev->ports[0])
		rc = plug_workers(net, pci, err);
	else if (net->netdev->vhost_user)
		rc = plug_vhost_user(net, pci, err);
	else
		rc = plug_vhost(net, pci, err);
	if (rc < 0)
		return rc;
	net->has_peer = !net->netdev->has_ended;
	if (!net->has_peer)
		set_link(net, false);
	machine_netdev_use(&net->netdev->obj);
	return 0;
}

static void net_destroyed(struct device *dev, int error)
{
	struct net *net = (struct net *)dev;

	(void)error;
	drop_workers(net);
	machine_netdev_release(&net->netdev->obj);
}

const struct device_kind virtio_net_pci_kind = {
	.model = &virtio_net_pci_model,
	.size = sizeof(struct net),
	.create = net_create,
	.destroyed = net_destroyed,
};

// ---- links

// By the id of the card, or of its netdev.
static struct net *find_net(struct machine *m, const char *name)
{
	for (unsigned i = 0; i < m->ndevices; i++) {
		struct net *net = (struct net *)m->devices[i];

		if (net->dev.kind != &virtio_net_pci_kind || net->dev.unplug == UNPLUG_EJECTED)
			continue;
		if ((net->dev.cfg->id && strcmp(net->dev.cfg->id, name) == 0) ||
		    (net->has_peer && strcmp(net->netdev->obj.cfg->id, name) == 0))
			return net;
	}
	return NULL;
}

int machine_set_link(struct machine *m, const char *name, bool up, struct vpmem_error *err)
{
	struct net *net = find_net(m, name);

	if (!net)
		return error_set(err, -ENODEV, "Device '%s' not found", name);
	set_link(net, up && net->has_peer);
	return 0;
}

static void set_peer(struct machine *m, const struct object *netdev, bool has_peer)
{
	for (unsigned i = 0; i < m->ndevices; i++) {
		struct net *net = (struct net *)m->devices[i];

		if (net->dev.kind != &virtio_net_pci_kind || &net->netdev->obj != netdev)
			continue;
		net->has_peer = has_peer;
		if (net->dev.unplug != UNPLUG_EJECTED)
			set_link(net, has_peer);
	}
}

void machine_net_peer_gone(struct machine *m, const struct object *netdev)
{
	set_peer(m, netdev, false);
}

void machine_net_peer_back(struct machine *m, const struct object *netdev)
{
	set_peer(m, netdev, true);
}

// ---- for the monitor

bool machine_net_info(const struct device *dev, struct net_info *info)
{
	const struct net *net = (const struct net *)dev;
	struct machine *m = dev->machine;

	if (dev->kind != &virtio_net_pci_kind || dev->unplug == UNPLUG_EJECTED)
		return false;
	*info = (struct net_info) { .link_is_up = vhost_net_link_is_up(dev->vp), .npairs = net->netdev->npairs };
	memcpy(info->mac, vhost_net_mac(dev->vp), sizeof(info->mac));
	for (unsigned i = 0; i < m->nnetdevs; i++)
		if (m->netdevs[i] == &net->netdev->obj)
			info->netdev = m->netdevs[i]->cfg->id;
	return true;
}

const struct vhost_net_filter *machine_net_filter(const struct device *dev)
{
	return vhost_net_filter(dev->vp);
}
