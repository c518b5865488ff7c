// SPDX-License-Identifier: Apache-2.0
// -netdev tap: the tap itself, for the kernel's vhost; and its ports, for threads of this process.
#include "error.h"
#include "machine.h"
#include "machine_netdev.h"
#include "net_port.h"
#include "tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAP_HEADER_SIZE 12u /* as tap_open sets it */

static void drop_ports(struct netdev *netdev)
{
	for (unsigned i = 0; i < netdev->npairs && netdev->ports[i]; i++) {
		net_port_fini(netdev->ports[i]);
		free(netdev->ports[i]);
		netdev->ports[i] = NULL;
	}
}

static int add_port(struct netdev_tap *netdev, unsigned idx)
{
	struct net_port *port = malloc(sizeof(*port));
	int rc = port ? net_port_init(port, NET_PORT_TAP) : -ENOMEM;

	if (rc < 0) {
		free(port);
		return rc;
	}
	port->header_size = tap_has_header(netdev->tap) ? TAP_HEADER_SIZE : 0;
	net_port_set_fd(port, tap_fd(netdev->tap, idx));
	netdev->netdev.ports[idx] = port;
	return 0;
}

static int tap_create(struct object *obj, struct vpmem_error *err)
{
	struct netdev_tap *netdev = (struct netdev_tap *)obj;
	const struct tap_config *cfg = object_config_as(obj->cfg, &netdev_tap_type);
	const struct tap_options opts = {
		.ifname = cfg->ifname,
		.fds = cfg->ntap_fds ? cfg->tap_fds : NULL,
		.nqueues = cfg->queues,
		.no_header = !cfg->vnet_hdr,
	};
	int rc = tap_open(&opts, &netdev->tap, err);

	if (rc < 0)
		return rc;
	netdev->cfg = cfg;
	netdev->netdev.npairs = tap_nqueues(netdev->tap);
	for (unsigned i = 0; i < netdev->netdev.npairs && !cfg->vhost && rc == 0; i++)
		rc = add_port(netdev, i);
	if (rc == 0)
		return 0;
	drop_ports(&netdev->netdev);
	tap_close(netdev->tap);
	return error_set(err, rc, "cannot set up netdev '%s': %s", obj->cfg->id, strerror(-rc));
}

static int tap_destroy(struct object *obj, struct vpmem_error *err)
{
	(void)err;
	drop_ports((struct netdev *)obj);
	tap_close(((struct netdev_tap *)obj)->tap);
	return 0;
}

const struct object_kind netdev_tap_kind = {
	.type = &netdev_tap_type,
	.size = sizeof(struct netdev_tap),
	.create = tap_create,
	.destroy = tap_destroy,
};
