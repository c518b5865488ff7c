// SPDX-License-Identifier: Apache-2.0
// -netdev tap: its properties and their checks.
#include "config.h"
#include "error.h"
#include "parse.h"
#include "props.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TAP(field) offsetof(struct tap_config, field)
#define NO_PROGRAMS "pmvm starts no programs as root: configure the interface before, and say no"

static const struct prop netdev_tap_props[] = {
	{ .name = "br",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = "it is for helper=: put the interface into the bridge before" },
	{ .name = "downscript",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "no|",
	  .help = "no: none is run",
	  .why = NO_PROGRAMS },
	{ .name = "fd", .type = PROP_STR, .offset = TAP(fd), .help = "Number of an open descriptor of a tap" },
	{ .name = "fds", .type = PROP_STR, .offset = TAP(fds), .help = "Several of them, one for each queue: 3:4:5" },
	{ .name = "helper",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = "pmvm starts no programs as root: pass a descriptor with fd=, or name an interface" },
	{ .name = "id", .type = PROP_ID, .offset = TAP(obj.id), .hidden = true },
	{ .name = "ifname",
	  .type = PROP_STR,
	  .offset = TAP(ifname),
	  .help = "Name of the interface; default: the kernel chooses" },
	{ .name = "poll-us",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "0",
	  .only = "0",
	  .why = "vhost does not poll: leave it out" },
	{ .name = "queues", .type = PROP_UINT32, .offset = TAP(queues), .help = "Number of queues, 1 to 31" },
	{ .name = "script",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "no|",
	  .help = "no: none is run",
	  .why = NO_PROGRAMS },
	{ .name = "sndbuf", .type = PROP_SIZE, .offset = PROP_NOWHERE, .def = "0", .help = "Accepted, has no effect" },
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "vhost",
	  .type = PROP_BOOL,
	  .offset = TAP(vhost),
	  .def = "on",
	  .help = "The kernel's vhost_net serves the queues; off: a thread of this process" },
	{ .name = "vhostfd",
	  .type = PROP_STR,
	  .offset = TAP(vhostfd),
	  .help = "Number of an open descriptor of /dev/vhost-net" },
	{ .name = "vhostfds",
	  .type = PROP_STR,
	  .offset = TAP(vhostfds),
	  .help = "Several of them, one for each queue" },
	{ .name = "vhostforce", .type = PROP_BOOL, .offset = PROP_NOWHERE, .help = "Accepted, has no effect" },
	{ .name = "vnet_hdr",
	  .type = PROP_BOOL,
	  .offset = TAP(vnet_hdr),
	  .def = "on",
	  .help = "Frames may have no checksum yet, or be large" },
};

const struct prop_class netdev_tap_class = {
	.name = "tap",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = netdev_tap_props,
	.nprops = sizeof(netdev_tap_props) / sizeof(netdev_tap_props[0]),
};

// "3" or "3:4:5". Returns how many there are, or -EINVAL.
static int parse_fds(const char *text, int fds[NET_QUEUES_MAX])
{
	int n = 0;

	for (const char *p = text;; p++) {
		char word[16];
		size_t len = strcspn(p, ":");
		uint64_t fd;

		if (len == 0 || len >= sizeof(word) || n == NET_QUEUES_MAX)
			return -EINVAL;
		memcpy(word, p, len);
		word[len] = '\0';
		if (uint_parse(word, &fd) < 0 || fd > INT_MAX)
			return -EINVAL;
		fds[n++] = (int)fd;
		p += len;
		if (!*p)
			return n;
	}
}

static int bad_fds(const char *name, const char *text, struct vpmem_error *err)
{
	error_set(err, -EINVAL, "%s=%.64s: not the numbers of open descriptors", name, text);
	error_hint(err, "a descriptor that this process inherited, or up to %u of them: fds=3:4", NET_QUEUES_MAX);
	return -EINVAL;
}

// QEMU's rules on which of these go together.
static int check_combination(const struct tap_config *cfg, struct json_object *props, struct vpmem_error *err)
{
	static const char *const with_fds[] = { "ifname", "script", "downscript", "vnet_hdr", "helper", "queues" };
	const char *given = cfg->fd ? "fd=" : "fds=";

	if (cfg->fd && cfg->fds)
		return error_set(err, -EINVAL, "fd= and fds= are mutually exclusive");
	if (cfg->vhostfds && !cfg->fds)
		return error_set(err, -EINVAL, "vhostfds= is invalid if fds= wasn't specified");
	if (cfg->vhostfd && cfg->fds)
		return error_set(err, -EINVAL, "vhostfd= is invalid with fds=: use vhostfds=");
	for (unsigned i = 0; (cfg->fd || cfg->fds) && i < sizeof(with_fds) / sizeof(with_fds[0]); i++)
		if (json_object_object_get_ex(props, with_fds[i], NULL)) {
			error_set(err, -EINVAL, "%s= is invalid with %s", with_fds[i], given);
			error_hint(err, "the descriptor says it: leave %s out", with_fds[i]);
			return -EINVAL;
		}
	return 0;
}

static int check_queues(struct tap_config *cfg, bool given, struct vpmem_error *err)
{
	if (cfg->ntap_fds > 0)
		cfg->queues = cfg->ntap_fds;
	else if (!given)
		cfg->queues = 1;
	if (cfg->queues == 0 || cfg->queues > NET_QUEUES_MAX)
		return error_set(err, -EINVAL, "queues=%u: a tap has 1 to %u queues here", cfg->queues, NET_QUEUES_MAX);
	if (cfg->nvhost_fds == 0 || cfg->nvhost_fds == cfg->queues)
		return 0;
	if (cfg->fds)
		return error_set(err, -EINVAL, "The number of fds passed does not match the number of vhostfds passed");
	return error_set(err, -EINVAL, "vhostfd= is for one queue: use fds= and vhostfds=");
}

static int check(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct tap_config *cfg = object_config_as(obj, &netdev_tap_type);
	const char *fds = cfg->fd ? cfg->fd : cfg->fds, *vhost_fds = cfg->vhostfd ? cfg->vhostfd : cfg->vhostfds;
	int n, rc = check_combination(cfg, props, err);

	if (rc < 0)
		return rc;
	if (!cfg->vhost && vhost_fds)
		return error_set(err, -EINVAL, "vhostfd(s)= is not valid without vhost");
	if (fds) {
		n = parse_fds(fds, cfg->tap_fds);
		if (n < 0 || (cfg->fd && n > 1))
			return bad_fds(cfg->fd ? "fd" : "fds", fds, err);
		cfg->ntap_fds = (unsigned)n;
	}
	if (vhost_fds) {
		n = parse_fds(vhost_fds, cfg->vhost_fds);
		if (n < 0 || (cfg->vhostfd && n > 1))
			return bad_fds(cfg->vhostfd ? "vhostfd" : "vhostfds", vhost_fds, err);
		cfg->nvhost_fds = (unsigned)n;
	}
	return check_queues(cfg, json_object_object_get_ex(props, "queues", NULL), err);
}

const struct object_type netdev_tap_type = {
	.props = &netdev_tap_class,
	.config_size = sizeof(struct tap_config),
	.base = "netdev",
	.example = ",ifname=tap0,script=no,downscript=no",
	.check = check,
};
