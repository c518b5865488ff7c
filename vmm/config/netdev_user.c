// SPDX-License-Identifier: Apache-2.0
// -netdev user: its properties, and the addresses of the guest's network.
#include "config.h"
#include "error.h"
#include "parse.h"
#include "props.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER(field) offsetof(struct user_config, field)
#define NO_FILES "passt serves no files: use a shared folder, or a server on the host"

#define REFUSED(prop_name, reason)                                                                      \
	{                                                                                               \
		.name = prop_name, .type = PROP_STR, .offset = PROP_NOWHERE, .only = "", .why = reason, \
	}
#define TEXT(prop_name, field, text)                                                      \
	{                                                                                 \
		.name = prop_name, .type = PROP_STR, .offset = USER(field), .help = text, \
	}

static const struct prop netdev_user_props[] = {
	REFUSED("bootfile", NO_FILES),
	TEXT("dhcpstart", dhcpstart, "The guest's IPv4 address (default: number 15 of the network)"),
	TEXT("dns", dns, "IPv4 address at which the guest reaches the host's name server"),
	TEXT("dnssearch", dnssearch, "Domain that the guest searches for names; may be given several times"),
	REFUSED("domainname", "passt does not announce one: use dnssearch"),
	REFUSED("guestfwd",
	        "passt cannot do it: start a server on the host, which the guest reaches at the address host"),
	TEXT("host", host, "IPv4 address of the host (default: number 2 of the network)"),
	TEXT("hostfwd", hostfwd, "A forwarded port: [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT"),
	REFUSED("hostname", "passt does not announce one: set it in the guest"),
	{ .name = "id", .type = PROP_ID, .offset = USER(obj.id), .hidden = true },
	{ .name = "ipv4", .type = PROP_BOOL, .offset = USER(ipv4), .def = "on", .help = "IPv4, where the host has it" },
	{ .name = "ipv6", .type = PROP_BOOL, .offset = USER(ipv6), .def = "on", .help = "IPv6, where the host has it" },
	REFUSED("ipv6-dns", "the guest gets what the host has"),
	REFUSED("ipv6-host", "the guest gets what the host has"),
	REFUSED("ipv6-net", "the guest gets what the host has"),
	REFUSED("ipv6-prefix", "the guest gets what the host has"),
	{ .name = "ipv6-prefixlen",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .only = "64",
	  .why = "the guest gets what the host has" },
	TEXT("net", net, "IPv4 network: ADDRESS/BITS or ADDRESS/MASK (default: 10.0.2.0/24)"),
	{ .name = "restrict",
	  .type = PROP_BOOL,
	  .offset = PROP_NOWHERE,
	  .def = "off",
	  .only = "off",
	  .why = "passt cannot isolate a guest: use -netdev stream to a switch of your own, or -nic none" },
	REFUSED("smb", NO_FILES),
	REFUSED("smbserver", NO_FILES),
	REFUSED("tftp", NO_FILES),
	REFUSED("tftp-server-name", NO_FILES),
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
};

const struct prop_class netdev_user_class = {
	.name = "user",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = netdev_user_props,
	.nprops = sizeof(netdev_user_props) / sizeof(netdev_user_props[0]),
};

// ---- addresses; all in host byte order

struct network {
	uint32_t net, mask, host, guest;
};

static bool parse_ipv4(const char *text, uint32_t *out)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1)
		return false;
	*out = ntohl(addr.s_addr);
	return true;
}

static void print_ipv4(uint32_t addr, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255, addr & 255);
}

// QEMU's, for a network without a mask.
static uint32_t usual_mask(uint32_t net)
{
	if (!(net & 0x80000000u))
		return 0xff000000u;
	if ((net & 0xfff00000u) == 0xac100000u)
		return 0xfff00000u;
	if ((net & 0xc0000000u) == 0x80000000u || (net & 0xffff0000u) == 0xc0a80000u)
		return 0xffff0000u;
	return (net & 0xe0000000u) == 0xc0000000u ? 0xffffff00u : 0xfffffff0u;
}

static int parse_net(const char *text, struct network *n, struct vpmem_error *err)
{
	const char *slash = strchrnul(text, '/');
	char addr[16];
	uint64_t bits;

	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text < 16 ? slash - text : 16), text);
	if (!parse_ipv4(addr, &n->net))
		return error_set(err, -EINVAL, "Failed to parse netmask");
	if (!*slash) {
		n->mask = usual_mask(n->net);
	} else if (uint_parse(slash + 1, &bits) == 0) {
		if (bits < 4 || bits > 32)
			return error_set(err, -EINVAL, "Invalid netmask provided (must be in range 4-32)");
		n->mask = UINT32_MAX << (32 - bits);
	} else if (!parse_ipv4(slash + 1, &n->mask) || (~n->mask & (~n->mask + 1)) != 0) {
		return error_set(err, -EINVAL, "Failed to parse netmask");
	}
	n->net &= n->mask;
	return 0;
}

// An address of the network.
static int parse_member(const char *text, const char *what, const struct network *n, uint32_t *out,
                        struct vpmem_error *err)
{
	if (!text)
		return 0;
	if (!parse_ipv4(text, out))
		return error_set(err, -EINVAL, "Failed to parse %s%s", what,
		                 strcmp(what, "DHCP") == 0 ? " start address" : "");
	if ((*out & n->mask) != n->net)
		return error_set(err, -EINVAL, "%s doesn't belong to network",
		                 strcmp(what, "host") == 0 ? "Host" : what);
	return 0;
}

static int check_network(struct user_config *cfg, struct vpmem_error *err)
{
	struct network n = { .net = 0x0a000200u, .mask = 0xffffff00u };
	uint32_t dns = 0;
	int rc = cfg->net ? parse_net(cfg->net, &n, err) : 0;

	n.host = n.net | (0x0202u & ~n.mask);
	n.guest = n.net | (0x020fu & ~n.mask);
	rc = rc ? rc : parse_member(cfg->host, "host", &n, &n.host, err);
	rc = rc ? rc : parse_member(cfg->dhcpstart, "DHCP", &n, &n.guest, err);
	rc = rc ? rc : parse_member(cfg->dns, "DNS", &n, &dns, err);
	if (rc == 0 && cfg->dns && dns == n.host)
		rc = error_set(err, -EINVAL, "DNS must be different from host");
	if (rc == 0 && (n.guest == n.host || (cfg->dns && n.guest == dns)))
		rc = error_set(err, -EINVAL, "DHCP must be different from host and DNS");
	print_ipv4(n.guest, cfg->address);
	print_ipv4(n.mask, cfg->netmask);
	print_ipv4(n.host, cfg->gateway);
	return rc;
}

// passt has one guest, and sends to that.
static int check_forward(const struct user_config *cfg, const struct hostfwd *fwd, struct vpmem_error *err)
{
	uint32_t guest, address;

	if (*fwd->guest && parse_ipv4(fwd->guest, &guest) && parse_ipv4(cfg->address, &address) && guest != address) {
		error_set(err, -EINVAL, "hostfwd to %s is not supported: the guest has %s", fwd->guest, cfg->address);
		error_hint(err, "leave the guest's address out, or give the guest that one: dhcpstart=%s", fwd->guest);
		return -EINVAL;
	}
	if (!cfg->ipv4 && (*fwd->host || *fwd->guest))
		return error_set(err, -EINVAL, "hostfwd with an IPv4 address, and IPv4 is off");
	return 0;
}

static int check(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct user_config *cfg = object_config_as(obj, &netdev_user_type);
	const char *text = cfg->hostfwd;
	struct hostfwd fwd;
	int rc = check_network(cfg, err), more = 0;

	(void)props;
	if (rc == 0 && !cfg->ipv4 && !cfg->ipv6)
		rc = error_set(err, -EINVAL, "IPv4 and IPv6 disabled");
	while (rc == 0 && (more = hostfwd_next(&text, &fwd, err)) > 0)
		rc = check_forward(cfg, &fwd, err);
	return rc ? rc : more;
}

const struct object_type netdev_user_type = {
	.props = &netdev_user_class,
	.config_size = sizeof(struct user_config),
	.base = "netdev",
	.example = "",
	.check = check,
};
