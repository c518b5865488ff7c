// SPDX-License-Identifier: Apache-2.0
// query-accelerators: QEMU's newer form of query-kvm. KVM is the only accelerator of pmvm.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "schema_make.h"

#include <string.h>

static ENUM(accelerator_type, "Accelerator", "kvm");
static ARRAY(accelerators_type, accelerator_type);
static OBJECT(info_type, "AcceleratorInfo", MEMBER("enabled", accelerator_type), MEMBER("present", accelerators_type));

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object(), *present = json_object_new_array();

	(void)m;
	add_to(present, json_object_new_string("kvm"));
	put_str(info, "enabled", "kvm");
	put(info, "present", present);
	return info;
}

// "kvm [tcg]": the one in brackets is enabled.
static void print(struct json_object *ret, struct hmp_out *out)
{
	struct json_object *present = get(ret, "present");

	for (size_t i = 0; i < json_object_array_length(present); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(present, i));
		bool enabled = strcmp(name, get_str(ret, "enabled")) == 0;

		hmp_printf(out, "%s%s%s%s", i > 0 ? " " : "", enabled ? "[" : "", name, enabled ? "]" : "");
	}
	hmp_printf(out, "\n");
}

const struct command cmd_query_accelerators = {
	.name = "query-accelerators",
	.ret = &info_type,
	.query = query,
	.hmp_name = "info accelerators",
	.hmp_help = "show present and enabled accelerators",
	.hmp_print = print,
};
