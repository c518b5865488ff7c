// SPDX-License-Identifier: Apache-2.0
// query-cpus-fast: the vCPUs, their threads, and, which QEMU does not have, two counts of exits.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"

#include <inttypes.h>
#include <stdio.h>

static ENUM(target_type, "SysEmuTarget", "x86_64");
static OBJECT(props_type, "CpuInstanceProperties", OPTIONAL("socket-id", schema_int), OPTIONAL("die-id", schema_int),
              OPTIONAL("core-id", schema_int), OPTIONAL("thread-id", schema_int));
static OBJECT(cpu_type, "CpuInfoFast", MEMBER("cpu-index", schema_int), MEMBER("qom-path", schema_str),
              MEMBER("thread-id", schema_int), OPTIONAL("props", props_type), MEMBER("target", target_type),
              MEMBER("bus-locks", schema_int), MEMBER("notify-exits", schema_int));
static ARRAY(cpus_type, cpu_type);

// One socket with a core for each vCPU: cpu_cpuid.c.
static struct json_object *cpu_info(const struct vcpu *vcpu)
{
	struct json_object *cpu = json_object_new_object(), *props = json_object_new_object();
	char path[64];

	snprintf(path, sizeof(path), "/machine/unattached/device[%u]", vcpu->idx);
	put_int(cpu, "thread-id", vcpu->thread.tid);
	put_int(props, "core-id", vcpu->idx);
	put_int(props, "thread-id", 0);
	put_int(props, "socket-id", 0);
	put(cpu, "props", props);
	put_str(cpu, "qom-path", path);
	put_str(cpu, "target", "x86_64");
	put_int(cpu, "cpu-index", vcpu->idx);
	put_uint(cpu, "bus-locks", vcpu->nbus_locks);
	put_uint(cpu, "notify-exits", vcpu->nnotify);
	return cpu;
}

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < m->vcpus.n; i++)
		add_to(list, cpu_info(&m->vcpus.vcpu[i]));
	return list;
}

// They stay 0 with an ordinary guest: then the line is QEMU's.
static void print_count(struct json_object *cpu, const char *name, const char *label, struct hmp_out *out)
{
	if (get_uint(cpu, name) > 0)
		hmp_printf(out, " %s=%" PRIu64, label, get_uint(cpu, name));
}

// The star is QEMU's mark of the processor that its register commands show: the first.
static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *cpu = json_object_array_get_idx(ret, i);

		hmp_printf(out, "%c CPU #%" PRIu64 ": thread_id=%" PRIu64, i == 0 ? '*' : ' ',
		           get_uint(cpu, "cpu-index"), get_uint(cpu, "thread-id"));
		print_count(cpu, "bus-locks", "bus_locks", out);
		print_count(cpu, "notify-exits", "notify_exits", out);
		hmp_printf(out, "\n");
	}
}

const struct command cmd_query_cpus_fast = {
	.name = "query-cpus-fast",
	.ret = &cpus_type,
	.query = query,
	.hmp_name = "info cpus",
	.hmp_help = "show infos for each CPU",
	.hmp_print = print,
};
