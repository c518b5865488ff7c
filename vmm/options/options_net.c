// SPDX-License-Identifier: Apache-2.0
// -nic, and the older -net: each stands for a -netdev with a -device.
#include "error.h"
#include "keyval.h"
#include "log.h"
#include "options_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(struct json_object *json, const char *key)
{
	struct json_object *val;

	return json_object_object_get_ex(json, key, &val) ? json_object_get_string(val) : NULL;
}

static void put(struct json_object *json, const char *key, const char *text)
{
	json_object_object_add(json, key, json_object_new_string(text));
}

// Moves a member to another object, under another name.
static void move(struct json_object *from, const char *key, struct json_object *to, const char *name)
{
	struct json_object *val;

	if (!json_object_object_get_ex(from, key, &val))
		return;
	json_object_object_add(to, name, json_object_get(val));
	json_object_object_del(from, key);
}

// There is one model; HANDLED_HELP: it was printed.
static int check_model(struct cmdline *cl, const char *model)
{
	static const char *const names[] = { "virtio", "virtio-net", "virtio-net-pci" };

	if (model && keyval_is_help(model)) {
		printf("Supported NIC models:\nvirtio-net-pci\n");
		return HANDLED_HELP;
	}
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!model || strcmp(model, names[i]) == 0)
			return 0;
	error_set(cl->err, -EINVAL, "Unsupported NIC model: %.64s", model);
	error_hint(cl->err, "the one model here is virtio-net-pci: leave model out");
	return -EINVAL;
}

static bool has_netdev(const struct cmdline *cl, const char *id)
{
	for (unsigned i = 0; i < cl->opts->nnetdevs; i++)
		if (strcmp(cl->opts->netdevs[i]->id, id) == 0)
			return true;
	return false;
}

// The back end and the card. The back end's id is given, or the next free one.
static int add_pair(struct cmdline *cl, struct json_object *netdev, struct json_object *nic)
{
	char made[16];
	int rc;

	for (unsigned n = 0; !text_of(netdev, "id"); n++) {
		snprintf(made, sizeof(made), "nic%u", n);
		if (!has_netdev(cl, made))
			put(netdev, "id", made);
	}
	put(nic, "driver", virtio_net_pci_class.name);
	put(nic, "netdev", text_of(netdev, "id"));
	rc = option_add_netdev(cl, netdev, PROPS_TEXT);
	return rc ? rc : option_add_device(cl, nic, PROPS_TEXT);
}

// ---- -nic

static int add_nic(struct cmdline *cl, struct json_object *netdev)
{
	struct json_object *nic = json_object_new_object();
	const char *type = text_of(netdev, "type");
	int rc;

	if (!type)
		put(netdev, "type", "user");
	rc = check_model(cl, text_of(netdev, "model"));
	json_object_object_del(netdev, "model");
	move(netdev, "mac", nic, "mac");
	if (rc == 0 && (!type || strcmp(type, "none") != 0))
		rc = add_pair(cl, netdev, nic);
	json_object_put(nic);
	return rc;
}

static struct json_object *parse(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "type", .list_key = NETDEV_LIST_KEYS };
	struct json_object *json = keyval_parse(arg, &syntax, NULL);

	if (!json)
		error_set(cl->err, -ENOMEM, "out of memory");
	return json;
}

int handle_nic(struct cmdline *cl, const char *arg)
{
	struct json_object *json = parse(cl, arg);
	int rc = json ? add_nic(cl, json) : -ENOMEM;

	json_object_put(json);
	return rc;
}

// ---- -net: one card and one back end, which QEMU connects by a hub

static int refuse_second(struct cmdline *cl, const char *what)
{
	error_set(cl->err, -ENOTSUP, "a second %s is not supported: there is no hub", what);
	error_hint(cl->err, "give each card its own back end: -nic user,model=virtio");
	return -ENOTSUP;
}

// The properties of the card, as -device has them.
static int make_card(struct cmdline *cl, struct json_object *json, struct json_object *card)
{
	static const char *const names[][2] = {
		{ "macaddr", "mac" }, { "name", "id" }, { "addr", "addr" }, { "vectors", "vectors" }
	};
	int rc = check_model(cl, text_of(json, "model"));

	if (rc)
		return rc;
	json_object_object_del(json, "model");
	json_object_object_del(json, "type");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		move(json, names[i][0], card, names[i][1]);
	json_object_object_foreach(json, key, val)
	{
		(void)val;
		return error_set(cl->err, -EINVAL, "Invalid parameter '%.64s'", key);
	}
	return 0;
}

static int keep_card(struct cmdline *cl, struct json_object *json)
{
	int rc;

	if (cl->net_card)
		return refuse_second(cl, "-net nic");
	cl->net_card = json_object_new_object();
	rc = make_card(cl, json, cl->net_card);
	cl->net_card_place = cl->now;
	return rc;
}

static int keep_backend(struct cmdline *cl, struct json_object *json)
{
	if (cl->net_backend)
		return refuse_second(cl, "-net with a back end");
	move(json, "name", json, "id");
	cl->net_backend = json_object_get(json);
	cl->net_backend_place = cl->now;
	return 0;
}

int handle_net(struct cmdline *cl, const char *arg)
{
	struct json_object *json = parse(cl, arg);
	const char *type = json ? text_of(json, "type") : NULL;
	int rc = 0;

	if (!json)
		return -ENOMEM;
	if (!type)
		rc = error_set(cl->err, -EINVAL, "Parameter 'type' is missing");
	else if (strcmp(type, "nic") == 0)
		rc = keep_card(cl, json);
	else if (strcmp(type, "none") != 0)
		rc = keep_backend(cl, json);
	json_object_put(json);
	return rc;
}

int finish_net(struct cmdline *cl)
{
	int rc = 0;

	if (cl->net_card && cl->net_backend) {
		cl->now = cl->net_backend_place;
		rc = add_pair(cl, cl->net_backend, cl->net_card);
	} else if (cl->net_card) {
		log_warn("hub 0 is not connected to host network: there is no card");
	} else if (cl->net_backend) {
		log_warn("hub 0 with no nics");
	}
	return rc;
}
