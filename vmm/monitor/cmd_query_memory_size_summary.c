// SPDX-License-Identifier: Apache-2.0
// query-memory-size-summary: the guest's RAM, and the pmem devices that were added.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine_query.h"
#include "schema_make.h"

#include <inttypes.h>

static OBJECT(memory_type, "MemoryInfo", MEMBER("base-memory", schema_int), OPTIONAL("plugged-memory", schema_int));

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object();
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(m, pmems);
	uint64_t plugged = 0;

	for (unsigned i = 0; i < n; i++)
		plugged += vpmem_backing_size(pmems[i]->memdev->backing);
	put_uint(info, "base-memory", m->ram_low.size + m->ram_high.size);
	put_uint(info, "plugged-memory", plugged);
	return info;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "base memory: %" PRIu64 "\n", get_uint(ret, "base-memory"));
	if (get(ret, "plugged-memory"))
		hmp_printf(out, "plugged memory: %" PRIu64 "\n", get_uint(ret, "plugged-memory"));
}

const struct command cmd_query_memory_size_summary = {
	.name = "query-memory-size-summary",
	.ret = &memory_type,
	.query = query,
	.hmp_name = "info memory_size_summary",
	.hmp_help = "show the amount of initially allocated and present hotpluggable (if enabled) memory "
		    "in bytes",
	.hmp_print = print,
};
