// SPDX-License-Identifier: Apache-2.0
/*
 * query-net-clients: what QEMU's `info network` shows; QEMU has it as text only. An array with an object for each queue of
 * each netdev, then of each card:
 *
 *   name   the id; of a card without one, its QOM path
 *   index  of the queue, from 0
 *   type   that of the netdev, or "nic"
 *   info   QEMU's text: "model=virtio-net-pci,macaddr=52:54:00:12:34:56"
 *   link   of a card: whether it has a link
 *   peer   the name of the other side; absent: there is none
 */
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "machine_net.h"
#include "schema_make.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INFO_SIZE 256u

static OBJECT(client_type, "NetClientInfo", MEMBER("name", schema_str), MEMBER("index", schema_int),
              MEMBER("type", schema_str), MEMBER("info", schema_str), OPTIONAL("link", schema_bool),
              OPTIONAL("peer", schema_str));
static ARRAY(clients_type, client_type);

// ---- QEMU's texts

static void show_stream(const struct netdev_address *addr, char *info)
{
	if (addr->path)
		snprintf(info, INFO_SIZE, "unix:%s", addr->path);
	else if (addr->str)
		snprintf(info, INFO_SIZE, "fd:%s", addr->str);
	else
		snprintf(info, INFO_SIZE, "tcp:%s:%s", addr->host, addr->port);
}

static void show_dgram(const struct dgram_config *cfg, char *info)
{
	if (cfg->local.path)
		snprintf(info, INFO_SIZE, "udp=%s:%s", cfg->local.path, cfg->remote.path);
	else if (cfg->local.str)
		snprintf(info, INFO_SIZE, "fd=%s", cfg->local.str);
	else
		snprintf(info, INFO_SIZE, "udp=%s:%s/%s:%s", cfg->local.host, cfg->local.port, cfg->remote.host,
		         cfg->remote.port);
}

static void show_user(const char *net, char *info)
{
	snprintf(info, INFO_SIZE, "net=%.*s,restrict=off", net ? (int)strcspn(net, "/") : 8, net ? net : "10.0.2.0");
}

static void show_tap(const struct tap_config *cfg, unsigned idx, char *info)
{
	if (idx < cfg->ntap_fds)
		snprintf(info, INFO_SIZE, "fd=%d", cfg->tap_fds[idx]);
	else
		snprintf(info, INFO_SIZE, "ifname=%s,script=no,downscript=no", cfg->ifname ? cfg->ifname : "");
}

static void show(struct object_config *cfg, unsigned idx, char *info)
{
	const struct object_type *type = cfg->type;

	if (type == &netdev_stream_type)
		show_stream(&((struct stream_config *)object_config_as(cfg, type))->addr, info);
	else if (type == &netdev_dgram_type)
		show_dgram(object_config_as(cfg, type), info);
	else if (type == &netdev_user_type)
		show_user(((struct user_config *)object_config_as(cfg, type))->net, info);
	else if (type == &netdev_tap_type)
		show_tap(object_config_as(cfg, type), idx, info);
	else
		snprintf(info, INFO_SIZE, "vhost-user%u to %s", idx,
		         ((struct netdev_vhost_user_config *)object_config_as(cfg, type))->chardev);
}

// ---- the list

static void add(struct json_object *list, const char *name, unsigned idx, const char *type, const char *info,
                const char *peer, const bool *link)
{
	struct json_object *client = json_object_new_object();

	put_str(client, "name", name);
	put_uint(client, "index", idx);
	put_str(client, "type", type);
	put_str(client, "info", info);
	if (link)
		put_bool(client, "link", *link);
	if (peer)
		put_str(client, "peer", peer);
	add_to(list, client);
}

static const char *name_of(const struct device *dev)
{
	return dev->cfg->id ? dev->cfg->id : dev->path;
}

static const char *card_of(const struct machine *m, const char *netdev)
{
	struct net_info card;

	for (unsigned i = 0; i < m->ndevices; i++)
		if (machine_net_info(m->devices[i], &card) && card.netdev && strcmp(card.netdev, netdev) == 0)
			return name_of(m->devices[i]);
	return NULL;
}

static void add_card(struct json_object *list, const struct device *dev, const struct net_info *card)
{
	const uint8_t *mac = card->mac;
	char info[INFO_SIZE];

	snprintf(info, sizeof(info), "model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", dev->cfg->model->props->name,
	         mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	for (unsigned i = 0; i < card->npairs; i++)
		add(list, name_of(dev), i, "nic", info, card->netdev, &card->link_is_up);
}

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();
	struct net_info card;

	for (unsigned i = 0; i < m->nnetdevs; i++) {
		struct object_config *cfg = m->netdevs[i]->cfg;
		char info[INFO_SIZE];

		for (unsigned idx = 0; idx < ((const struct netdev *)m->netdevs[i])->npairs; idx++) {
			show(cfg, idx, info);
			add(list, cfg->id, idx, cfg->type->props->name, info, card_of(m, cfg->id), NULL);
		}
	}
	for (unsigned i = 0; i < m->ndevices; i++)
		if (machine_net_info(m->devices[i], &card))
			add_card(list, m->devices[i], &card);
	return list;
}

// ---- HMP: each card with its netdev, and netdevs without a card

static void print_client(struct json_object *client, struct hmp_out *out)
{
	hmp_printf(out, "%s: index=%" PRIu64 ",type=%s,%s\n", get_str(client, "name"), get_uint(client, "index"),
	           get_str(client, "type"), get_str(client, "info"));
}

static void print_peer(struct json_object *list, struct json_object *nic, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *client = json_object_array_get_idx(list, i);

		if (strcmp(get_str(client, "type"), "nic") == 0 ||
		    get_uint(client, "index") != get_uint(nic, "index") ||
		    strcmp(get_str(client, "name"), get_str(nic, "peer")) != 0)
			continue;
		hmp_printf(out, " \\ ");
		print_client(client, out);
	}
}

static void print(struct json_object *list, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *client = json_object_array_get_idx(list, i);
		bool is_nic = strcmp(get_str(client, "type"), "nic") == 0;

		if (is_nic || !get(client, "peer"))
			print_client(client, out);
		if (is_nic && get(client, "peer"))
			print_peer(list, client, out);
	}
}

const struct command cmd_query_net_clients = {
	.name = "query-net-clients",
	.ret = &clients_type,
	.query = query,
	.hmp_name = "info network",
	.hmp_help = "show the network state",
	.hmp_print = print,
};
