// SPDX-License-Identifier: Apache-2.0
// virtio-net-pci: a network card whose queues are served by the kernel's vhost_net, or by another back end.
#include "error.h"
#include "vhost_net_internal.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define DEVICE_FILE "/dev/vhost-net"
/* struct virtio_net_config up to mtu. */
#define CONFIG_SIZE 12u
#define CONFIG_MAC 0u
#define CONFIG_STATUS 6u
#define CONFIG_PAIRS 8u
#define CONFIG_MTU 10u

/* vhost's own bit: the tap has no header before a packet, vhost adds one. */
#define VHOST_NET_F_VIRTIO_NET_HDR 27u

/* ---- the kernel's side ------------------------------------------------------------------------------------------ */

static struct vhost_net_pair *pair_of(struct vhost_kernel *vk)
{
	return (struct vhost_net_pair *)((char *)vk - offsetof(struct vhost_net_pair, kernel));
}

static int attach(struct vhost_kernel *vk)
{
	int rc = vhost_kernel_net_set_backend(vk, 0, pair_of(vk)->tap_fd);

	return rc ? rc : vhost_kernel_net_set_backend(vk, 1, pair_of(vk)->tap_fd);
}

static void detach(struct vhost_kernel *vk)
{
	for (unsigned i = 0; i < 2; i++)
		(void)vhost_kernel_net_set_backend(vk, i, -1);
}

/* ---- what the driver chooses -------------------------------------------------------------------------------------- */

static struct vhost_net *net_of(void *device)
{
	return device;
}

static bool is_multiqueue(const struct vhost_net *net)
{
	return net->vhost.virtio.accepted & BIT(VIRTIO_NET_F_MQ);
}

/* The control queue follows the pairs that the driver knows of. */
static uint16_t control_idx(const struct vhost_net *net)
{
	return (uint16_t)(2 * (is_multiqueue(net) ? net->tap.npairs : 1));
}

int vhost_net_set_offloads(struct vhost_net *net, uint64_t features)
{
	if (net->tap.offloads == 0)
		return 0;
	return net->tap.set_offloads(net->tap.tap, features & net->tap.offloads);
}

int vhost_net_set_pairs(struct vhost_net *net, unsigned npairs)
{
	int rc = net->tap.set_queues ? net->tap.set_queues(net->tap.tap, npairs) : 0;

	if (rc == 0)
		net->npairs_used = npairs;
	return rc;
}

static void on_control(void *owner, short revents)
{
	struct vhost_net *net = owner;
	eventfd_t count;

	(void)revents;
	(void)!eventfd_read(net->control.fd, &count);
	vhost_net_control_serve(net, control_idx(net));
}

/* The event loop waits for the control queue while the driver runs. */
static void update_control(struct vhost_net *net)
{
	struct vhost *vhost = &net->vhost;
	const struct virtq *q = virtio_queue(&vhost->virtio, control_idx(net));
	int fd = q && virtio_queue_live(&vhost->virtio, q) ? vhost->kick_efds[control_idx(net)] : -1;

	if (fd == net->control.fd)
		return;
	loop_del(vhost->loop, &net->control);
	net->control.fd = fd;
	if (fd >= 0 && loop_add(vhost->loop, &net->control))
		net->control.fd = -1;
}

/*
 * Before DRIVER_OK has an effect: which pairs there are, and what the tap may send. A driver with more pairs begins with
 * one, until it says otherwise.
 */
static void prepare(struct vhost_net *net)
{
	unsigned npairs = is_multiqueue(net) ? net->tap.npairs : 1;

	for (unsigned i = 0; i < net->tap.npairs; i++)
		net->parts[i].wanted = net->link_up && i < npairs;
	if (net->one_backend)
		net->parts[0].nqueues = (uint16_t)(2 * npairs);
	if (net->tap.describe)
		net->tap.describe(net->tap.tap,
		                  virtio_has_feature(&net->vhost.virtio, VIRTIO_NET_F_MTU) ? net->host_mtu : 0,
		                  net->mac);
}

static void net_set_status(void *device, uint8_t status)
{
	struct vhost_net *net = net_of(device);
	uint8_t old = vhost_status(device);
	bool starts = status & ~old & VIRTIO_STATUS_DRIVER_OK;
	int rc;

	if (starts || status == 0) {
		prepare(net);
		rc = vhost_net_set_offloads(net, status == 0 ? 0 : net->vhost.virtio.accepted);
		if (rc == 0)
			rc = vhost_net_set_pairs(net, 1);
		if (rc && starts)
			vhost_fault(&net->vhost, "the tap refuses what the driver negotiated");
	}
	if (status == 0) {
		memcpy(net->mac, net->own_mac, MAC_SIZE);
		vhost_net_filter_reset(net);
	}
	vhost_set_status(device, status);
	update_control(net);
}

static void net_queue_enable(void *device, uint16_t queue_idx)
{
	vhost_queue_enable(device, queue_idx);
	update_control(net_of(device));
}

/* ---- registers ------------------------------------------------------------------------------------------------------ */

static void store_le16(uint8_t *at, unsigned val)
{
	at[0] = (uint8_t)val;
	at[1] = (uint8_t)(val >> 8);
}

static void net_read(void *device, const struct virtio_select *select, struct virtio_registers *out)
{
	const struct vhost_net *net = device;

	vhost_read(device, select, out);
	memcpy(out->config + CONFIG_MAC, net->mac, MAC_SIZE);
	store_le16(out->config + CONFIG_STATUS, net->link_up ? VIRTIO_NET_S_LINK_UP : 0);
	store_le16(out->config + CONFIG_PAIRS, net->tap.npairs);
	store_le16(out->config + CONFIG_MTU, net->host_mtu);
}

static void net_unplug(void *device)
{
	struct vhost_net *net = net_of(device);

	loop_del(net->vhost.loop, &net->control);
	net->control.fd = -1;
	vhost_unplug(device);
}

static int net_destroy(void *device)
{
	struct vhost_net *net = net_of(device);

	vhost_fini(&net->vhost);
	for (unsigned i = 0; i < net->tap.npairs; i++)
		vhost_kernel_close(&net->pairs[i].kernel);
	free(net);
	return 0;
}

static const struct virtio_device_ops net_ops = {
	.model = VHOST_NET_MODEL,
	.device_id = VIRTIO_ID_NET,
	.class_code = 0x020000, /* Ethernet */
	.config_size = CONFIG_SIZE,
	.config_changes = true, /* the link, and the address by the control queue */
	.nqueues = vhost_nqueues,
	.read = net_read,
	.status = vhost_status,
	.config_generation = vhost_config_generation,
	.set_driver_features = vhost_set_driver_features,
	.set_status = net_set_status,
	.queue_set = vhost_queue_set,
	.queue_enable = net_queue_enable,
	.queue_kick = vhost_queue_kick,
	.queue_kick_efd = vhost_queue_kick_efd,
	.queue_call_efd = vhost_queue_call_efd,
	.set_paused = vhost_set_paused,
	.unplug = net_unplug,
	.destroy = net_destroy,
};

/* ---- life -------------------------------------------------------------------------------------------------------------- */

static int open_error(int rc, bool passed, const struct vhost_kernel *vk, struct vpmem_error *err)
{
	if (strcmp(vk->backend.failed, DEVICE_FILE) != 0) {
		error_set(err, rc, "vhost-net requested but could not be initialized: %s: %s", vk->backend.failed,
		          strerror(-rc));
		if (passed)
			error_hint(err, "vhostfd needs a descriptor of " DEVICE_FILE " that no process uses yet");
		return rc;
	}
	error_set(err, rc, "tap: open vhost char device failed: %s", strerror(-rc));
	if (rc == -EACCES || rc == -EPERM)
		error_hint(err, "give yourself access to " DEVICE_FILE ": usually by joining the group kvm");
	else
		error_hint(err, "load the module: sudo modprobe vhost_net");
	return rc;
}

static void set_part(struct vhost_net *net, unsigned idx, struct vhost_backend *backend)
{
	net->parts[idx] = (struct vhost_part) { .backend = backend, .first_queue = (uint16_t)(2 * idx), .nqueues = 2 };
}

static unsigned nparts(const struct vhost_net *net)
{
	return net->one_backend ? 1 : net->tap.npairs;
}

static int pairs_open(struct vhost_net *net, const struct vhost_net_options *cfg, uint64_t *features,
                      struct vpmem_error *err)
{
	for (unsigned i = 0; i < nparts(net) && cfg->backends.list; i++)
		set_part(net, i, cfg->backends.list[i]);
	if (cfg->backends.list) {
		*features = cfg->backends.features;
		return 0;
	}
	for (unsigned i = 0; i < net->tap.npairs; i++) {
		struct vhost_net_pair *pair = &net->pairs[i];
		int rc = vhost_kernel_open(&pair->kernel, VHOST_KERNEL_NET, cfg->vhost_fds ? cfg->vhost_fds[i] : -1);

		if (rc == 0)
			rc = vhost_kernel_get_features(&pair->kernel, features);
		if (rc)
			return open_error(rc, cfg->vhost_fds, &pair->kernel, err);
		pair->tap_fd = net->tap.fd(net->tap.tap, i);
		set_part(net, i, &pair->kernel.backend);
	}
	if (*features & BIT(VIRTIO_F_VERSION_1))
		return 0;
	return error_set(err, -ENOSYS, "vhost-net: the kernel's vhost is too old: no VIRTIO_F_VERSION_1");
}

static unsigned regions_max(const struct vhost_net_backends *backends)
{
	if (!backends->list)
		return vhost_kernel_regions_max();
	return backends->regions_max ? backends->regions_max : VM_MEMORY_REGIONS_MAX;
}

static int device_create(struct vhost_net *net, const struct vhost_net_options *cfg, uint64_t kernel,
                         struct vpmem_error *err)
{
	struct vhost_config vhost = {
		.model = VHOST_NET_MODEL,
		.id = cfg->pci.id,
		.vm = pci_bus_vm(cfg->pci.bus),
		.loop = cfg->pci.loop,
		.mem = cfg->mem,
		.features = vhost_net_device_features(net, cfg, kernel),
		.backend_features = vhost_net_shared_features(net),
		.backend_own = cfg->tap.no_header ? BIT(VHOST_NET_F_VIRTIO_NET_HDR) : 0,
		.nqueues = 2 * net->tap.npairs + 1,
		.queue_size_max = cfg->queue_size,
		.parts = net->parts,
		.nparts = nparts(net),
		.regions_max = regions_max(&cfg->backends),
	};

	return vhost_init(&net->vhost, &vhost, err);
}

int vhost_net_create(const struct vhost_net_options *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	struct virtio_pci_config pci = cfg->pci;
	struct vhost_net *net = calloc(1, sizeof(*net));
	uint64_t kernel = 0;
	int rc;

	if (!net)
		return error_set(err, -ENOMEM, VHOST_NET_MODEL ": out of memory");
	net->tap = cfg->tap;
	net->one_backend = cfg->backends.is_one;
	net->host_mtu = cfg->host_mtu;
	net->link_up = true;
	net->owner = cfg->owner;
	vhost_net_filter_reset(net);
	memcpy(net->own_mac, cfg->mac, MAC_SIZE);
	memcpy(net->mac, cfg->mac, MAC_SIZE);
	net->control = (struct loop_source) { .fd = -1, .events = POLLIN, .ready = on_control, .owner = net };
	for (unsigned i = 0; i < VHOST_NET_PAIRS_MAX; i++)
		net->pairs[i].kernel = (struct vhost_kernel) { .fd = -1, .attach = attach, .detach = detach };
	rc = pairs_open(net, cfg, &kernel, err);
	if (rc == 0)
		rc = device_create(net, cfg, kernel, err);
	if (rc == 0) {
		pci.ops = &net_ops;
		pci.device = net;
		rc = virtio_pci_create(&pci, &net->vhost.pci, err);
	}
	if (rc) {
		/* What was passed is still the caller's. */
		for (unsigned i = 0; cfg->vhost_fds && i < net->tap.npairs; i++)
			net->pairs[i].kernel.fd = -1;
		net_destroy(net);
		return rc;
	}
	*out = net->vhost.pci;
	return 0;
}

/* ---- for the machine ------------------------------------------------------------------------------------------------------ */

/* The back end that comes with the link may follow one that ended between the use of a buffer and its interrupt. */
static void repeat_interrupts(struct vhost_net *net)
{
	for (unsigned i = 0; net->one_backend && net->parts[0].running && i < net->parts[0].nqueues; i++)
		(void)!eventfd_write(net->vhost.call_efds[i], 1);
}

void vhost_net_set_link(struct virtio_pci *vp, bool up)
{
	struct vhost_net *net = virtio_pci_device(vp, &net_ops);
	struct virtio *virtio = &net->vhost.virtio;

	if (up == net->link_up)
		return;
	net->link_up = up;
	prepare(net);
	vhost_update(&net->vhost);
	repeat_interrupts(net);
	virtio_config_changed(virtio);
	if (virtio_status(virtio) & VIRTIO_STATUS_DRIVER_OK && virtio_has_feature(virtio, VIRTIO_NET_F_STATUS))
		virtio_pci_config_interrupt(vp);
}

bool vhost_net_link_is_up(const struct virtio_pci *vp)
{
	const struct vhost_net *net = virtio_pci_device(vp, &net_ops);

	return net->link_up;
}

const uint8_t *vhost_net_mac(const struct virtio_pci *vp)
{
	const struct vhost_net *net = virtio_pci_device(vp, &net_ops);

	return net->mac;
}

const struct vhost_net_filter *vhost_net_filter(struct virtio_pci *vp)
{
	struct vhost_net *net = virtio_pci_device(vp, &net_ops);

	net->filter_reported = false;
	return &net->filter;
}
