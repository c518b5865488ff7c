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
	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->cfg.id)
			hmp_edit_offer(edit, off, m->pmems[i]->cfg.id, " ");
}

static void offer_objects(const struct machine *m, struct hmp_edit *edit, size_t off, const char *end)
{
	for (unsigned i = 0; i < m->nmemdevs; i++)
		hmp_edit_offer(edit, off, m->memdevs[i]->cfg.id, end);
}

static void offer_props(const struct prop_class *cls, struct hmp_edit *edit, size_t off)
{
	char name[64];

	for (unsigned i = 0; i < cls->nprops; i++) {
		const struct prop *prop = &cls->props[i];
		size_t len = strlen(prop->name);

		// Accepted for QEMU's sake, but without effect: not offered.
		if (prop->offset == PROP_NOWHERE || len + 2 > sizeof(name))
			continue;
		memcpy(name, prop->name, len);
		memcpy(name + len, "=", 2);
		hmp_edit_offer(edit, off, name, "");
	}
}

// type,key=value,key=...: the type, a key, or an object behind memdev=.
static void offer_option(const struct machine *m, const struct prop_class *cls, const char *text, size_t off,
                         struct hmp_edit *edit)
{
	const char *comma = strrchr(text + off, ',');
	size_t part = comma ? (size_t)(comma + 1 - text) : off;

	if (!comma)
		hmp_edit_offer(edit, off, cls->name, ",");
	else if (!strncmp(text + part, "memdev=", 7))
		offer_objects(m, edit, part + 7, "");
	else
		offer_props(cls, edit, part);
}

static void offer_argument(const struct machine *m, const struct command *cmd, const char *text, size_t off,
                           struct hmp_edit *edit)
{
	switch (cmd->hmp_complete) {
	case COMPLETE_DEVICE:
		offer_devices(m, edit, off);
		break;
	case COMPLETE_OBJECT:
		offer_objects(m, edit, off, " ");
		break;
	case COMPLETE_DRIVER:
		offer_option(m, &virtio_pmem_pci_class, text, off, edit);
		break;
	case COMPLETE_OBJECT_TYPE:
		offer_option(m, &memory_backend_file_class, text, off, edit);
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
