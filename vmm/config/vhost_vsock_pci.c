// SPDX-License-Identifier: Apache-2.0
// vhost-vsock-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "parse.h"
#include "props.h"

#include <errno.h>
#include <limits.h>

#define CID_HOST 2u

#define VSOCK(field) offsetof(struct vsock_config, field)

// enum seqpacket
static const char *const seqpacket_words[] = {
	[SEQPACKET_AUTO] = "auto", [SEQPACKET_ON] = "on", [SEQPACKET_OFF] = "off", NULL
};

static const struct prop vhost_vsock_pci_props[] = {
	{ .name = "guest-cid",
	  .type = PROP_UINT64,
	  .offset = VSOCK(guest_cid),
	  .def = "0",
	  .help = "The guest's address on this host, 3 to 4294967294" },
	{ .name = "seqpacket",
	  .type = PROP_WORD,
	  .type_name = "OnOffAuto",
	  .offset = VSOCK(seqpacket),
	  .words = seqpacket_words,
	  .def = "auto",
	  .help = "on/off/auto" },
	{ .name = "vhostfd",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = VSOCK(vhostfd),
	  .help = "Number of an open descriptor of /dev/vhost-vsock" },
};

const struct prop_class vhost_vsock_pci_class = {
	.name = "vhost-vsock-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = vhost_vsock_pci_props,
	.nprops = sizeof(vhost_vsock_pci_props) / sizeof(vhost_vsock_pci_props[0]),
};

static int parse_fd(struct vsock_config *cfg, struct vpmem_error *err)
{
	uint64_t fd;

	cfg->vhost_fd = -1;
	if (!cfg->vhostfd)
		return 0;
	if (uint_parse(cfg->vhostfd, &fd) < 0 || fd > INT_MAX) {
		error_set(err, -EINVAL, "vhost-vsock: unable to parse vhostfd: %.64s", cfg->vhostfd);
		error_hint(err, "it is the number of a descriptor that this process inherited, for example vhostfd=3");
		return -EINVAL;
	}
	cfg->vhost_fd = (int)fd;
	return 0;
}

static int check(struct device_config *dev, struct vpmem_error *err)
{
	struct vsock_config *cfg = device_config_as(dev, &vhost_vsock_pci_model);

	if (cfg->guest_cid <= CID_HOST) {
		error_set(err, -EINVAL, "guest-cid property must be greater than 2");
		error_hint(
			err,
			"it is the guest's address on this host: guest-cid=3 or above, another one for each machine");
		return -EINVAL;
	}
	// 2^32 - 1 stands for any.
	if (cfg->guest_cid >= UINT32_MAX)
		return error_set(err, -EINVAL, "guest-cid property must be a 32-bit number");
	return parse_fd(cfg, err);
}

static const char *const virtio_props[] = { "event_idx", "guest-cid", "indirect_desc", "queue_reset", "seqpacket",
	                                    "vhostfd",   NULL };

const struct device_model vhost_vsock_pci_model = {
	.props = &vhost_vsock_pci_class,
	.config_size = sizeof(struct vsock_config),
	.category = "Misc",
	.description = "Sockets between host and guest: vsock, by the kernel's vhost",
	.virtio_name = "vhost-vsock-device",
	.virtio_props = virtio_props,
	.check = check,
};
