// SPDX-License-Identifier: Apache-2.0
// The words that Tab offers.
#include "hmp.h"

#include "hmp_edit.h"
#include "machine.h"
#include "props.h"

#include <ctype.h>
#include <string.h>

static void offer_commands(struct hmp_edit *edit, size_t off)
{
	for (unsigned i = 0; i < command_count; i++)
		if (hmp_is_listed(command_table[i]))
			hmp_edit_offer(edit, off, command_table[i]->hmp_name, " ");
	hmp_edit_offer(edit, off, "help", " ");
	hmp_edit_offer(edit, off, "info", " ");
}

static void offer_info(struct hmp_edit *edit, size_t off)
{
	for (unsigned i = 0; i < command_count; i++)
		if (hmp_info_name(command_table[i]))
			hmp_edit_offer(edit, off, hmp_info_name(command_table[i]), " ");
}

static void offer_devices(const struct machine *m, struct hmp_edit *edit, size_t off)
{
	for (unsigned i = 0; i < m->ndevices; i++)
		if (m->devices[i]->cfg->id)
			hmp_edit_offer(edit, off, m->devices[i]->cfg->id, " ");
}

// All, or those of a base type, as a link names them.
static void offer_objects(const struct machine *m, const char *base, struct hmp_edit *edit, size_t off, const char *end)
{
	for (unsigned i = 0; i < m->nobjects; i++) {
		const struct object_config *cfg = m->objects[i]->cfg;

		if (!base || object_type_is(cfg->type, base))
			hmp_edit_offer(edit, off, cfg->id, end);
	}
}

static void offer_props(const struct prop_class *cls, struct hmp_edit *edit, size_t off)
{
	const struct prop *prop;
	char name[64];

	for (unsigned i = 0; (prop = props_at(cls, i)); i++) {
		size_t len = strlen(prop->name);

		// Accepted for QEMU's sake, but without effect: not offered.
		if (prop->offset == PROP_NOWHERE || len + 2 > sizeof(name))
			continue;
		memcpy(name, prop->name, len);
		memcpy(name + len, "=", 2);
		hmp_edit_offer(edit, off, name, "");
	}
}

// The property whose value the cursor is in: "memdev=...". NULL: it is in a name.
static const struct prop *prop_of_value(const struct prop_class *cls, const char *text)
{
	size_t len = strcspn(text, "=");
	char name[64];

	if (!text[len] || len >= sizeof(name))
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	return props_find(cls, name);
}

// type,key=value,key=...: a key, or an object behind the name of a link.
static void offer_keys(const struct machine *m, const struct prop_class *cls, const char *text, size_t off,
                       struct hmp_edit *edit)
{
	const struct prop *prop = prop_of_value(cls, text + off);

	if (prop && prop->type == PROP_LINK && prop->link)
		offer_objects(m, prop->link, edit, off + strlen(prop->name) + 1, "");
	else
		offer_props(cls, edit, off);
}

// The table of "type,...", or NULL.
static const struct prop_class *class_of(enum hmp_complete what, const char *text)
{
	size_t len = strcspn(text, ",");
	const struct object_type *type = NULL;
	const struct device_model *model = NULL;
	char name[64];

	if (len >= sizeof(name))
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	if (what == COMPLETE_DRIVER)
		model = device_model_find(name);
	else
		type = object_type_find(name);
	return model ? model->props : type ? type->props : NULL;
}

static void offer_types(enum hmp_complete what, struct hmp_edit *edit, size_t off)
{
	if (what == COMPLETE_DRIVER)
		for (unsigned i = 0; device_model_at(i); i++)
			hmp_edit_offer(edit, off, device_model_at(i)->props->name, ",");
	else
		for (unsigned i = 0; object_type_at(i); i++)
			hmp_edit_offer(edit, off, object_type_at(i)->props->name, ",");
}

static void offer_option(const struct machine *m, enum hmp_complete what, const char *text, size_t off,
                         struct hmp_edit *edit)
{
	const char *comma = strrchr(text + off, ',');
	const struct prop_class *cls = class_of(what, text + off);

	if (!comma)
		offer_types(what, edit, off);
	else if (cls)
		offer_keys(m, cls, text, (size_t)(comma + 1 - text), edit);
}

static void offer_argument(const struct machine *m, const struct command *cmd, const char *text, size_t off,
                           struct hmp_edit *edit)
{
	switch (cmd->hmp_complete) {
	case COMPLETE_DEVICE:
		offer_devices(m, edit, off);
		break;
	case COMPLETE_OBJECT:
		offer_objects(m, NULL, edit, off, " ");
		break;
	case COMPLETE_DRIVER:
	case COMPLETE_OBJECT_TYPE:
		offer_option(m, cmd->hmp_complete, text, off, edit);
		break;
	case COMPLETE_NONE:
		break;
	}
}

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !strncmp(word, name, len);
}

void hmp_complete(const struct machine *m, const char *text, struct hmp_edit *edit)
{
	const char *begin = text, *word, *next, *rest = text;
	const struct command *cmd;
	size_t len;

	while (isspace((unsigned char)*begin))
		begin++;
	len = hmp_next_word(&rest, &word);
	if (!*rest) {
		offer_commands(edit, (size_t)(begin - text));
		return;
	}
	// "help info st" is completed as "info st", "help de" as "de".
	if (is(word, len, "help") || is(word, len, "?")) {
		size_t off = (size_t)(rest + strspn(rest, " \t") - text);

		next = rest;
		len = hmp_next_word(&next, &word);
		if (!*next) {
			offer_commands(edit, off);
			return;
		}
		rest = next;
		if (!is(word, len, "info"))
			return;
	}
	begin = rest + strspn(rest, " \t");
	// One argument is completed.
	if (strpbrk(begin, " \t"))
		return;
	if (is(word, len, "info")) {
		offer_info(edit, (size_t)(begin - text));
		return;
	}
	cmd = hmp_find(word, len);
	if (cmd)
		offer_argument(m, cmd, text, (size_t)(begin - text), edit);
}
