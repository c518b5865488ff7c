// SPDX-License-Identifier: Apache-2.0
// Queries about the machine: version, status, processors, memory.
#include "commands.h"

#include "json_make.h"
#include "machine.h"
#include "machine_query.h"
#include "props.h"
#include "qom.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * Tools choose by the number what they may ask, so it is the QEMU release whose behaviour we follow; what
 * this program is, the package says.
 */
int cmd_query_version(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                      struct vpmem_error *err)
{
	struct json_object *version = json_object_new_object(), *qemu = json_object_new_object();

	(void)ctx, (void)args;
	put_int(qemu, "micro", 0);
	put_int(qemu, "minor", 2);
	put_int(qemu, "major", 8);
	put(version, "qemu", qemu);
	put_str(version, "package", "pmvm " VPMEM_VERSION);
	return command_give(version, ret, err);
}

int cmd_query_status(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	struct json_object *status = json_object_new_object();

	(void)args;
	put_str(status, "status", run_state_name(ctx->machine->run_state));
	put_bool(status, "running", ctx->machine->run_state == RUN_STATE_RUNNING);
	return command_give(status, ret, err);
}

int cmd_query_name(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	struct json_object *name = json_object_new_object();

	(void)args;
	if (ctx->machine->opts->name)
		put_str(name, "name", ctx->machine->opts->name);
	return command_give(name, ret, err);
}

int cmd_query_uuid(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                   struct vpmem_error *err)
{
	const char *uuid = ctx->machine->opts->uuid;
	struct json_object *info = json_object_new_object();

	(void)args;
	put_str(info, "UUID", uuid ? uuid : "00000000-0000-0000-0000-000000000000");
	return command_give(info, ret, err);
}

int cmd_query_kvm(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                  struct vpmem_error *err)
{
	struct json_object *kvm = json_object_new_object();

	(void)ctx, (void)args;
	put_bool(kvm, "enabled", true);
	put_bool(kvm, "present", true);
	return command_give(kvm, ret, err);
}

// One socket with a core for each vCPU: cpu_cpuid.c.
static struct json_object *cpu_info(const struct vcpu *vcpu)
{
	struct json_object *cpu = json_object_new_object(), *props = json_object_new_object();
	char path[64];

	snprintf(path, sizeof(path), "/machine/unattached/device[%u]", vcpu->idx);
	put_int(cpu, "thread-id", vcpu->tid);
	put_int(props, "core-id", vcpu->idx);
	put_int(props, "thread-id", 0);
	put_int(props, "socket-id", 0);
	put(cpu, "props", props);
	put_str(cpu, "qom-path", path);
	put_str(cpu, "target", "x86_64");
	put_int(cpu, "cpu-index", vcpu->idx);
	return cpu;
}

int cmd_query_cpus_fast(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                        struct vpmem_error *err)
{
	struct json_object *list = json_object_new_array();

	(void)args;
	for (unsigned i = 0; i < ctx->machine->vcpus.n; i++)
		add_to(list, cpu_info(&ctx->machine->vcpus.vcpu[i]));
	return command_give(list, ret, err);
}

// ---- memory

unsigned machine_list_pmems(const struct machine *m, struct pmem *out[PMEMS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->npmems; i++)
		if (m->pmems[i]->unplug != UNPLUG_EJECTED)
			out[n++] = m->pmems[i];
	return n;
}

struct json_object *memdev_path(const struct memdev *memdev)
{
	struct json_object *path = NULL;
	char *text;

	if (asprintf(&text, "/objects/%s", memdev->cfg.id) < 0)
		return NULL;
	path = json_object_new_string(text);
	free(text);
	return path;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = virtio_pci_pmem_gpa((*(struct pmem *const *)a)->vp);
	uint64_t y = virtio_pci_pmem_gpa((*(struct pmem *const *)b)->vp);

	return (x > y) - (x < y);
}

static struct json_object *memory_device(const struct pmem *pmem)
{
	struct json_object *info = json_object_new_object(), *data = json_object_new_object();

	put(data, "memdev", memdev_path(pmem->memdev));
	put_uint(data, "memaddr", virtio_pci_pmem_gpa(pmem->vp));
	put_uint(data, "size", vpmem_backing_size(pmem->memdev->backing));
	if (pmem->cfg.id)
		put_str(data, "id", pmem->cfg.id);
	put_str(info, "type", "virtio-pmem");
	put(info, "data", data);
	return info;
}

int cmd_query_memory_devices(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                             struct vpmem_error *err)
{
	struct json_object *list = json_object_new_array();
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(ctx->machine, pmems);

	(void)args;
	qsort(pmems, n, sizeof(pmems[0]), by_address);
	for (unsigned i = 0; i < n; i++)
		add_to(list, memory_device(pmems[i]));
	return command_give(list, ret, err);
}

static struct json_object *memdev_info(const char *id, uint64_t size, const struct memdev_config *cfg)
{
	static const char *const names[] = { "share", "reserve", "prealloc", "host-nodes", "merge", "dump", "policy" };
	const struct prop_class *cls = &memory_backend_file_class;
	struct json_object *info = json_object_new_object();

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(info, names[i], prop_value(cls, props_find(cls, names[i]), cfg));
	put_uint(info, "size", size);
	put_str(info, "id", id);
	return info;
}

// The guest's RAM is no object here, but QEMU lists it, and tools look for it.
int cmd_query_memdev(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	static const struct memdev_config ram = { .backing = { .reserve = true, .dump = true } };
	const struct machine *m = ctx->machine;
	struct json_object *list = json_object_new_array();

	(void)args;
	for (unsigned i = 0; i < m->nmemdevs; i++)
		add_to(list, memdev_info(m->memdevs[i]->cfg.id, vpmem_backing_size(m->memdevs[i]->backing),
		                         &m->memdevs[i]->cfg));
	add_to(list, memdev_info("pc.ram", m->ram_low.size + m->ram_high.size, &ram));
	return command_give(list, ret, err);
}

int cmd_query_memory_size_summary(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                                  struct vpmem_error *err)
{
	struct json_object *info = json_object_new_object();
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(ctx->machine, pmems);
	uint64_t plugged = 0;

	(void)args;
	for (unsigned i = 0; i < n; i++)
		plugged += vpmem_backing_size(pmems[i]->memdev->backing);
	put_uint(info, "base-memory", ctx->machine->ram_low.size + ctx->machine->ram_high.size);
	put_uint(info, "plugged-memory", plugged);
	return command_give(info, ret, err);
}
