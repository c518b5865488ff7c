// SPDX-License-Identifier: Apache-2.0
// Network cards that only remember.
#include "fake_card.h"

#include "error.h"
#include "virtio_pmem.h"

struct fake_card card;

int vhost_net_create(const struct vhost_net_options *cfg, struct virtio_pci **out, struct vpmem_error *err)
{
	const struct virtio_pmem_options opts = { .pci = cfg->pci };

	if (card.error)
		return error_set(err, card.error, "no card");
	card.opts = *cfg;
	card.backend = cfg->backends.list ? cfg->backends.list[0] : NULL;
	card.link_is_up = true;
	return virtio_pmem_create(&opts, out, err);
}

void vhost_net_set_link(struct virtio_pci *vp, bool up)
{
	(void)vp;
	card.nsets++;
	card.link_is_up = up;
}

const uint8_t *vhost_net_mac(const struct virtio_pci *vp)
{
	(void)vp;
	return card.opts.mac;
}

bool vhost_net_link_is_up(const struct virtio_pci *vp)
{
	(void)vp;
	return card.link_is_up;
}

const struct vhost_net_filter *vhost_net_filter(struct virtio_pci *vp)
{
	(void)vp;
	return &card.filter;
}
