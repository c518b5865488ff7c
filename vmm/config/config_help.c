// SPDX-License-Identifier: Apache-2.0
// Help on -object and -device, for the command line and the monitor.
#include "config.h"
#include "error.h"
#include "keyval.h"
#include "props.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int config_object_help(const char *name, FILE *out, struct vpmem_error *err)
{
	const struct object_type *type;

	if (!name || keyval_is_help(name)) {
		fprintf(out, "List of user creatable objects:\n");
		for (unsigned i = 0; (type = object_type_at(i)); i++)
			fprintf(out, "  %s\n", type->props->name);
		return 0;
	}
	type = object_type_find(name);
	if (!type)
		return error_set(err, -EINVAL, "Parameter 'qom-type' does not accept value '%s'", name);
	props_help(type->props, out);
	return 0;
}

static bool is_first_of_category(unsigned idx)
{
	for (unsigned i = 0; i < idx; i++)
		if (strcmp(device_model_at(i)->category, device_model_at(idx)->category) == 0)
			return false;
	return true;
}

// The models under their categories, each in the place of its first one.
static void print_model(const struct device_model *model, FILE *out)
{
	fprintf(out, "name \"%s\"", model->props->name);
	if (!model->on_board)
		fprintf(out, ", bus %s", model->bus ? model->bus : "PCI");
	if (model->alias)
		fprintf(out, ", alias \"%s\"", model->alias);
	fprintf(out, ", desc \"%s\"\n", model->description);
}

static void list_models(FILE *out)
{
	const struct device_model *first, *model;
	bool is_later = false;

	for (unsigned i = 0; (first = device_model_at(i)); i++) {
		if (!is_first_of_category(i))
			continue;
		fprintf(out, "%s%s devices:\n", is_later ? "\n" : "", first->category);
		is_later = true;
		for (unsigned k = i; (model = device_model_at(k)); k++)
			if (strcmp(model->category, first->category) == 0)
				print_model(model, out);
	}
}

int config_device_help(const char *driver, FILE *out, struct vpmem_error *err)
{
	const struct device_model *model;

	if (!driver || keyval_is_help(driver)) {
		list_models(out);
		return 0;
	}
	model = device_model_find(driver);
	if (!model)
		return error_set(err, -ENODEV, "Device '%s' not found", driver);
	props_help(model->props, out);
	return 0;
}
