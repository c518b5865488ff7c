// SPDX-License-Identifier: Apache-2.0
// query-rx-filter: which packets the guest wants from its network cards. Nobody here applies it, as with QEMU's vhost.
#include "command.h"

#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "machine_net.h"
#include "schema_make.h"
#include "vhost_net.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

static OBJECT(args_type, "query-rx-filter-arg", OPTIONAL("name", schema_str));
static ENUM(state_type, "RxState", "normal", "none", "all");
static ARRAY(vlans_type, schema_int);
static ARRAY(macs_type, schema_str);
static OBJECT(info_type, "RxFilterInfo", MEMBER("name", schema_str), MEMBER("promiscuous", schema_bool),
              MEMBER("multicast", state_type), MEMBER("unicast", state_type), MEMBER("vlan", state_type),
              MEMBER("broadcast-allowed", schema_bool), MEMBER("multicast-overflow", schema_bool),
              MEMBER("unicast-overflow", schema_bool), MEMBER("main-mac", schema_str), MEMBER("vlan-table", vlans_type),
              MEMBER("unicast-table", macs_type), MEMBER("multicast-table", macs_type));
static ARRAY(infos_type, info_type);

static struct json_object *mac_text(const uint8_t *mac)
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return json_object_new_string(text);
}

static void put_macs(struct json_object *info, const char *key, const uint8_t (*macs)[MAC_SIZE], unsigned n)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < n; i++)
		add_to(list, mac_text(macs[i]));
	put(info, key, list);
}

static const char *state(bool none, bool all)
{
	return none ? "none" : all ? "all" : "normal";
}

static struct json_object *show(const struct device *dev, const uint8_t *mac)
{
	const struct vhost_net_filter *filter = machine_net_filter(dev);
	const bool *modes = filter->modes;
	struct json_object *info = json_object_new_object();

	put_str(info, "name", dev->cfg->id ? dev->cfg->id : dev->path);
	put_bool(info, "promiscuous", modes[VIRTIO_NET_CTRL_RX_PROMISC]);
	put_str(info, "multicast", state(modes[VIRTIO_NET_CTRL_RX_NOMULTI], modes[VIRTIO_NET_CTRL_RX_ALLMULTI]));
	put_str(info, "unicast", state(modes[VIRTIO_NET_CTRL_RX_NOUNI], modes[VIRTIO_NET_CTRL_RX_ALLUNI]));
	// VIRTIO_NET_F_CTRL_VLAN is not offered.
	put_str(info, "vlan", "all");
	put_bool(info, "broadcast-allowed", !modes[VIRTIO_NET_CTRL_RX_NOBCAST]);
	put_bool(info, "multicast-overflow", filter->multicast_overflow);
	put_bool(info, "unicast-overflow", filter->unicast_overflow);
	put(info, "main-mac", mac_text(mac));
	put(info, "vlan-table", json_object_new_array());
	put_macs(info, "unicast-table", filter->macs, filter->nunicast);
	put_macs(info, "multicast-table", filter->macs + filter->nunicast, filter->nmulticast);
	return info;
}

static bool is_netdev(const struct machine *m, const char *name)
{
	for (unsigned i = 0; i < m->nnetdevs; i++)
		if (strcmp(m->netdevs[i]->cfg->id, name) == 0)
			return true;
	return false;
}

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	const struct machine *m = ctx->machine;
	const char *name = get(args, "name") ? get_str(args, "name") : NULL;
	struct json_object *list;
	struct net_info card;

	if (name && is_netdev(m, name))
		return error_set(err, -EINVAL, "net client(%s) isn't a NIC", name);
	list = json_object_new_array();
	for (unsigned i = 0; i < m->ndevices; i++) {
		const struct device *dev = m->devices[i];

		if (machine_net_info(dev, &card) && (!name || (dev->cfg->id && strcmp(dev->cfg->id, name) == 0)))
			add_to(list, show(dev, card.mac));
	}
	if (!name || json_object_array_length(list) > 0)
		return command_return(list, ret, err);
	json_object_put(list);
	return error_set(err, -EINVAL, "invalid net client name: %s", name);
}

const struct command cmd_query_rx_filter = {
	.name = "query-rx-filter",
	.args = &args_type,
	.ret = &infos_type,
	.run = run,
};
