// SPDX-License-Identifier: Apache-2.0
// vhost-vsock-pci: sockets between the guest and programs of the host, by the kernel's vhost.
#include "machine.h"
#include "machine_device.h"
#include "vhost_vsock.h"

static int vsock_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct vsock_config *cfg = device_config_as(dev->cfg, &vhost_vsock_pci_model);
	const struct vhost_vsock_options opts = {
		.pci = *pci,
		.mem = &dev->machine->gmem,
		.guest_cid = cfg->guest_cid,
		.vhost_fd = cfg->vhost_fd,
		.no_event_idx = !cfg->dev.event_idx,
		.no_indirect_desc = !cfg->dev.indirect_desc,
		.no_seqpacket = cfg->seqpacket == SEQPACKET_OFF,
	};

	return vhost_vsock_create(&opts, &dev->vp, err);
}

const struct device_kind vhost_vsock_pci_kind = {
	.model = &vhost_vsock_pci_model,
	.size = sizeof(struct device),
	.create = vsock_create,
};
