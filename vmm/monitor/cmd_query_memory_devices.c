// SPDX-License-Identifier: Apache-2.0
// query-memory-devices: the pmem devices as QEMU lists memory devices, by address.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine_query.h"
#include "schema_make.h"
#include "virtio_pmem.h"

#include <inttypes.h>
#include <stdlib.h>

static OBJECT(pmem_type, "VirtioPMEMDeviceInfo", OPTIONAL("id", schema_str), MEMBER("memaddr", schema_int),
              MEMBER("size", schema_int), MEMBER("memdev", schema_str));
static OBJECT(wrapper_type, "VirtioPMEMDeviceInfoWrapper", MEMBER("data", pmem_type));
static ENUM(kind_type, "MemoryDeviceInfoKind", "virtio-pmem");
static const struct schema_type device_type = {
	.kind = SCHEMA_OBJECT,
	.name = "MemoryDeviceInfo",
	MEMBERS(MEMBER("type", kind_type)),
	.tag = "type",
	VARIANTS({ "virtio-pmem", &wrapper_type }),
};
static ARRAY(devices_type, device_type);

static int by_address(const void *a, const void *b)
{
	uint64_t x = virtio_pmem_gpa((*(struct pmem *const *)a)->dev.vp);
	uint64_t y = virtio_pmem_gpa((*(struct pmem *const *)b)->dev.vp);

	return (x > y) - (x < y);
}

static struct json_object *memory_device(const struct pmem *pmem)
{
	struct json_object *info = json_object_new_object(), *data = json_object_new_object();

	put(data, "memdev", memdev_path(pmem->memdev));
	put_uint(data, "memaddr", virtio_pmem_gpa(pmem->dev.vp));
	put_uint(data, "size", vpmem_backing_size(pmem->memdev->backing));
	if (pmem->dev.cfg->id)
		put_str(data, "id", pmem->dev.cfg->id);
	put_str(info, "type", "virtio-pmem");
	put(info, "data", data);
	return info;
}

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();
	struct pmem *pmems[PMEMS_MAX];
	unsigned n = machine_list_pmems(m, pmems);

	qsort(pmems, n, sizeof(pmems[0]), by_address);
	for (unsigned i = 0; i < n; i++)
		add_to(list, memory_device(pmems[i]));
	return list;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *dev = json_object_array_get_idx(ret, i), *data = get(dev, "data");

		hmp_printf(out, "Memory device [%s]: \"%s\"\n", get_str(dev, "type"), get_str(data, "id"));
		hmp_printf(out, "  memaddr: 0x%" PRIx64 "\n", get_uint(data, "memaddr"));
		hmp_printf(out, "  size: %" PRIu64 "\n", get_uint(data, "size"));
		hmp_printf(out, "  memdev: %s\n", get_str(data, "memdev"));
	}
}

const struct command cmd_query_memory_devices = {
	.name = "query-memory-devices",
	.ret = &devices_type,
	.query = query,
	.hmp_name = "info memory-devices",
	.hmp_help = "show memory devices",
	.hmp_print = print,
};
