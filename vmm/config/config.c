// SPDX-License-Identifier: Apache-2.0
// One -object or -device, checked alone.
#include "config.h"

#include "device_list.h"
#include "error.h"
#include "props.h"
#include "suggest.h"
#include "vm_limits.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the lists

#define TYPE(name, ...) extern const struct object_type name##_type;
#define MODEL(name) extern const struct device_model name##_model;
OBJECT_LIST(TYPE)
DEVICE_LIST(MODEL)
#undef TYPE
#undef MODEL

#define TYPE(name, ...) &name##_type,
#define MODEL(name) &name##_model,
static const struct object_type *const types[] = { OBJECT_LIST(TYPE) NULL };
static const struct device_model *const models[] = { DEVICE_LIST(MODEL) NULL };

const struct object_type *object_type_at(unsigned idx)
{
	return types[idx];
}

const struct device_model *device_model_at(unsigned idx)
{
	return models[idx];
}

const struct object_type *object_type_find(const char *name)
{
	for (unsigned i = 0; types[i]; i++)
		if (strcmp(types[i]->props->name, name) == 0)
			return types[i];
	return NULL;
}

const struct device_model *device_model_find(const char *name)
{
	for (unsigned i = 0; models[i]; i++)
		if (strcmp(models[i]->props->name, name) == 0 ||
		    (models[i]->alias && strcmp(models[i]->alias, name) == 0))
			return models[i];
	return NULL;
}

// ---- which type or model it is

// The value of qom-type or driver. NULL with err set if there is none.
static const char *name_of(struct json_object *props, const char *key, struct vpmem_error *err)
{
	struct json_object *json;

	if (!json_object_object_get_ex(props, key, &json)) {
		error_set(err, -EINVAL, "Parameter '%s' is missing", key);
		return NULL;
	}
	if (!json_object_is_type(json, json_type_string)) {
		error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: string", key);
		return NULL;
	}
	return json_object_get_string(json);
}

// The names of a list, for a hint.
struct names {
	const char *what; // "object type"
	struct suggest nearest;
	unsigned n;
	char text[224]; // as many as fit
	bool is_whole;
};

static void add_name(struct names *names, const char *name)
{
	size_t len = strlen(names->text);
	int more = snprintf(names->text + len, sizeof(names->text) - len, "%s%s", names->n > 0 ? ", " : "", name);

	suggest_offer(&names->nearest, name);
	names->is_whole = (names->n++ == 0 || names->is_whole) && len + (size_t)more < sizeof(names->text);
}

static void hint_names(const struct names *names, struct vpmem_error *err)
{
	if (names->nearest.best)
		error_hint(err, "did you mean %s?", names->nearest.best);
	else if (names->is_whole)
		error_hint(err, names->n == 1 ? "the one %s here is %s" : "the %ss here are %s", names->what,
		           names->text);
	else
		error_hint(err, "help in its place lists the %ss", names->what);
}

static const struct object_type *type_of(struct json_object *props, struct vpmem_error *err)
{
	const char *name = name_of(props, "qom-type", err);
	const struct object_type *type = name ? object_type_find(name) : NULL;
	struct names names = { .what = "object type", .nearest.word = name };

	if (type)
		return type;
	if (!name) {
		error_hint(err, "for example memory-backend-file,id=mem1,share=on,mem-path=FILE");
		return NULL;
	}
	for (unsigned i = 0; types[i]; i++)
		add_name(&names, types[i]->props->name);
	error_set(err, -EINVAL, "Parameter 'qom-type' does not accept value '%s'", name);
	hint_names(&names, err);
	return NULL;
}

// Devices that add buses in QEMU.
static bool is_bridge(const char *driver)
{
	static const char *const names[] = { "pxb-pcie", "pxb",        "pcie-root-port",
		                             "ioh3420",  "pci-bridge", "pcie-pci-bridge" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(driver, names[i]) == 0)
			return true;
	return false;
}

// The model whose virtio device inside has this name, which QEMU also has as a driver; or NULL.
static const struct device_model *model_around(const char *driver)
{
	for (unsigned i = 0; models[i]; i++)
		if (models[i]->virtio_name && strcmp(driver, models[i]->virtio_name) == 0)
			return models[i];
	return NULL;
}

static bool is_mmio_name(const char *driver)
{
	static const char end[] = "-device";
	size_t len = strlen(driver);

	return len > strlen(end) && strcmp(driver + len - strlen(end), end) == 0;
}

static const struct device_model *model_of(struct json_object *props, struct vpmem_error *err)
{
	const char *driver = name_of(props, "driver", err);
	const struct device_model *model = driver ? device_model_find(driver) : NULL;
	struct names names = { .what = "device model", .nearest.word = driver };

	if (model)
		return model;
	if (!driver) {
		error_hint(err, "for example virtio-pmem-pci,memdev=mem1");
		return NULL;
	}
	model = model_around(driver);
	// On QEMU's microvm these are devices on virtio-mmio: here, as all devices, they are on PCI.
	if (model && is_mmio_name(driver))
		return model;
	if (model) {
		error_set(err, -EINVAL, "No 'virtio-bus' bus found for device '%s'", driver);
		error_hint(err, "did you mean %s?", model->props->name);
		return NULL;
	}
	error_set(err, -EINVAL, "'%.200s' is not a valid device model name", driver);
	for (unsigned i = 0; models[i]; i++)
		add_name(&names, models[i]->props->name);
	if (is_bridge(driver))
		error_hint(err, "-machine pci-buses=N gives the machine buses pcie.0 to pcie.N-1, for %u devices each",
		           PCI_BUS_DEVICES);
	else
		hint_names(&names, err);
	return NULL;
}

// ---- objects

int config_of_type(const struct object_type *type, struct json_object *props, enum props_form form,
                   struct object_config **out, struct vpmem_error *err)
{
	struct object_config *cfg;
	int rc = 0;

	*out = NULL;
	cfg = calloc(1, type->config_size);
	if (!cfg)
		return error_set(err, -ENOMEM, "out of memory");
	cfg->type = type;
	if (props_init(type->props, cfg) < 0)
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = props_apply(type->props, props, form, cfg, err);
	if (rc == 0 && !cfg->id)
		rc = error_set(err, -EINVAL, "Parameter 'id' is missing");
	if (rc == 0 && type->check)
		rc = type->check(cfg, props, err);
	if (rc < 0)
		object_config_free(cfg);
	else
		*out = cfg;
	return rc;
}

int config_object(struct json_object *props, enum props_form form, struct object_config **out, struct vpmem_error *err)
{
	const struct object_type *type = type_of(props, err);

	*out = NULL;
	return type ? config_of_type(type, props, form, out, err) : -EINVAL;
}

void object_config_free(struct object_config *cfg)
{
	if (cfg)
		props_release(cfg->type->props, cfg);
	free(cfg);
}

bool object_type_is(const struct object_type *type, const char *name)
{
	return strcmp(type->props->name, name) == 0 || strcmp(type->base, name) == 0;
}

void *object_config_as(struct object_config *cfg, const struct object_type *type)
{
	(void)type;
	assert(cfg->type == type);
	return cfg;
}

// ---- devices

static_assert(PCI_BUSES_MAX <= 10, "the number of a bus has one digit");

// "pcie.0" to "pcie.7"; "pci.0" is another name of the first. A number without a bus is on the first one as well.
static int find_bus(struct device_config *cfg, struct vpmem_error *err)
{
	static const char prefix[] = "pcie.";
	const char *digit = cfg->bus && strncmp(cfg->bus, prefix, strlen(prefix)) == 0 ? cfg->bus + strlen(prefix) : "";

	cfg->bus_nr = cfg->slot >= 0 || cfg->bus ? 0 : -1;
	if (!cfg->bus || strcmp(cfg->bus, "pci.0") == 0)
		return 0;
	if (*digit >= '0' && *digit < '0' + (int)PCI_BUSES_MAX && !digit[1]) {
		cfg->bus_nr = *digit - '0';
		return 0;
	}
	error_set(err, -EINVAL, "Bus '%.200s' not found", cfg->bus);
	error_hint(err, "buses are pcie.0 to pcie.%u: leave bus out for the first one that has room",
	           PCI_BUSES_MAX - 1);
	return -EINVAL;
}

static int check_slot(const struct device_config *cfg, struct vpmem_error *err)
{
	if (cfg->slot != 0)
		return 0;
	error_set(err, -EBUSY, "PCI: slot 0 function 0 not available for %s, in use by the host bridge",
	          cfg->model->props->name);
	error_hint(err, "choose another slot from 1 to 1f, or leave addr out");
	return -EBUSY;
}

int config_device(struct json_object *props, enum props_form form, struct device_config **out, struct vpmem_error *err)
{
	const struct device_model *model = model_of(props, err);
	struct device_config *cfg;
	int rc = 0;

	*out = NULL;
	if (!model)
		return -EINVAL;
	cfg = calloc(1, model->config_size);
	if (!cfg)
		return error_set(err, -ENOMEM, "out of memory");
	cfg->model = model;
	if (props_init(model->props, cfg) < 0)
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = props_apply(model->props, props, form, cfg, err);
	if (!device_model_is_pci(model))
		cfg->bus_nr = cfg->slot = -1;
	if (rc == 0 && device_model_is_pci(model))
		rc = find_bus(cfg, err);
	if (rc == 0 && model->check)
		rc = model->check(cfg, err);
	if (rc == 0)
		rc = check_slot(cfg, err);
	if (rc < 0)
		device_config_free(cfg);
	else
		*out = cfg;
	return rc;
}

void device_config_free(struct device_config *cfg)
{
	if (cfg) {
		props_release(cfg->model->props, cfg);
		free(cfg->child_bus);
	}
	free(cfg);
}

void *device_config_as(struct device_config *cfg, const struct device_model *model)
{
	(void)model;
	assert(cfg->model == model);
	return cfg;
}
