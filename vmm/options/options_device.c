// SPDX-License-Identifier: Apache-2.0
// -object, -netdev, -device, -pmem. Objects and devices may come in any order.
#include "error.h"
#include "keyval.h"
#include "log.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The argument of -object or -device as an object: JSON, or key=value.
static int parse_argument(struct cmdline *cl, const char *arg, const struct keyval_syntax *syntax,
                          struct json_object **out, enum props_form *form, bool *help)
{
	*help = false;
	*form = arg[0] == '{' ? PROPS_JSON : PROPS_TEXT;
	if (*form == PROPS_JSON)
		return keyval_parse_json(arg, out, cl->err);
	*out = keyval_parse(arg, syntax, help);
	return *out ? 0 : error_set(cl->err, -ENOMEM, "out of memory");
}

static const char *member(struct json_object *obj, const char *key)
{
	struct json_object *val;

	return json_object_object_get_ex(obj, key, &val) ? json_object_get_string(val) : NULL;
}

int option_add_object(struct cmdline *cl, struct json_object *json, enum props_form form)
{
	struct object_config *cfg;
	int rc = config_object(json, form, &cfg, cl->err);

	if (rc < 0)
		return rc;
	rc = options_check_object(cl->opts, cfg, form, cl->err);
	if (rc == 0 && options_add_object(cl->opts, cfg) < 0)
		rc = error_set(cl->err, -ENOMEM, "out of memory");
	if (rc < 0)
		object_config_free(cfg);
	return rc;
}

static int object_help(struct cmdline *cl, const char *type)
{
	int rc = config_object_help(type, stdout, cl->err);

	if (rc < 0)
		error_hint(cl->err, "-object help lists the types");
	return rc ? rc : HANDLED_HELP;
}

int handle_object(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "qom-type", .list_key = "host-nodes" };
	struct json_object *json;
	enum props_form form;
	bool help;
	int rc = parse_argument(cl, arg, &syntax, &json, &form, &help);

	if (rc < 0)
		return rc;
	rc = help ? object_help(cl, member(json, "qom-type")) : option_add_object(cl, json, form);
	json_object_put(json);
	return rc;
}

// QEMU: two netdevs with one id.
int option_add_netdev(struct cmdline *cl, struct json_object *json, enum props_form form)
{
	struct object_config *cfg, **list;
	int rc = config_netdev(json, form, &cfg, cl->err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < cl->opts->nnetdevs && rc == 0; i++)
		if (strcmp(cl->opts->netdevs[i]->id, cfg->id) == 0)
			rc = error_set(cl->err, -EEXIST, "Duplicate ID '%s' for netdev", cfg->id);
	list = rc < 0 ? NULL : reallocarray(cl->opts->netdevs, cl->opts->nnetdevs + 1, sizeof(struct object_config *));
	if (!list) {
		object_config_free(cfg);
		return rc < 0 ? rc : error_set(cl->err, -ENOMEM, "out of memory");
	}
	cl->opts->netdevs = list;
	list[cl->opts->nnetdevs++] = cfg;
	return 0;
}

static int netdev_help(struct cmdline *cl, const char *type)
{
	int rc = config_netdev_help(type, stdout, cl->err);

	if (rc < 0)
		error_hint(cl->err, "-netdev help lists the types");
	return rc ? rc : HANDLED_HELP;
}

int handle_netdev(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "type", .list_key = NETDEV_LIST_KEYS };
	struct json_object *json;
	enum props_form form;
	bool help;
	int rc = parse_argument(cl, arg, &syntax, &json, &form, &help);

	if (rc < 0)
		return rc;
	rc = help ? netdev_help(cl, member(json, "type")) : option_add_netdev(cl, json, form);
	json_object_put(json);
	return rc;
}

// Checked against the objects by finish_devices: they may come later.
int option_add_device(struct cmdline *cl, struct json_object *json, enum props_form form)
{
	struct device_config *cfg, **list;
	int rc = config_device(json, form, &cfg, cl->err);

	if (rc < 0)
		return rc;
	if (cl->ndevices == PCI_DEVICES_MAX) {
		rc = error_set(cl->err, -ENOSPC, "PCI: no slot/function available for %s, all in use or reserved",
		               cfg->model->props->name);
		device_config_free(cfg);
		return rc;
	}
	list = reallocarray(cl->devices, cl->ndevices + 1, sizeof(*list));
	if (!list) {
		device_config_free(cfg);
		return error_set(cl->err, -ENOMEM, "out of memory");
	}
	cl->devices = list;
	cl->devices[cl->ndevices] = cfg;
	cl->device_forms[cl->ndevices] = form;
	cl->device_places[cl->ndevices] = cl->now;
	cl->ndevices++;
	return 0;
}

static int device_help(struct cmdline *cl, const char *driver)
{
	int rc = config_device_help(driver, stdout, cl->err);

	if (rc < 0)
		error_hint(cl->err, "-device help lists the devices");
	return rc ? rc : HANDLED_HELP;
}

int handle_device(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "driver" };
	struct json_object *json;
	enum props_form form;
	bool help;
	int rc = parse_argument(cl, arg, &syntax, &json, &form, &help);

	if (rc < 0)
		return rc;
	rc = help ? device_help(cl, member(json, "driver")) : option_add_device(cl, json, form);
	json_object_put(json);
	return rc;
}

int finish_devices(struct cmdline *cl)
{
	for (unsigned i = 0; i < cl->ndevices; i++) {
		int rc;

		cl->now = cl->device_places[i];
		rc = options_place_device(cl->opts, cl->devices[i], cl->err);
		if (rc == 0)
			rc = options_check_device(cl->opts, cl->devices[i], cl->device_forms[i], cl->err);
		if (rc == 0 && options_add_device(cl->opts, cl->devices[i]) < 0)
			rc = error_set(cl->err, -ENOMEM, "out of memory");
		if (rc < 0)
			return rc;
		cl->devices[i] = NULL;
	}
	cl->now = (struct place) { 0 };
	for (unsigned i = 0; i < cl->opts->nnetdevs; i++) {
		int rc = options_check_netdev(cl->opts, cl->opts->netdevs[i], cl->err);

		if (rc < 0)
			return rc;
		if (!options_netdev_has_card(cl->opts, cl->opts->netdevs[i]->id))
			log_warn("netdev %s has no peer", cl->opts->netdevs[i]->id);
	}
	if (cl->opts->nbuses == 0)
		cl->opts->nbuses = options_nbuses(cl->opts);
	return 0;
}

static bool id_in_use(const struct cmdline *cl, const char *id)
{
	char memdev[32];
	bool used = false;

	snprintf(memdev, sizeof(memdev), "%.16s-mem", id);
	for (unsigned i = 0; i < cl->opts->nobjects; i++)
		used |= strcmp(cl->opts->objects[i]->id, memdev) == 0;
	for (unsigned i = 0; i < cl->ndevices; i++)
		used |= cl->devices[i]->id && strcmp(cl->devices[i]->id, id) == 0;
	return used;
}

// pmem0, pmem1, ...: the next one that is not taken so far.
static void default_id(struct cmdline *cl, char *id, size_t size)
{
	do
		snprintf(id, size, "pmem%u", cl->npmem_shorthands++);
	while (id_in_use(cl, id));
}

// Keys that -pmem sets itself.
static bool is_pair_key(const char *key)
{
	return strcmp(key, "memdev") == 0 || strcmp(key, "qom-type") == 0 || strcmp(key, "driver") == 0;
}

static int unknown_pmem_key(struct cmdline *cl, const char *key)
{
	const struct prop_class *const classes[] = { &memory_backend_file_class, &virtio_pmem_pci_class };
	struct suggest s = { .word = key };
	const struct prop *prop;

	for (unsigned c = 0; c < 2; c++)
		for (unsigned i = 0; (prop = props_at(classes[c], i)); i++)
			if (!is_pair_key(prop->name))
				suggest_offer(&s, prop->name);
	error_set(cl->err, -EINVAL, "Invalid parameter '%s'", key);
	if (is_pair_key(key))
		error_hint(cl->err, "-pmem makes the object and the device itself: leave %s out", key);
	else if (s.best)
		error_hint(cl->err, "did you mean %s?", s.best);
	else
		error_hint(cl->err, "-pmem help lists the parameters");
	return -EINVAL;
}

static void put_text(struct json_object *obj, const char *key, const char *text)
{
	json_object_object_add(obj, key, json_object_new_string(text));
}

// Moves each key to the half of the pair that it belongs to.
static int split_pmem(struct cmdline *cl, struct json_object *all, struct json_object *object,
                      struct json_object *device)
{
	json_object_object_foreach(all, key, val)
	{
		if (strcmp(key, "id") == 0)
			continue;
		if (is_pair_key(key))
			return unknown_pmem_key(cl, key);
		if (props_find(&memory_backend_file_class, key))
			json_object_object_add(object, key, json_object_get(val));
		else if (props_find(&virtio_pmem_pci_class, key))
			json_object_object_add(device, key, json_object_get(val));
		else
			return unknown_pmem_key(cl, key);
	}
	return 0;
}

// -pmem FILE,id=nv1,... is -object memory-backend-file,id=nv1-mem,share=on,mem-path=FILE,... with
// -device virtio-pmem-pci,id=nv1,memdev=nv1-mem,...
static int add_pair(struct cmdline *cl, struct json_object *all, struct json_object *object, struct json_object *device)
{
	const char *id = member(all, "id");
	char made_id[16], *memdev;
	int rc;

	if (!id) {
		default_id(cl, made_id, sizeof(made_id));
		id = made_id;
	}
	if (asprintf(&memdev, "%s-mem", id) < 0)
		return error_set(cl->err, -ENOMEM, "out of memory");
	put_text(object, "qom-type", memory_backend_file_class.name);
	put_text(object, "id", memdev);
	put_text(object, "share", "on");
	put_text(device, "driver", virtio_pmem_pci_class.name);
	put_text(device, "id", id);
	put_text(device, "memdev", memdev);
	free(memdev);
	rc = split_pmem(cl, all, object, device);
	if (rc == 0)
		rc = option_add_object(cl, object, PROPS_TEXT);
	return rc == 0 ? option_add_device(cl, device, PROPS_TEXT) : rc;
}

int handle_pmem(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = "mem-path", .list_key = "host-nodes" };
	bool help = false;
	struct json_object *all = keyval_parse(arg, &syntax, &help);
	struct json_object *object = json_object_new_object(), *device = json_object_new_object();
	int rc = HANDLED_HELP;

	if (help) {
		props_help(&memory_backend_file_class, stdout);
		props_help(&virtio_pmem_pci_class, stdout);
	} else if (all && object && device) {
		rc = add_pair(cl, all, object, device);
	} else {
		rc = error_set(cl->err, -ENOMEM, "out of memory");
	}
	json_object_put(all);
	json_object_put(object);
	json_object_put(device);
	return rc;
}
