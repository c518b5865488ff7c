// SPDX-License-Identifier: Apache-2.0
// query-qmp-schema: every command and event, and every type that one of them refers to.
#include "command.h"

#include "event.h"
#include "json_make.h"
#include "props.h"
#include "schema_make.h"

#include <stdio.h>
#include <string.h>

// ---- the type of the schema itself

static ENUM(meta_kind_type, "SchemaMetaType", "builtin", "enum", "array", "object", "command", "event");
static ENUM(json_kind_type, "JSONType", "string", "number", "int", "boolean", "null", "object", "array", "value");
static OBJECT(builtin_type, "SchemaInfoBuiltin", MEMBER("json-type", json_kind_type));
static OBJECT(enum_member_type, "SchemaInfoEnumMember", MEMBER("name", schema_str));
static ARRAY(enum_members_type, enum_member_type);
static OBJECT(enum_type, "SchemaInfoEnum", MEMBER("members", enum_members_type), MEMBER("values", schema_strs));
static OBJECT(array_type, "SchemaInfoArray", MEMBER("element-type", schema_str));
static OBJECT(member_type, "SchemaInfoObjectMember", MEMBER("name", schema_str), MEMBER("type", schema_str),
              OPTIONAL("default", schema_any));
static ARRAY(members_type, member_type);
static OBJECT(variant_type, "SchemaInfoObjectVariant", MEMBER("case", schema_str), MEMBER("type", schema_str));
static ARRAY(variants_type, variant_type);
static OBJECT(object_type, "SchemaInfoObject", MEMBER("members", members_type), OPTIONAL("tag", schema_str),
              OPTIONAL("variants", variants_type));
static OBJECT(command_type, "SchemaInfoCommand", MEMBER("arg-type", schema_str), MEMBER("ret-type", schema_str));
static OBJECT(event_type, "SchemaInfoEvent", MEMBER("arg-type", schema_str));
static const struct schema_type schema_info_type = {
	.kind = SCHEMA_OBJECT,
	.name = "SchemaInfo",
	MEMBERS(MEMBER("name", schema_str), MEMBER("meta-type", meta_kind_type)),
	.tag = "meta-type",
	VARIANTS({ "builtin", &builtin_type }, { "enum", &enum_type }, { "array", &array_type },
	         { "object", &object_type }, { "command", &command_type }, { "event", &event_type }),
};
static ARRAY(schema_infos_type, schema_info_type);

// ---- the walk

struct walk {
	struct json_object *list; // of SchemaInfo
	struct json_object *seen; // an object whose keys are the names of the types in the list
};

static void add_type(struct walk *walk, const struct schema_type *type);

static const char *type_name(const struct schema_type *type, char room[64])
{
	if (type->name)
		return type->name;
	snprintf(room, 64, "[%s]", type->element->name);
	return room;
}

static struct json_object *new_info(const char *name, const char *meta_type)
{
	struct json_object *info = json_object_new_object();

	put_str(info, "name", name);
	put_str(info, "meta-type", meta_type);
	return info;
}

// QEMU before 9 has the words twice: `values` is the older form.
static void put_words(struct json_object *info, const char *const *words)
{
	struct json_object *members = json_object_new_array(), *values = json_object_new_array();

	for (unsigned i = 0; words[i]; i++) {
		struct json_object *member = json_object_new_object();

		put_str(member, "name", words[i]);
		add_to(members, member);
		add_to(values, json_object_new_string(words[i]));
	}
	put(info, "members", members);
	put(info, "values", values);
}

static struct json_object *new_member(const char *name, const char *type, bool optional)
{
	struct json_object *member = json_object_new_object();

	put_str(member, "name", name);
	put_str(member, "type", type);
	if (optional)
		put(member, "default", NULL);
	return member;
}

// ---- members that come from a table of properties

// A type for a property: builtin, or an enum of its own that is named by the property's type.
static void type_of_prop(const struct prop *prop, struct schema_type *out)
{
	switch (prop->type) {
	case PROP_BOOL:
		*out = schema_bool;
		return;
	case PROP_STR:
	case PROP_ID:
	case PROP_LINK:
	case PROP_ADDR:
		*out = schema_str;
		return;
	case PROP_WORD:
		*out = (struct schema_type) { .kind = SCHEMA_ENUM,
			                      .name = props_type_name(prop),
			                      .words = prop->words };
		return;
	case PROP_NODES:
		*out = (struct schema_type) { .kind = SCHEMA_ARRAY, .element = &schema_int };
		return;
	case PROP_SIZE:
	case PROP_COUNT:
	case PROP_UINT64:
	case PROP_UINT32:
	case PROP_OPT_SIZE:
	case PROP_OPT_NUMBER:
		break;
	}
	*out = schema_int;
}

static void add_props(struct walk *walk, const struct schema_type *type, struct json_object *members)
{
	const struct prop *prop;

	for (unsigned i = 0; (prop = props_at(type->props, i)); i++) {
		struct schema_type prop_type;
		char room[64];

		if (prop->hidden)
			continue;
		type_of_prop(prop, &prop_type);
		add_type(walk, &prop_type);
		add_to(members, new_member(prop->name, type_name(&prop_type, room), !prop->required));
	}
}

// ---- types

static void put_variants(struct walk *walk, struct json_object *info, const struct schema_type *type)
{
	struct json_object *variants = json_object_new_array();

	for (const struct schema_variant *v = type->variants; v->tag_value; v++) {
		struct json_object *variant = json_object_new_object();

		put_str(variant, "case", v->tag_value);
		put_str(variant, "type", v->type->name);
		add_to(variants, variant);
		add_type(walk, v->type);
	}
	put_str(info, "tag", type->tag);
	put(info, "variants", variants);
}

static void put_members(struct walk *walk, struct json_object *info, const struct schema_type *type)
{
	struct json_object *members = json_object_new_array();
	char room[64];

	for (const struct schema_member *m = type->members; m && m->name; m++) {
		add_to(members, new_member(m->name, type_name(m->type, room), m->optional));
		add_type(walk, m->type);
	}
	if (type->props)
		add_props(walk, type, members);
	put(info, "members", members);
	if (type->tag)
		put_variants(walk, info, type);
}

static void add_type(struct walk *walk, const struct schema_type *type)
{
	static const char *const meta_types[] = {
		[SCHEMA_BUILTIN] = "builtin",
		[SCHEMA_ENUM] = "enum",
		[SCHEMA_ARRAY] = "array",
		[SCHEMA_OBJECT] = "object",
	};
	struct json_object *info;
	char room[64];
	const char *name = type_name(type, room);

	if (json_object_object_get_ex(walk->seen, name, NULL))
		return;
	put(walk->seen, name, NULL);
	info = new_info(name, meta_types[type->kind]);
	add_to(walk->list, info);
	switch (type->kind) {
	case SCHEMA_BUILTIN:
		put_str(info, "json-type", type->json);
		break;
	case SCHEMA_ENUM:
		put_words(info, type->words);
		break;
	case SCHEMA_ARRAY:
		put_str(info, "element-type", type->element->name);
		add_type(walk, type->element);
		break;
	case SCHEMA_OBJECT:
		put_members(walk, info, type);
		break;
	}
}

static void put_type(struct walk *walk, struct json_object *info, const char *key, const struct schema_type *type)
{
	char room[64];

	put_str(info, key, type_name(type, room));
	add_type(walk, type);
}

static void add_commands(struct walk *walk)
{
	for (unsigned i = 0; i < command_count; i++) {
		const struct command *cmd = command_table[i];
		struct json_object *info = new_info(cmd->name, "command");

		add_to(walk->list, info);
		put_type(walk, info, "arg-type", cmd->args ? cmd->args : &schema_empty);
		put_type(walk, info, "ret-type", cmd->ret ? cmd->ret : &schema_empty);
	}
}

static void add_events(struct walk *walk)
{
	for (unsigned i = 0; i < event_count; i++) {
		struct json_object *info = new_info(event_table[i].name, "event");

		add_to(walk->list, info);
		put_type(walk, info, "arg-type", event_table[i].data ? event_table[i].data : &schema_empty);
	}
}

static struct json_object *query(const struct machine *m)
{
	struct walk walk = { .list = json_object_new_array(), .seen = json_object_new_object() };

	(void)m;
	if (walk.list && walk.seen) {
		add_commands(&walk);
		add_events(&walk);
	}
	json_object_put(walk.seen);
	return walk.list;
}

const struct command cmd_query_qmp_schema = { .name = "query-qmp-schema", .ret = &schema_infos_type, .query = query };
