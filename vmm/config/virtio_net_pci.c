// SPDX-License-Identifier: Apache-2.0
// virtio-net-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NET(field) offsetof(struct net_config, field)
#define FEATURE(prop_name, idx)                                                                                   \
	{                                                                                                         \
		.name = prop_name, .type = PROP_BOOL, .offset = NET(features[idx]), .def = "on", .help = "on/off" \
	}
// QEMU's name for what is not offered: both values describe a device without it.
#define NOT_OFFERED(prop_name, value)                                                       \
	{                                                                                   \
		.name = prop_name, .type = PROP_BOOL, .offset = PROP_NOWHERE, .def = value, \
		.help = "Accepted: it is not offered"                                       \
	}
#define FIXED(prop_name, reason)                                                                           \
	{                                                                                                  \
		.name = prop_name, .type = PROP_BOOL, .offset = PROP_NOWHERE, .def = "off", .only = "off", \
		.why = reason ": leave it out"                                                             \
	}

static const struct prop virtio_net_pci_props[] = {
	{ .name = "bootindex", .type = PROP_UINT32, .offset = PROP_NOWHERE, .help = "Accepted: there is no firmware" },
	FEATURE("csum", NET_CSUM),
	FEATURE("ctrl_guest_offloads", NET_CTRL_GUEST_OFFLOADS),
	FEATURE("ctrl_mac_addr", NET_CTRL_MAC_ADDR),
	FEATURE("ctrl_rx", NET_CTRL_RX),
	NOT_OFFERED("ctrl_rx_extra", "on"),
	NOT_OFFERED("ctrl_vlan", "on"),
	FEATURE("ctrl_vq", NET_CTRL_VQ),
	FIXED("failover", "there is no migration"),
	NOT_OFFERED("gso", "on"),
	NOT_OFFERED("guest_announce", "on"),
	FEATURE("guest_csum", NET_GUEST_CSUM),
	FEATURE("guest_ecn", NET_GUEST_ECN),
	FIXED("guest_rsc_ext", "it is for Windows"),
	FEATURE("guest_tso4", NET_GUEST_TSO4),
	FEATURE("guest_tso6", NET_GUEST_TSO6),
	NOT_OFFERED("guest_ufo", "on"),
	FIXED("hash", "the kernel's vhost has no hashes"),
	FEATURE("host_ecn", NET_HOST_ECN),
	{ .name = "host_mtu",
	  .type = PROP_UINT32,
	  .offset = NET(host_mtu),
	  .def = "0",
	  .help = "The MTU that the guest shall use; 0: none is offered" },
	FEATURE("host_tso4", NET_HOST_TSO4),
	FEATURE("host_tso6", NET_HOST_TSO6),
	NOT_OFFERED("host_ufo", "on"),
	{ .name = "mac",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = NET(mac_text),
	  .help = "Ethernet 6-byte MAC Address, example: 52:54:00:12:34:56" },
	{ .name = "mq",
	  .type = PROP_BOOL,
	  .offset = NET(mq),
	  .def = "off",
	  .help = "The guest may use all queues of the netdev" },
	FEATURE("mrg_rxbuf", NET_MRG_RXBUF),
	{ .name = "netdev",
	  .type = PROP_STR,
	  .type_name = "str",
	  .offset = NET(netdev),
	  .help = "ID of a netdev to use as a backend" },
	FIXED("rss", "the kernel's vhost has no RSS"),
	{ .name = "rx_queue_size", .type = PROP_UINT32, .offset = NET(rx_queue_size), .def = "256" },
	FEATURE("status", NET_STATUS),
	{ .name = "tx_queue_size", .type = PROP_UINT32, .offset = NET(tx_queue_size), .def = "256" },
	{ .name = "vectors",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "4294967295",
	  .help = "Accepted: there is one for each queue and one for the configuration" },
};

const struct prop_class virtio_net_pci_class = {
	.name = "virtio-net-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = virtio_net_pci_props,
	.nprops = sizeof(virtio_net_pci_props) / sizeof(virtio_net_pci_props[0]),
};

static bool is_queue_size(uint32_t size)
{
	return size >= 256 && size <= 1024 && (size & (size - 1)) == 0;
}

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

// Six bytes of two digits, with ':' or '-' between them. Not by sscanf, which is 80 KB of a static program.
static bool parse_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return false;
	for (unsigned i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    (i < 5 && text[2] != ':' && text[2] != '-'))
			return false;
		mac[i] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
	}
	return true;
}

static int check_mac(struct net_config *cfg, struct vpmem_error *err)
{
	if (!cfg->mac_text)
		return 0;
	if (!parse_mac(cfg->mac_text, cfg->mac))
		return error_set(err, -EINVAL, "Property 'virtio-net-device.mac' doesn't take value '%.64s'",
		                 cfg->mac_text);
	if (cfg->mac[0] & 1) {
		error_set(err, -EINVAL, "Property 'virtio-net-device.mac' doesn't take value '%s'", cfg->mac_text);
		error_hint(err, "the address of a card is none of a group: its first byte is even");
		return -EINVAL;
	}
	return 0;
}

static int check(struct device_config *dev, struct vpmem_error *err)
{
	struct net_config *cfg = device_config_as(dev, &virtio_net_pci_model);

	if (!cfg->netdev || !*cfg->netdev) {
		error_set(err, -EINVAL, "'netdev' property must be set");
		error_hint(
			err,
			"a -netdev is the card's other side: -netdev tap,id=n0,... -device virtio-net-pci,netdev=n0");
		return -EINVAL;
	}
	if (!is_queue_size(cfg->rx_queue_size))
		return error_set(err, -EINVAL,
		                 "Invalid rx_queue_size (= %u), must be a power of 2 between 256 and 1024.",
		                 cfg->rx_queue_size);
	if (!is_queue_size(cfg->tx_queue_size))
		return error_set(err, -EINVAL,
		                 "Invalid tx_queue_size (= %u), must be a power of 2 between 256 and 1024",
		                 cfg->tx_queue_size);
	if (cfg->rx_queue_size != cfg->tx_queue_size) {
		error_set(err, -EINVAL, "rx_queue_size and tx_queue_size differ");
		error_hint(err, "give both the same size");
		return -EINVAL;
	}
	if (cfg->host_mtu > UINT16_MAX || (cfg->host_mtu > 0 && cfg->host_mtu < 68))
		return error_set(err, -EINVAL, "host_mtu=%u: an MTU is 68 to 65535", cfg->host_mtu);
	return check_mac(cfg, err);
}

static const char *const virtio_props[] = { "event_idx", "host_mtu", "indirect_desc", "mac",
	                                    "mq",        "netdev",   "queue_reset",   NULL };

const struct device_model virtio_net_pci_model = {
	.props = &virtio_net_pci_class,
	.config_size = sizeof(struct net_config),
	.category = "Network",
	.description = "A network card, by the kernel's vhost",
	.alias = "virtio-net",
	.virtio_name = "virtio-net-device",
	.virtio_props = virtio_props,
	.check = check,
};
