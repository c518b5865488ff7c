// SPDX-License-Identifier: Apache-2.0
// The types of our QMP commands and events: QEMU's where the command is QEMU's, with the same members.
#include "schema.h"

#include "config.h"

#define BUILTIN(var, type_name, json_type) \
	const struct schema_type var = { .kind = SCHEMA_BUILTIN, .name = type_name, .json = json_type }
#define ENUM(var, type_name, ...)                                    \
	static const struct schema_type var = { .kind = SCHEMA_ENUM, \
		                                .name = type_name,   \
		                                .words = (const char *const[]) { __VA_ARGS__, NULL } }
#define ARRAY(var, of) const struct schema_type var = { .kind = SCHEMA_ARRAY, .element = &of }
#define MEMBERS(...)                              \
	.members = (const struct schema_member[]) \
	{                                         \
		__VA_ARGS__,                      \
		{                                 \
			0                         \
		}                                 \
	}
#define OBJECT(var, type_name, ...) \
	const struct schema_type var = { .kind = SCHEMA_OBJECT, .name = type_name, MEMBERS(__VA_ARGS__) }
#define VARIANTS(...)                               \
	.variants = (const struct schema_variant[]) \
	{                                           \
		__VA_ARGS__,                        \
		{                                   \
			0                           \
		}                                   \
	}
#define MEMBER(member, of)                  \
	{                                   \
		.name = member, .type = &of \
	}
#define OPTIONAL(member, of)                                  \
	{                                                     \
		.name = member, .type = &of, .optional = true \
	}

BUILTIN(schema_str, "str", "string");
BUILTIN(schema_any, "any", "value");
static BUILTIN(integer, "int", "int");
static BUILTIN(boolean, "bool", "boolean");
static ARRAY(strings, schema_str);
static ARRAY(integers, integer);

const struct schema_type schema_empty = { .kind = SCHEMA_OBJECT, .name = "Empty" };

// ---- arguments

ENUM(capability, "QMPCapability", "oob");
static ARRAY(capabilities, capability);
OBJECT(schema_capabilities_arg, "qmp_capabilities-arg", OPTIONAL("enable", capabilities));

OBJECT(schema_monitor_command_arg, "human-monitor-command-arg", MEMBER("command-line", schema_str),
       OPTIONAL("cpu-index", integer));

OBJECT(schema_id_arg, "id-arg", MEMBER("id", schema_str));
OBJECT(schema_typename_arg, "typename-arg", MEMBER("typename", schema_str));
OBJECT(schema_path_arg, "path-arg", MEMBER("path", schema_str));
OBJECT(schema_qom_get_arg, "qom-get-arg", MEMBER("path", schema_str), MEMBER("property", schema_str));

ENUM(object_type, "ObjectType", "memory-backend-file");
static const struct schema_type backend_file = {
	.kind = SCHEMA_OBJECT,
	.name = "MemoryBackendFileProperties",
	.props = &memory_backend_file_class,
	.required = "mem-path",
};
const struct schema_type schema_object_add_arg = {
	.kind = SCHEMA_OBJECT,
	.name = "ObjectOptions",
	MEMBERS(MEMBER("qom-type", object_type), MEMBER("id", schema_str)),
	.tag = "qom-type",
	VARIANTS({ "memory-backend-file", &backend_file }),
};

// As in QEMU, the schema does not say which properties a driver has: device-list-properties does.
const struct schema_type schema_device_add_arg = {
	.kind = SCHEMA_OBJECT,
	.name = "device_add-arg",
	MEMBERS(MEMBER("driver", schema_str), OPTIONAL("bus", schema_str), OPTIONAL("id", schema_str)),
	.open = true,
};

// ---- the machine

static OBJECT(version_triple, "VersionTriple", MEMBER("major", integer), MEMBER("minor", integer),
              MEMBER("micro", integer));
OBJECT(schema_version, "VersionInfo", MEMBER("qemu", version_triple), MEMBER("package", schema_str));

ENUM(run_state, "RunState", "prelaunch", "running", "paused", "io-error", "shutdown");
OBJECT(schema_status, "StatusInfo", MEMBER("running", boolean), MEMBER("status", run_state));

OBJECT(schema_name, "NameInfo", OPTIONAL("name", schema_str));
OBJECT(schema_uuid, "UuidInfo", MEMBER("UUID", schema_str));
OBJECT(schema_kvm, "KvmInfo", MEMBER("enabled", boolean), MEMBER("present", boolean));

ENUM(target, "SysEmuTarget", "x86_64");
static OBJECT(cpu_props, "CpuInstanceProperties", OPTIONAL("socket-id", integer), OPTIONAL("die-id", integer),
              OPTIONAL("core-id", integer), OPTIONAL("thread-id", integer));
static OBJECT(cpu, "CpuInfoFast", MEMBER("cpu-index", integer), MEMBER("qom-path", schema_str),
              MEMBER("thread-id", integer), OPTIONAL("props", cpu_props), MEMBER("target", target));
ARRAY(schema_cpus, cpu);

// ---- PCI

static OBJECT(pci_region, "PciMemoryRegion", MEMBER("bar", integer), MEMBER("type", schema_str),
              MEMBER("address", integer), MEMBER("size", integer), OPTIONAL("prefetch", boolean),
              OPTIONAL("mem_type_64", boolean));
static OBJECT(pci_class, "PciDeviceClass", OPTIONAL("desc", schema_str), MEMBER("class", integer));
static OBJECT(pci_id, "PciDeviceId", MEMBER("device", integer), MEMBER("vendor", integer),
              OPTIONAL("subsystem", integer), OPTIONAL("subsystem-vendor", integer));
static ARRAY(pci_regions, pci_region);
static OBJECT(pci_device, "PciDeviceInfo", MEMBER("bus", integer), MEMBER("slot", integer), MEMBER("function", integer),
              MEMBER("class_info", pci_class), MEMBER("id", pci_id), OPTIONAL("irq", integer),
              MEMBER("irq_pin", integer), MEMBER("qdev_id", schema_str), MEMBER("regions", pci_regions));
static ARRAY(pci_devices, pci_device);
static OBJECT(pci_bus, "PciInfo", MEMBER("bus", integer), MEMBER("devices", pci_devices));
ARRAY(schema_pci, pci_bus);

// ---- memory

static OBJECT(virtio_pmem, "VirtioPMEMDeviceInfo", OPTIONAL("id", schema_str), MEMBER("memaddr", integer),
              MEMBER("size", integer), MEMBER("memdev", schema_str));
static OBJECT(virtio_pmem_wrapper, "VirtioPMEMDeviceInfoWrapper", MEMBER("data", virtio_pmem));
ENUM(memory_device_kind, "MemoryDeviceInfoKind", "virtio-pmem");
static const struct schema_type memory_device = {
	.kind = SCHEMA_OBJECT,
	.name = "MemoryDeviceInfo",
	MEMBERS(MEMBER("type", memory_device_kind)),
	.tag = "type",
	VARIANTS({ "virtio-pmem", &virtio_pmem_wrapper }),
};
ARRAY(schema_memory_devices, memory_device);

static const struct schema_type policy = { .kind = SCHEMA_ENUM, .name = "HostMemPolicy", .words = policy_words };
static OBJECT(memdev, "Memdev", OPTIONAL("id", schema_str), MEMBER("size", integer), MEMBER("merge", boolean),
              MEMBER("dump", boolean), MEMBER("prealloc", boolean), MEMBER("share", boolean),
              OPTIONAL("reserve", boolean), MEMBER("host-nodes", integers), MEMBER("policy", policy));
ARRAY(schema_memdevs, memdev);

OBJECT(schema_memory_size, "MemoryInfo", MEMBER("base-memory", integer), OPTIONAL("plugged-memory", integer));

// ---- pmem: ours, see cmd_pmem.c for what the members mean

static OBJECT(pmem_flushes, "PmemFlushInfo", MEMBER("requested", integer), MEMBER("completed", integer),
              MEMBER("failed", integer));
static OBJECT(pmem_bucket, "PmemSyncBucket", OPTIONAL("below-ns", integer), MEMBER("count", integer));
static ARRAY(pmem_buckets, pmem_bucket);
static OBJECT(pmem_syncs, "PmemSyncInfo", MEMBER("count", integer), MEMBER("errors", integer),
              OPTIONAL("in-flight-ns", integer), MEMBER("total-ns", integer), MEMBER("max-ns", integer),
              MEMBER("histogram", pmem_buckets));
static OBJECT(pmem_error, "PmemError", MEMBER("errno", integer), MEMBER("message", schema_str),
              MEMBER("time", integer));
ENUM(pmem_state, "PmemState", "ok", "no-space", "failed");
static const struct schema_type werror = { .kind = SCHEMA_ENUM, .name = "PmemWerror", .words = werror_words };
static OBJECT(pmem, "PmemInfo", OPTIONAL("id", schema_str), MEMBER("memdev", schema_str),
              MEMBER("mem-path", schema_str), MEMBER("memaddr", integer), MEMBER("size", integer),
              OPTIONAL("resident", integer), OPTIONAL("allocated", integer), MEMBER("share", boolean),
              MEMBER("readonly", boolean), MEMBER("flushes", pmem_flushes), MEMBER("syncs", pmem_syncs),
              MEMBER("interrupts", integer), MEMBER("refused-stores", integer), MEMBER("werror", werror),
              MEMBER("state", pmem_state), OPTIONAL("error", pmem_error));
ARRAY(schema_pmems, pmem);

// ---- commands, events, properties

static OBJECT(command_info, "CommandInfo", MEMBER("name", schema_str));
ARRAY(schema_commands, command_info);
static OBJECT(event_info, "EventInfo", MEMBER("name", schema_str));
ARRAY(schema_events, event_info);

static OBJECT(property, "ObjectPropertyInfo", MEMBER("name", schema_str), MEMBER("type", schema_str),
              OPTIONAL("description", schema_str), OPTIONAL("default-value", schema_any));
ARRAY(schema_properties, property);

ENUM(cause, "ShutdownCause", "guest-reset", "guest-shutdown", "host-signal", "host-qmp-quit", "host-qmp-system-reset",
     "host-error");
OBJECT(schema_shutdown_event, "ShutdownEvent", MEMBER("guest", boolean), MEMBER("reason", cause));
OBJECT(schema_pmem_event, "PmemEvent", OPTIONAL("id", schema_str), OPTIONAL("path", schema_str),
       OPTIONAL("file", schema_str), MEMBER("errno", integer), MEMBER("message", schema_str));
OBJECT(schema_device_event, "DeviceEvent", OPTIONAL("device", schema_str), MEMBER("path", schema_str));

// ---- the schema itself

ENUM(meta_type, "SchemaMetaType", "builtin", "enum", "array", "object", "command", "event");
ENUM(json_type, "JSONType", "string", "number", "int", "boolean", "null", "object", "array", "value");
static OBJECT(info_builtin, "SchemaInfoBuiltin", MEMBER("json-type", json_type));
static OBJECT(info_enum_member, "SchemaInfoEnumMember", MEMBER("name", schema_str));
static ARRAY(info_enum_members, info_enum_member);
static OBJECT(info_enum, "SchemaInfoEnum", MEMBER("members", info_enum_members), MEMBER("values", strings));
static OBJECT(info_array, "SchemaInfoArray", MEMBER("element-type", schema_str));
static OBJECT(info_member, "SchemaInfoObjectMember", MEMBER("name", schema_str), MEMBER("type", schema_str),
              OPTIONAL("default", schema_any));
static ARRAY(info_members, info_member);
static OBJECT(info_variant, "SchemaInfoObjectVariant", MEMBER("case", schema_str), MEMBER("type", schema_str));
static ARRAY(info_variants, info_variant);
static OBJECT(info_object, "SchemaInfoObject", MEMBER("members", info_members), OPTIONAL("tag", schema_str),
              OPTIONAL("variants", info_variants));
static OBJECT(info_command, "SchemaInfoCommand", MEMBER("arg-type", schema_str), MEMBER("ret-type", schema_str));
static OBJECT(info_event, "SchemaInfoEvent", MEMBER("arg-type", schema_str));
static const struct schema_type info = {
	.kind = SCHEMA_OBJECT,
	.name = "SchemaInfo",
	MEMBERS(MEMBER("name", schema_str), MEMBER("meta-type", meta_type)),
	.tag = "meta-type",
	VARIANTS({ "builtin", &info_builtin }, { "enum", &info_enum }, { "array", &info_array },
	         { "object", &info_object }, { "command", &info_command }, { "event", &info_event }),
};
ARRAY(schema_schema, info);
