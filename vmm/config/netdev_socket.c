// SPDX-License-Identifier: Apache-2.0
// -netdev stream and dgram: their properties and their checks.
#include "config.h"
#include "error.h"
#include "parse.h"
#include "props.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define ADDR(field) offsetof(struct netdev_address, field)

// One value of what QEMU has besides.
#define FIXED(prop_name, prop_type, value, reason)                                                         \
	{                                                                                                  \
		.name = prop_name, .type = prop_type, .offset = PROP_NOWHERE, .only = value, .why = reason \
	}
#define TEXT(prop_name, at, text)                                                  \
	{                                                                          \
		.name = prop_name, .type = PROP_STR, .offset = (at), .help = text, \
	}
// The properties of an address that is at `at` in the struct.
#define ADDRESS(prefix, at)                                                                                          \
	FIXED(prefix ".abstract", PROP_BOOL, "off", "give a path in the file system"),                               \
		FIXED(prefix ".cid", PROP_STR, "", "give an address of the type unix, inet or fd"),                  \
		TEXT(prefix ".host", (at) + ADDR(host), "inet: an IPv4 or IPv6 address, or localhost"),              \
		FIXED(prefix ".ipv4", PROP_BOOL, "on", "the address says it: leave it out"),                         \
		FIXED(prefix ".ipv6", PROP_BOOL, "on", "the address says it: leave it out"),                         \
		FIXED(prefix ".keep-alive", PROP_BOOL, "off", NULL), FIXED(prefix ".mptcp", PROP_BOOL, "off", NULL), \
		{ .name = prefix ".numeric", .type = PROP_BOOL, .offset = PROP_NOWHERE, .help = "Accepted" },        \
		TEXT(prefix ".path", (at) + ADDR(path), "unix: a socket in the file system"),                        \
		TEXT(prefix ".port", (at) + ADDR(port), "inet: a number"),                                           \
		TEXT(prefix ".str", (at) + ADDR(str), "fd: the number of an open descriptor"),                       \
		FIXED(prefix ".tight", PROP_BOOL, "on", NULL), FIXED(prefix ".to", PROP_STR, "", "give one port"),   \
		TEXT(prefix ".type", (at) + ADDR(type), "unix, inet or fd")

// ---- addresses

static int missing(const char *prefix, const char *name, struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "Parameter '%s.%s' is missing", prefix, name);
}

static bool is_number(const char *text, uint64_t max)
{
	uint64_t num;

	return uint_parse(text, &num) == 0 && num <= max;
}

static int check_inet(const struct netdev_address *addr, const char *prefix, struct vpmem_error *err)
{
	if (!addr->host || !addr->port)
		return missing(prefix, addr->host ? "port" : "host", err);
	if (is_number(addr->port, UINT16_MAX))
		return 0;
	error_set(err, -EINVAL, "Parameter '%s.port' expects a number up to 65535", prefix);
	error_hint(err, "names of services are not looked up");
	return -EINVAL;
}

static int check_address(const struct netdev_address *addr, const char *prefix, struct vpmem_error *err)
{
	if (!addr->type)
		return missing(prefix, "type", err);
	if (strcmp(addr->type, "inet") == 0)
		return check_inet(addr, prefix, err);
	if (strcmp(addr->type, "unix") == 0)
		return addr->path && *addr->path ? 0 : missing(prefix, "path", err);
	if (strcmp(addr->type, "fd") != 0) {
		error_set(err, -EINVAL, "Parameter '%s.type' does not accept value '%.64s'", prefix, addr->type);
		error_hint(err, "an address is of the type unix, inet or fd");
		return -EINVAL;
	}
	if (!addr->str)
		return missing(prefix, "str", err);
	if (is_number(addr->str, INT_MAX))
		return 0;
	error_set(err, -EINVAL, "Unable to parse FD number '%.64s'", addr->str);
	error_hint(err, "%s.str is the number of a descriptor that this process inherited", prefix);
	return -EINVAL;
}

static bool is_given(const struct netdev_address *addr)
{
	return addr->type || addr->path || addr->host || addr->port || addr->str;
}

// ---- stream

#define STREAM(field) offsetof(struct stream_config, field)

static const struct prop netdev_stream_props[] = {
	ADDRESS("addr", STREAM(addr)),
	{ .name = "id", .type = PROP_ID, .offset = STREAM(obj.id), .hidden = true },
	{ .name = "reconnect",
	  .type = PROP_UINT32,
	  .offset = STREAM(reconnect),
	  .help = "Connect again, so many seconds after the end of a connection; 0: never" },
	{ .name = "server", .type = PROP_BOOL, .offset = STREAM(server), .def = "off", .help = "Listen; off: connect" },
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
};

const struct prop_class netdev_stream_class = {
	.name = "stream",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = netdev_stream_props,
	.nprops = sizeof(netdev_stream_props) / sizeof(netdev_stream_props[0]),
};

static int check_stream(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct stream_config *cfg = object_config_as(obj, &netdev_stream_type);
	int rc;

	(void)props;
	if (!is_given(&cfg->addr)) {
		error_set(err, -EINVAL, "Parameter 'addr' is missing");
		error_hint(err, "for example addr.type=unix,addr.path=net.sock");
		return -EINVAL;
	}
	rc = check_address(&cfg->addr, "addr", err);
	if (rc < 0 || cfg->reconnect == 0)
		return rc;
	if (cfg->server)
		return error_set(err, -EINVAL, "'reconnect' option is incompatible with socket in server listen mode");
	if (strcmp(cfg->addr.type, "fd") == 0)
		return error_set(err, -EINVAL, "'reconnect' option is incompatible with 'fd' address type");
	if (cfg->reconnect > UINT32_MAX / 1000)
		return error_set(err, -EINVAL, "Parameter 'reconnect' expects a number up to %u", UINT32_MAX / 1000);
	return 0;
}

const struct object_type netdev_stream_type = {
	.props = &netdev_stream_class,
	.config_size = sizeof(struct stream_config),
	.base = "netdev",
	.example = ",addr.type=unix,addr.path=net.sock",
	.check = check_stream,
};

// ---- dgram

#define DGRAM(field) offsetof(struct dgram_config, field)

static const struct prop netdev_dgram_props[] = {
	{ .name = "id", .type = PROP_ID, .offset = DGRAM(obj.id), .hidden = true },
	ADDRESS("local", DGRAM(local)),
	ADDRESS("remote", DGRAM(remote)),
	{ .name = "type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
};

const struct prop_class netdev_dgram_class = {
	.name = "dgram",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = netdev_dgram_props,
	.nprops = sizeof(netdev_dgram_props) / sizeof(netdev_dgram_props[0]),
};

static int check_dgram(struct object_config *obj, struct json_object *props, struct vpmem_error *err)
{
	struct dgram_config *cfg = object_config_as(obj, &netdev_dgram_type);
	int rc;

	(void)props;
	if (!is_given(&cfg->local)) {
		error_set(err, -EINVAL, "dgram requires local= parameter");
		error_hint(err, "for example local.type=unix,local.path=a.sock,remote.type=unix,remote.path=b.sock");
		return -EINVAL;
	}
	rc = check_address(&cfg->local, "local", err);
	if (rc < 0)
		return rc;
	if (strcmp(cfg->local.type, "fd") == 0)
		return is_given(&cfg->remote) ? error_set(err, -EINVAL, "type=fd requires no remote parameter") : 0;
	if (!is_given(&cfg->remote))
		return error_set(err, -EINVAL, "type=inet or type=unix requires remote parameter");
	rc = check_address(&cfg->remote, "remote", err);
	if (rc == 0 && strcmp(cfg->local.type, cfg->remote.type) != 0)
		rc = error_set(err, -EINVAL, "local and remote address must be of the same type");
	return rc;
}

const struct object_type netdev_dgram_type = {
	.props = &netdev_dgram_class,
	.config_size = sizeof(struct dgram_config),
	.base = "netdev",
	.example = ",local.type=unix,local.path=a.sock,remote.type=unix,remote.path=b.sock",
	.check = check_dgram,
};
