// SPDX-License-Identifier: Apache-2.0
// Values of properties: from text and from JSON, with QEMU's words for what is wrong.
#include "error.h"
#include "parse.h"
#include "props.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 64u

bool prop_is_string(const struct prop *prop)
{
	return prop->type == PROP_STR || prop->type == PROP_ID || prop->type == PROP_LINK;
}

static int expects(const struct prop_class *cls, const struct prop *prop, const char *what, struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "Parameter '%s%s' expects %s", cls->prefix, prop->name, what);
}

static int wrong_type(const struct prop_class *cls, const struct prop *prop, const char *expected,
                      struct vpmem_error *err)
{
	return error_set(err, -EINVAL, "Invalid parameter type for '%s%s', expected: %s", cls->prefix, prop->name,
	                 expected);
}

static int string_value(const struct prop_class *cls, const struct prop *prop, const char *text, union prop_value *val,
                        struct vpmem_error *err)
{
	if (prop->type == PROP_ID && !id_wellformed(text)) {
		expects(cls, prop, "an identifier", err);
		error_hint(err, "identifiers consist of letters, digits, '-', '.', '_', starting with a letter");
		return -EINVAL;
	}
	val->s = strdup(text);
	return val->s ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* "64MB", "64MiB", "64 M": the letters that are too many are left out. */
static bool nearest_size(const char *text, char *buf, size_t buf_size)
{
	size_t len = 0;
	uint64_t bytes;

	for (; *text && len + 1 < buf_size; text++)
		if (!isspace((unsigned char)*text))
			buf[len++] = *text;
	if (len > 1 && tolower((unsigned char)buf[len - 1]) == 'b')
		len--;
	if (len > 1 && tolower((unsigned char)buf[len - 1]) == 'i')
		len--;
	buf[len] = '\0';
	return size_parse(buf, &bytes) == 0;
}

static void hint_size(const char *text, struct vpmem_error *err)
{
	char nearest[32];
	bool has_nearest = nearest_size(text, nearest, sizeof(nearest));

	error_hint(err, "%s%s%soptional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta- and exabytes",
	           has_nearest ? "did you mean " : "", has_nearest ? nearest : "", has_nearest ? "? " : "");
}

static int size_value(const struct prop_class *cls, const struct prop *prop, const char *text, uint64_t *bytes,
                      struct vpmem_error *err)
{
	int rc = size_parse(text, bytes);

	if (rc == 0)
		return 0;
	expects(cls, prop, "a size value", err);
	if (rc == -ERANGE)
		error_hint(err, "it is 2^64 bytes or more");
	else
		hint_size(text, err);
	return -EINVAL;
}

static int opt_size_value(const struct prop *prop, const char *text, uint64_t *bytes, struct vpmem_error *err)
{
	int rc = size_parse(text, bytes);

	if (rc == -ERANGE)
		return error_set(err, rc, "Value '%.200s' is out of range for parameter '%s'", text, prop->name);
	if (rc == 0)
		return 0;
	error_set(err, rc, "Parameter '%s' expects a non-negative number below 2^64", prop->name);
	hint_size(text, err);
	return rc;
}

static int bool_value(const char *text, union prop_value *val)
{
	static const char *const on[] = { "on", "yes", "true", "y" };
	static const char *const off[] = { "off", "no", "false", "n" };

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(text, on[i]) && strcmp(text, off[i]))
			continue;
		val->b = strcmp(text, on[i]) == 0;
		return 0;
	}
	return -EINVAL;
}

static int word_value(const struct prop_class *cls, const struct prop *prop, const char *text, union prop_value *val,
                      struct vpmem_error *err)
{
	char known[128] = "";
	size_t len = 0;

	for (unsigned i = 0; prop->words[i]; i++) {
		if (strcmp(prop->words[i], text) == 0) {
			val->u = i;
			return 0;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
			                        prop->words[i]);
	}
	error_set(err, -EINVAL, "Parameter '%s%s' does not accept value '%s'", cls->prefix, prop->name, text);
	error_hint(err, "it takes one of: %s", known);
	return -EINVAL;
}

static int add_nodes(const struct prop *prop, uint64_t first, uint64_t last, uint64_t *mask, struct vpmem_error *err)
{
	if (last >= NODES_MAX) {
		error_set(err, -EINVAL, "Invalid %s value: %llu", prop->name,
		          (unsigned long long)(first >= NODES_MAX ? first : NODES_MAX));
		error_hint(err, "they are 0 to %u", NODES_MAX - 1);
		return -EINVAL;
	}
	for (uint64_t node = first; node <= last; node++)
		*mask |= UINT64_C(1) << node;
	return 0;
}

// "2" or "0-3".
static int nodes_value(const struct prop_class *cls, const struct prop *prop, const char *text, uint64_t *mask,
                       struct vpmem_error *err)
{
	size_t first_len = strcspn(text, "-");
	char first_text[24];
	uint64_t first, last;

	if (first_len >= sizeof(first_text))
		return expects(cls, prop, "a uint64 value or range", err);
	memcpy(first_text, text, first_len);
	first_text[first_len] = '\0';
	if (uint_parse(first_text, &first) < 0)
		return expects(cls, prop, "a uint64 value or range", err);
	last = first;
	if (text[first_len] && (uint_parse(text + first_len + 1, &last) < 0 || last < first))
		return expects(cls, prop, "a uint64 value or range", err);
	return add_nodes(prop, first, last, mask, err);
}

int prop_nodes_from_list(const struct prop_class *cls, const struct prop *prop, struct json_object *list,
                         union prop_value *val, struct vpmem_error *err)
{
	int rc = 0;

	val->u = 0;
	for (size_t i = 0; i < json_object_array_length(list) && rc == 0; i++)
		rc = nodes_value(cls, prop, json_object_get_string(json_object_array_get_idx(list, i)), &val->u, err);
	return rc;
}

// A number of devfn: 8 functions per slot; only function 0 exists.
static int slot_value(unsigned slot, unsigned function, union prop_value *val, struct vpmem_error *err)
{
	if (function != 0) {
		error_set(err, -EINVAL, "PCI: single function device can't be populated in function %x.%x", slot,
		          function);
		error_hint(err, "use function 0: addr=%x", slot);
		return -EINVAL;
	}
	val->slot = (int)slot;
	return 0;
}

// "SLOT" or "SLOT.FUNCTION", both hexadecimal.
static int addr_value(const struct prop_class *cls, const struct prop *prop, const char *text, union prop_value *val,
                      struct vpmem_error *err)
{
	unsigned long slot = 0, function = 0;
	char *end = NULL;

	if (isxdigit((unsigned char)text[0]))
		slot = strtoul(text, &end, 16);
	if (end && *end == '.' && isxdigit((unsigned char)end[1]))
		function = strtoul(end + 1, &end, 16);
	if (!end || *end || slot > 31 || function > 7) {
		error_set(err, -EINVAL, "Property '%s.%s' doesn't take value '%s'", cls->name, prop->name, text);
		error_hint(err, "a slot from 1 to 1f, hexadecimal, for example addr=5");
		return -EINVAL;
	}
	return slot_value((unsigned)slot, (unsigned)function, val, err);
}

int prop_from_text(const struct prop_class *cls, const struct prop *prop, const char *text, union prop_value *val,
                   struct vpmem_error *err)
{
	int rc;

	switch (prop->type) {
	case PROP_BOOL:
		return bool_value(text, val) < 0 ? expects(cls, prop, "'on' or 'off'", err) : 0;
	case PROP_STR:
	case PROP_ID:
	case PROP_LINK:
		return string_value(cls, prop, text, val, err);
	case PROP_SIZE:
		return size_value(cls, prop, text, &val->u, err);
	case PROP_COUNT:
		return uint_parse(text, &val->u) < 0 ? expects(cls, prop, "a uint64 value", err) : 0;
	case PROP_UINT64:
		return uint_parse(text, &val->u) < 0 ? expects(cls, prop, "integer", err) : 0;
	case PROP_UINT32:
		rc = uint_parse(text, &val->u);
		if (rc == 0 && val->u > UINT32_MAX)
			return expects(cls, prop, "uint32_t", err);
		return rc < 0 ? expects(cls, prop, "integer", err) : 0;
	case PROP_WORD:
		return word_value(cls, prop, text, val, err);
	case PROP_NODES:
		val->u = 0;
		return nodes_value(cls, prop, text, &val->u, err);
	case PROP_ADDR:
		return addr_value(cls, prop, text, val, err);
	case PROP_OPT_SIZE:
		return opt_size_value(prop, text, &val->u, err);
	case PROP_OPT_NUMBER:
		return uint_parse(text, &val->u) < 0 ? expects(cls, prop, "a number", err) : 0;
	}
	return -EINVAL;
}

// A whole number that is not negative.
static int uint_from_json(struct json_object *json, uint64_t *val)
{
	// A negative number reads 0 as uint64, a large one INT64_MAX as int64.
	if (!json_object_is_type(json, json_type_int) || json_object_get_int64(json) < 0)
		return -EINVAL;
	*val = json_object_get_uint64(json);
	return 0;
}

static int no_uint(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                   struct vpmem_error *err)
{
	uint64_t bytes;

	expects(cls, prop, "uint64", err);
	if (prop->type == PROP_SIZE && json_object_is_type(json, json_type_string) &&
	    size_parse(json_object_get_string(json), &bytes) == 0)
		error_hint(err, "in JSON a size is a number of bytes: %" PRIu64, bytes);
	return -EINVAL;
}

static int nodes_from_json(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                           union prop_value *val, struct vpmem_error *err)
{
	uint64_t node;

	if (!json_object_is_type(json, json_type_array))
		return wrong_type(cls, prop, "array", err);
	val->u = 0;
	for (size_t i = 0; i < json_object_array_length(json); i++) {
		if (uint_from_json(json_object_array_get_idx(json, i), &node) < 0)
			return error_set(err, -EINVAL, "Parameter '%s[%zu]' expects uint64", prop->name, i);
		if (add_nodes(prop, node, node, &val->u, err) < 0)
			return -EINVAL;
	}
	return 0;
}

// JSON has the address as QEMU keeps it (slot * 8 + function, -1 for any) or as text.
static int addr_from_json(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                          union prop_value *val, struct vpmem_error *err)
{
	int64_t devfn = json_object_get_int64(json);

	if (json_object_is_type(json, json_type_string))
		return addr_value(cls, prop, json_object_get_string(json), val, err);
	if (!json_object_is_type(json, json_type_int))
		return error_set(err, -EINVAL, "Invalid parameter type for '%s', expected int or str", prop->name);
	if (devfn < -1 || devfn > 255)
		return expects(cls, prop, "a value between -1 and 255", err);
	if (devfn >= 0)
		return slot_value((unsigned)devfn / 8, (unsigned)devfn % 8, val, err);
	val->slot = -1;
	return 0;
}

static int string_from_json(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                            union prop_value *val, struct vpmem_error *err)
{
	if (!json_object_is_type(json, json_type_string))
		return wrong_type(cls, prop, "string", err);
	// The string ends at "\u0000" for C.
	if (strlen(json_object_get_string(json)) != (size_t)json_object_get_string_len(json))
		return expects(cls, prop, "a string without NUL", err);
	return prop_from_text(cls, prop, json_object_get_string(json), val, err);
}

int prop_from_json(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                   union prop_value *val, struct vpmem_error *err)
{
	switch (prop->type) {
	case PROP_BOOL:
		if (!json_object_is_type(json, json_type_boolean))
			return wrong_type(cls, prop, "boolean", err);
		val->b = json_object_get_boolean(json);
		return 0;
	case PROP_SIZE:
	case PROP_COUNT:
	case PROP_UINT64:
	case PROP_UINT32:
	case PROP_OPT_SIZE:
	case PROP_OPT_NUMBER:
		if (uint_from_json(json, &val->u) < 0)
			return no_uint(cls, prop, json, err);
		if (prop->type == PROP_UINT32 && val->u > UINT32_MAX)
			return expects(cls, prop, "uint32_t", err);
		return 0;
	case PROP_NODES:
		return nodes_from_json(cls, prop, json, val, err);
	case PROP_ADDR:
		return addr_from_json(cls, prop, json, val, err);
	case PROP_STR:
	case PROP_ID:
	case PROP_LINK:
	case PROP_WORD:
		break;
	}
	return string_from_json(cls, prop, json, val, err);
}

int prop_from_scalar(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                     union prop_value *val, struct vpmem_error *err)
{
	if (json_object_is_type(json, json_type_boolean))
		return prop_from_text(cls, prop, json_object_get_boolean(json) ? "on" : "off", val, err);
	if (json_object_is_type(json, json_type_int))
		return prop_from_text(cls, prop, json_object_get_string(json), val, err);
	return string_from_json(cls, prop, json, val, err);
}
