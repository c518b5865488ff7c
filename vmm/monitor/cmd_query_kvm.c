// SPDX-License-Identifier: Apache-2.0
// query-kvm: KVM is the only accelerator of pmvm.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "schema_make.h"

static OBJECT(kvm_type, "KvmInfo", MEMBER("enabled", schema_bool), MEMBER("present", schema_bool));

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object();

	(void)m;
	put_bool(info, "enabled", true);
	put_bool(info, "present", true);
	return info;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	if (get_bool(ret, "present"))
		hmp_printf(out, "kvm support: %s\n", get_bool(ret, "enabled") ? "enabled" : "disabled");
	else
		hmp_printf(out, "kvm support: not compiled\n");
}

const struct command cmd_query_kvm = {
	.name = "query-kvm",
	.ret = &kvm_type,
	.query = query,
	.hmp_name = "info kvm",
	.hmp_help = "show KVM information",
	.hmp_print = print,
};
