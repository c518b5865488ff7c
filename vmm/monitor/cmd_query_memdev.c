// SPDX-License-Identifier: Apache-2.0
// query-memdev: the memory backends, and the guest's RAM.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "props.h"
#include "qom.h"
#include "schema_make.h"

#include <inttypes.h>

static ENUM_OF(policy_type, "HostMemPolicy", vpmem_policy_words);
static OBJECT(memdev_type, "Memdev", OPTIONAL("id", schema_str), MEMBER("size", schema_int),
              MEMBER("merge", schema_bool), MEMBER("dump", schema_bool), MEMBER("prealloc", schema_bool),
              MEMBER("share", schema_bool), OPTIONAL("reserve", schema_bool), MEMBER("host-nodes", schema_ints),
              MEMBER("policy", policy_type));
static ARRAY(memdevs_type, memdev_type);

static struct json_object *memdev_info(const char *id, uint64_t size, const struct prop_class *cls,
                                       const struct memdev_config *cfg)
{
	static const char *const names[] = { "share", "reserve", "prealloc", "host-nodes", "merge", "dump", "policy" };
	struct json_object *info = json_object_new_object();

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(info, names[i], prop_value(cls, props_find(cls, names[i]), cfg));
	put_uint(info, "size", size);
	put_str(info, "id", id);
	return info;
}

// RAM without a backend is not an object here, but QEMU lists it, and tools expect it.
static struct json_object *query(const struct machine *m)
{
	static const struct memdev_config ram = { .backing = { .reserve = true, .dump = true } };
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < m->nmemdevs; i++)
		add_to(list, memdev_info(m->memdevs[i]->obj.cfg->id, memdev_size(m->memdevs[i]),
		                         m->memdevs[i]->obj.cfg->type->props, m->memdevs[i]->cfg));
	if (!m->ram_memdev)
		add_to(list,
		       memdev_info("pc.ram", m->ram_low.size + m->ram_high.size, &memory_backend_ram_class, &ram));
	return list;
}

// "0,2-3"
static void print_ranges(struct json_object *nodes, struct hmp_out *out)
{
	size_t count = nodes ? json_object_array_length(nodes) : 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t first = json_object_get_uint64(json_object_array_get_idx(nodes, i)), last = first;

		hmp_printf(out, "%s%" PRIu64, i > 0 ? "," : "", first);
		while (i + 1 < count && json_object_get_uint64(json_object_array_get_idx(nodes, i + 1)) == last + 1) {
			last++;
			i++;
		}
		if (last > first)
			hmp_printf(out, "-%" PRIu64, last);
	}
}

static void print_flag(struct json_object *obj, const char *key, struct hmp_out *out)
{
	hmp_printf(out, "  %s: %s\n", key, get_bool(obj, key) ? "true" : "false");
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *memdev = json_object_array_get_idx(ret, i);

		hmp_printf(out, "memory backend: %s\n", get_str(memdev, "id"));
		hmp_printf(out, "  size:  %" PRIu64 "\n", get_uint(memdev, "size"));
		print_flag(memdev, "merge", out);
		print_flag(memdev, "dump", out);
		print_flag(memdev, "prealloc", out);
		print_flag(memdev, "share", out);
		if (get(memdev, "reserve"))
			print_flag(memdev, "reserve", out);
		hmp_printf(out, "  policy: %s\n  host nodes: ", get_str(memdev, "policy"));
		print_ranges(get(memdev, "host-nodes"), out);
		hmp_printf(out, "\n");
	}
	hmp_printf(out, "\n");
}

const struct command cmd_query_memdev = {
	.name = "query-memdev",
	.ret = &memdevs_type,
	.query = query,
	.hmp_name = "info memdev",
	.hmp_help = "show memory backends",
	.hmp_print = print,
};
