// SPDX-License-Identifier: Apache-2.0
// -netdev stream and dgram: sockets.
#include "machine.h"
#include "machine_netdev.h"
#include "net_dgram.h"
#include "net_stream.h"

// ---- stream

struct netdev_stream {
	struct netdev netdev;
	struct net_stream *stream;
};

static void on_connected(void *owner, bool connected)
{
	struct object *obj = owner;
	const struct stream_config *cfg = object_config_as(obj->cfg, &netdev_stream_type);

	machine_event_send(obj->machine, &(struct machine_event) {
						 .kind = connected ? MACHINE_EVENT_NETDEV_STREAM_CONNECTED :
	                                                             MACHINE_EVENT_NETDEV_STREAM_DISCONNECTED,
						 .device = cfg->obj.id,
						 .address = connected ? &cfg->addr : NULL,
					 });
}

static void stream_end(struct netdev *netdev)
{
	net_stream_end(((struct netdev_stream *)netdev)->stream);
}

static int stream_create(struct object *obj, struct vpmem_error *err)
{
	struct netdev_stream *netdev = (struct netdev_stream *)obj;
	const struct stream_config *cfg = object_config_as(obj->cfg, &netdev_stream_type);
	const struct chardev_config address = {
		.kind = CHARDEV_SOCKET,
		.path = cfg->addr.path,
		.host = cfg->addr.host,
		.port = cfg->addr.port,
		.fd = cfg->addr.str,
		.server = cfg->server,
		.reconnect_ms = cfg->reconnect * 1000,
	};
	const struct net_stream_options opts = {
		.id = cfg->obj.id, .address = &address, .connected = on_connected, .owner = obj
	};
	int rc = net_stream_open(&opts, &obj->machine->loop, &netdev->stream, err);

	if (rc < 0)
		return rc;
	netdev->netdev.npairs = 1;
	netdev->netdev.ports[0] = net_stream_port(netdev->stream);
	netdev->netdev.end = stream_end;
	return 0;
}

static int stream_destroy(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	net_stream_close(((struct netdev_stream *)obj)->stream);
	return 0;
}

const struct object_kind netdev_stream_kind = {
	.type = &netdev_stream_type,
	.size = sizeof(struct netdev_stream),
	.create = stream_create,
	.destroy = stream_destroy,
};

// ---- dgram

struct netdev_dgram {
	struct netdev netdev;
	struct net_dgram *dgram;
};

static void dgram_end(struct netdev *netdev)
{
	net_dgram_end(((struct netdev_dgram *)netdev)->dgram);
}

static struct net_dgram_address address_of(const struct netdev_address *addr)
{
	return (struct net_dgram_address) {
		.path = addr->path, .host = addr->host, .port = addr->port, .fd = addr->str
	};
}

static int dgram_create(struct object *obj, struct vpmem_error *err)
{
	struct netdev_dgram *netdev = (struct netdev_dgram *)obj;
	const struct dgram_config *cfg = object_config_as(obj->cfg, &netdev_dgram_type);
	const struct net_dgram_options opts = { .id = cfg->obj.id,
		                                .local = address_of(&cfg->local),
		                                .remote = address_of(&cfg->remote) };
	int rc = net_dgram_open(&opts, &netdev->dgram, err);

	if (rc < 0)
		return rc;
	netdev->netdev.npairs = 1;
	netdev->netdev.ports[0] = net_dgram_port(netdev->dgram);
	netdev->netdev.end = dgram_end;
	return 0;
}

static int dgram_destroy(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	net_dgram_close(((struct netdev_dgram *)obj)->dgram);
	return 0;
}

const struct object_kind netdev_dgram_kind = {
	.type = &netdev_dgram_type,
	.size = sizeof(struct netdev_dgram),
	.create = dgram_create,
	.destroy = dgram_destroy,
};
