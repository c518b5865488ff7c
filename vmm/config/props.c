// SPDX-License-Identifier: Apache-2.0
// Property tables: applying what the user gave, defaults, help.
#include "props.h"

#include "error.h"
#include "suggest.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

// Takes the value: a string moves into the struct, or is freed if the property has no field.
static void store(const struct prop *prop, union prop_value *val, void *obj)
{
	void *field;

	if (prop->offset == PROP_NOWHERE) {
		if (prop_is_string(prop))
			free(val->s);
		return;
	}
	field = (char *)obj + prop->offset;
	switch (prop->type) {
	case PROP_BOOL:
		memcpy(field, &val->b, sizeof(bool));
		break;
	case PROP_STR:
	case PROP_ID:
	case PROP_LINK:
		free(*(char **)field);
		memcpy(field, &val->s, sizeof(char *));
		break;
	case PROP_SIZE:
	case PROP_COUNT:
	case PROP_UINT64:
	case PROP_NODES:
	case PROP_OPT_SIZE:
	case PROP_OPT_NUMBER:
		memcpy(field, &val->u, sizeof(uint64_t));
		break;
	case PROP_UINT32:
		memcpy(field, &(uint32_t) { (uint32_t)val->u }, sizeof(uint32_t));
		break;
	case PROP_WORD:
		memcpy(field, &(unsigned) { (unsigned)val->u }, sizeof(unsigned));
		break;
	case PROP_ADDR:
		memcpy(field, &val->slot, sizeof(int));
		break;
	}
}

static bool same_value(const struct prop *prop, const union prop_value *a, const union prop_value *b)
{
	if (prop_is_string(prop))
		return strcmp(a->s, b->s) == 0;
	if (prop->type == PROP_BOOL)
		return a->b == b->b;
	return prop->type == PROP_ADDR ? a->slot == b->slot : a->u == b->u;
}

// Is the value one of those that `only` lists? They are text, converted like the user's.
static bool accepted(const struct prop_class *cls, const struct prop *prop, const union prop_value *val)
{
	const char *text = prop->only;
	bool found = false;

	while (text && !found) {
		size_t len = strcspn(text, "|");
		char word[32];
		union prop_value allowed;

		assert(len < sizeof(word));
		memcpy(word, text, len);
		word[len] = '\0';
		if (prop_from_text(cls, prop, word, &allowed, NULL) == 0) {
			found = same_value(prop, val, &allowed);
			if (prop_is_string(prop))
				free(allowed.s);
		}
		text = text[len] ? text + len + 1 : NULL;
	}
	return found || !prop->only;
}

// A value as the user wrote it; JSON's null has no text of its own.
static const char *text_of(struct json_object *json)
{
	if (json_object_is_type(json, json_type_boolean))
		return json_object_get_boolean(json) ? "on" : "off";
	return json ? json_object_get_string(json) : "null";
}

static int refuse(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                  struct vpmem_error *err)
{
	error_set(err, -EINVAL, "'%s%s=%.200s' is not supported%s", cls->prefix, prop->name, text_of(json),
	          prop->not_yet ? " yet" : "");
	if (prop->why)
		error_hint(err, "%s", prop->why);
	return -EINVAL;
}

static int apply_one(const struct prop_class *cls, const struct prop *prop, struct json_object *json,
                     enum props_form form, void *obj, struct vpmem_error *err)
{
	union prop_value val;
	int rc;

	// A property that names the object has its own type in every form.
	if (form == PROPS_JSON || (form == PROPS_SCALAR && prop->hidden))
		rc = prop_from_json(cls, prop, json, &val, err);
	else if (form == PROPS_SCALAR)
		rc = prop_from_scalar(cls, prop, json, &val, err);
	else if (prop->type == PROP_NODES && json_object_is_type(json, json_type_array))
		rc = prop_nodes_from_list(cls, prop, json, &val, err);
	else
		rc = prop_from_text(cls, prop, text_of(json), &val, err);
	if (rc < 0)
		return rc;
	if (prop->not_zero && val.u == 0)
		return error_set(err, -EINVAL, "property '%s' of %s doesn't take value '0'", prop->name, cls->name);
	if (!accepted(cls, prop, &val)) {
		if (prop_is_string(prop))
			free(val.s);
		return refuse(cls, prop, json, err);
	}
	store(prop, &val, obj);
	return 0;
}

static bool same_name(const struct prop_class *cls, const char *a, const char *b)
{
	if (!cls->underscores)
		return strcmp(a, b) == 0;
	while (*a && (*a == '_' ? '-' : *a) == (*b == '_' ? '-' : *b))
		a++, b++;
	return !*a && !*b;
}

const struct prop *props_find(const struct prop_class *cls, const char *name)
{
	for (; cls; cls = cls->base)
		for (unsigned i = 0; i < cls->nprops; i++)
			if (same_name(cls, cls->props[i].name, name))
				return &cls->props[i];
	return NULL;
}

// "name=" orders "prealloc-threads" before "prealloc", as QEMU's help does.
static bool is_before(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (*a ? *a : '=') < (*b ? *b : '=');
}

// Both tables are sorted: merges them.
const struct prop *props_at(const struct prop_class *cls, unsigned idx)
{
	static const struct prop none[1];
	// A class without properties has no table; C has no sum of NULL and 0.
	const struct prop *own = cls->props ? cls->props : none, *own_end = own + cls->nprops;
	const struct prop *base = cls->base ? cls->base->props : none,
			  *base_end = base + (cls->base ? cls->base->nprops : 0);

	for (;; idx--) {
		bool is_own = base == base_end || (own != own_end && is_before(own->name, base->name));

		if (own == own_end && base == base_end)
			return NULL;
		if (idx == 0)
			return is_own ? own : base;
		if (is_own)
			own++;
		else
			base++;
	}
}

// "a_b" and "a-b" in one object: QEMU refuses this as well.
static int check_conflict(const struct prop_class *cls, const char *name, struct json_object *in,
                          struct vpmem_error *err)
{
	json_object_object_foreach(in, other, val)
	{
		(void)val;
		if (strchr(name, '_') && strcmp(name, other) != 0 && same_name(cls, name, other))
			return error_set(err, -EINVAL, "Conflict between '%s' and '%s'", name, other);
	}
	return 0;
}

static int unknown(const struct prop_class *cls, const char *name, enum props_form form, struct vpmem_error *err)
{
	struct suggest s = { .word = name };
	const struct prop *prop;

	if (cls->unknown == PROP_UNKNOWN_NOT_FOUND)
		error_set(err, -EINVAL, "Property '%s.%.200s' not found", cls->name, name);
	else if (cls->unknown == PROP_UNKNOWN_INVALID && form == PROPS_TEXT)
		error_set(err, -EINVAL, "Invalid parameter '%s'", name);
	else
		error_set(err, -EINVAL, "Parameter '%s%.200s' is unexpected", cls->prefix, name);
	for (unsigned i = 0; (prop = props_at(cls, i)); i++)
		suggest_offer(&s, prop->name);
	if (s.best)
		error_hint(err, "did you mean %s?", s.best);
	else if (strncmp(name, "x-", 2) == 0)
		error_hint(err, "QEMU's internal x- properties do not exist here: leave it out");
	return -EINVAL;
}

int props_apply(const struct prop_class *cls, struct json_object *in, enum props_form form, void *obj,
                struct vpmem_error *err)
{
	json_object_object_foreach(in, name, json)
	{
		const struct prop *prop = props_find(cls, name);
		int rc = cls->underscores ? check_conflict(cls, name, in, err) : 0;

		if (rc == 0)
			rc = prop ? apply_one(cls, prop, json, form, obj, err) : unknown(cls, name, form, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int props_init(const struct prop_class *cls, void *obj)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(cls, i)); i++) {
		union prop_value val;

		if (!prop->def || prop->offset == PROP_NOWHERE)
			continue;
		// A user cannot write "-1": it stands for "the first free slot".
		if (prop->type == PROP_ADDR)
			val.slot = -1;
		else if (prop_from_text(cls, prop, prop->def, &val, NULL) < 0)
			return -ENOMEM;
		store(prop, &val, obj);
	}
	return 0;
}

void props_release(const struct prop_class *cls, void *obj)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(cls, i)); i++) {
		char **field;

		if (!prop_is_string(prop) || prop->offset == PROP_NOWHERE)
			continue;
		field = (char **)((char *)obj + prop->offset);
		free(*field);
		*field = NULL;
	}
}

const char *props_type_name(const struct prop *prop)
{
	static const char *const names[] = {
		[PROP_BOOL] = "bool",      [PROP_STR] = "str",   [PROP_ID] = "str",        [PROP_LINK] = "link",
		[PROP_SIZE] = "int",       [PROP_COUNT] = "int", [PROP_UINT64] = "uint64", [PROP_UINT32] = "uint32",
		[PROP_WORD] = "enum",      [PROP_NODES] = "int", [PROP_ADDR] = "int32",    [PROP_OPT_SIZE] = "size",
		[PROP_OPT_NUMBER] = "num",
	};

	return prop->type_name ? prop->type_name : names[prop->type];
}

// Defaults as QEMU shows them: on is true, words are quoted, -1 for "any slot".
static void print_default(const struct prop *prop, FILE *out)
{
	if (prop->type == PROP_BOOL)
		fprintf(out, " (default: %s)", strcmp(prop->def, "on") == 0 ? "true" : "false");
	else if (prop->type == PROP_WORD || prop_is_string(prop))
		fprintf(out, " (default: \"%s\")", prop->def);
	else
		fprintf(out, " (default: %s)", prop->def);
}

void props_help(const struct prop_class *cls, FILE *out)
{
	const struct prop *prop;

	fprintf(out, "%s options:\n", cls->name);
	for (unsigned i = 0; (prop = props_at(cls, i)); i++) {
		int len;

		if (prop->hidden)
			continue;
		len = fprintf(out, "  %s=<%s>", prop->name, props_type_name(prop));
		if (prop->help || prop->def)
			fprintf(out, "%*s - %s", len < 24 ? 24 - len : 0, "", prop->help ? prop->help : "");
		if (prop->def)
			print_default(prop, out);
		fputc('\n', out);
	}
}
