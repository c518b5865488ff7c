// SPDX-License-Identifier: Apache-2.0
// The values and defaults of properties as JSON.
#include "qom.h"

#include "json_make.h"
#include "props.h"

#include <string.h>

static struct json_object *nodes(uint64_t mask)
{
	struct json_object *list = json_object_new_array();

	for (unsigned node = 0; node < 64; node++)
		if (mask >> node & 1)
			add_to(list, json_object_new_int64(node));
	return list;
}

// Slot and function in one number, as QEMU keeps an address; -1: not chosen yet.
static int64_t devfn(int slot)
{
	return slot < 0 ? -1 : slot * 8;
}

static uint64_t number_at(const struct prop *prop, const void *field)
{
	uint32_t small;
	uint64_t large;

	if (prop->type == PROP_UINT32) {
		memcpy(&small, field, sizeof(small));
		return small;
	}
	memcpy(&large, field, sizeof(large));
	return large;
}

struct json_object *prop_value(const struct prop_class *cls, const struct prop *prop, const void *obj)
{
	const char *field, *str;

	if (prop->offset == PROP_NOWHERE)
		return prop_default(cls, prop);
	field = (const char *)obj + prop->offset;
	switch (prop->type) {
	case PROP_BOOL:
		return json_object_new_boolean(*(const bool *)field);
	case PROP_STR:
	case PROP_ID:
	case PROP_LINK:
		str = *(char *const *)field;
		return json_object_new_string(str ? str : "");
	case PROP_WORD:
		return json_object_new_string(prop->words[*(const unsigned *)field]);
	case PROP_NODES:
		return nodes(number_at(prop, field));
	case PROP_ADDR:
		return json_object_new_int64(devfn(*(const int *)field));
	case PROP_SIZE:
	case PROP_COUNT:
	case PROP_UINT64:
	case PROP_UINT32:
	case PROP_OPT_SIZE:
	case PROP_OPT_NUMBER:
		break;
	}
	return json_object_new_uint64(number_at(prop, field));
}

struct json_object *prop_default(const struct prop_class *cls, const struct prop *prop)
{
	union prop_value val = { 0 };

	if (prop_is_string(prop) || prop->type == PROP_WORD)
		return json_object_new_string(prop->def ? prop->def : "");
	if (prop->type == PROP_ADDR)
		return json_object_new_int64(-1);
	if (prop->def && prop_from_text(cls, prop, prop->def, &val, NULL) < 0)
		return NULL;
	if (prop->type == PROP_BOOL)
		return json_object_new_boolean(val.b);
	return prop->type == PROP_NODES ? nodes(val.u) : json_object_new_uint64(val.u);
}
