// SPDX-License-Identifier: Apache-2.0
// The properties of memory-backend-file and virtio-pmem-pci.
#include "config.h"
#include "props.h"

#include <assert.h>

// PROP_WORD writes an unsigned into these.
static_assert(sizeof(enum vpmem_rom) == sizeof(unsigned), "rom");
static_assert(sizeof(enum vpmem_policy) == sizeof(unsigned), "policy");
static_assert(sizeof(enum vpmem_writeback) == sizeof(unsigned), "writeback");

static const char *const rom_words[] = {
	[VPMEM_ROM_AUTO] = "auto", [VPMEM_ROM_ON] = "on", [VPMEM_ROM_OFF] = "off", NULL
};
static const char *const writeback_words[] = {
	[VPMEM_WRITEBACK_AUTO] = "auto", [VPMEM_WRITEBACK_HOST] = "host",
	[VPMEM_WRITEBACK_GUEST] = "guest", NULL
};
static const char *const policy_words[] = {
	[VPMEM_POLICY_DEFAULT] = "default", [VPMEM_POLICY_PREFERRED] = "preferred",
	[VPMEM_POLICY_BIND] = "bind", [VPMEM_POLICY_INTERLEAVE] = "interleave", NULL
};

#define BACKING(field) offsetof(struct memdev_config, backing.field)

static const struct prop memory_backend_file_props[] = {
	{ .name = "align", .type = PROP_SIZE, .offset = BACKING(align), .def = "0",
	  .help = "Alignment of the mapping, a power of two; 0: chosen" },
	{ .name = "discard-data", .type = PROP_BOOL, .offset = BACKING(discard_data), .def = "off",
	  .help = "Throw the contents of the file away when the VM ends" },
	{ .name = "dump", .type = PROP_BOOL, .offset = BACKING(dump), .def = "on",
	  .help = "Set to 'off' to exclude from core dump" },
	{ .name = "host-nodes", .type = PROP_NODES, .offset = BACKING(host_nodes),
	  .help = "NUMA nodes of the host to bind to: N or N-M" },
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct memdev_config, id), .hidden = true },
	{ .name = "mem-path", .type = PROP_STR, .type_name = "string",
	  .offset = offsetof(struct memdev_config, mem_path),
	  .help = "File, block device, or directory for a scratch file" },
	{ .name = "merge", .type = PROP_BOOL, .offset = BACKING(merge), .def = "on",
	  .help = "Mark memory as mergeable" },
	{ .name = "offset", .type = PROP_SIZE, .offset = BACKING(offset), .def = "0",
	  .help = "Where in the file the memory begins (ex: 1G)" },
	{ .name = "pmem-writeback", .type = PROP_WORD, .type_name = "PmemWriteback",
	  .offset = BACKING(writeback), .words = writeback_words, .def = "auto",
	  .help = "With pmem=on, who writes back CPU caches for a flush: auto, host (fdatasync), guest" },
	{ .name = "pmem", .type = PROP_BOOL, .offset = BACKING(pmem), .def = "off",
	  .help = "The file lies on persistent memory of the host (DAX): map it with MAP_SYNC" },
	{ .name = "policy", .type = PROP_WORD, .type_name = "HostMemPolicy", .offset = BACKING(policy),
	  .words = policy_words, .def = "default",
	  .help = "NUMA policy: default, preferred, bind, interleave" },
	{ .name = "prealloc-context", .type = PROP_LINK, .type_name = "link<thread-context>",
	  .offset = PROP_NOWHERE, .only = "",
	  .why = "there are no thread-context objects here: leave it out" },
	{ .name = "prealloc-threads", .type = PROP_COUNT, .offset = PROP_NOWHERE, .def = "1",
	  .not_zero = true, .help = "Accepted; blocks are reserved without threads" },
	{ .name = "prealloc", .type = PROP_BOOL, .offset = BACKING(prealloc), .def = "off",
	  .help = "Reserve the file's blocks before the guest starts" },
	{ .name = "qom-type", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "readonly", .type = PROP_BOOL, .offset = BACKING(readonly), .def = "off",
	  .help = "Open the file read-only" },
	{ .name = "reserve", .type = PROP_BOOL, .offset = BACKING(reserve), .def = "on",
	  .help = "Reserve swap space if applicable" },
	{ .name = "rom", .type = PROP_WORD, .type_name = "OnOffAuto", .offset = BACKING(rom),
	  .words = rom_words, .def = "auto",
	  .help = "Map without write permission; auto: as readonly" },
	{ .name = "share", .type = PROP_BOOL, .offset = BACKING(share), .def = "off",
	  .help = "Stores go to the file; off: copy-on-write" },
	{ .name = "size", .type = PROP_SIZE, .offset = BACKING(size), .not_zero = true,
	  .help = "Size of the memory region (ex: 500M); left out: of the file" },
	{ .name = "x-use-canonical-path-for-ramblock-id", .type = PROP_BOOL, .offset = PROP_NOWHERE,
	  .help = "Accepted, does nothing here" },
};

const struct prop_class memory_backend_file_class = {
	.name = "memory-backend-file",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = memory_backend_file_props,
	.nprops = sizeof(memory_backend_file_props) / sizeof(memory_backend_file_props[0]),
};

static const char *const werror_words[] = { [WERROR_REPORT] = "report", [WERROR_STOP] = "stop", NULL };
static const char *const on_off_auto[] = { "auto", "on", "off", NULL };

#define PMEM(field) offsetof(struct pmem_config, field)
#define LEAVE_OUT(what) what ": leave it out"
// A switch of QEMU's virtio or PCI layer that has one position here.
#define FIXED(prop_name, value, reason) \
	{ .name = prop_name, .type = PROP_BOOL, .offset = PROP_NOWHERE, .def = value, .only = value, \
	  .why = reason }

static const struct prop virtio_pmem_pci_props[] = {
	{ .name = "acpi-index", .type = PROP_UINT32, .offset = PROP_NOWHERE, .def = "0", .only = "0",
	  .why = LEAVE_OUT("it names network cards") },
	{ .name = "addr", .type = PROP_ADDR, .offset = PMEM(slot), .def = "-1",
	  .help = "Slot and optional function number, example: 06.0 or 06" },
	FIXED("aer", "off", LEAVE_OUT("the device has no PCI Express capability")),
	FIXED("any_layout", "on", LEAVE_OUT("a modern device takes any layout")),
	FIXED("ats", "off", LEAVE_OUT("there is no IOMMU")),
	{ .name = "bus", .type = PROP_STR, .offset = PMEM(bus), .hidden = true },
	{ .name = "disable-legacy", .type = PROP_WORD, .type_name = "OnOffAuto", .offset = PROP_NOWHERE,
	  .words = on_off_auto, .def = "auto", .only = "auto|on", .help = "on/off/auto",
	  .why = LEAVE_OUT("the device is modern only") },
	FIXED("disable-modern", "off", LEAVE_OUT("the device is modern only")),
	{ .name = "driver", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "event_idx", .type = PROP_BOOL, .offset = PMEM(event_idx), .def = "on", .help = "on/off" },
	{ .name = "failover_pair_id", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "",
	  .why = LEAVE_OUT("it is for network cards") },
	{ .name = "id", .type = PROP_ID, .offset = PMEM(id), .hidden = true },
	FIXED("in_order", "off", LEAVE_OUT("VIRTIO_F_IN_ORDER is not offered")),
	{ .name = "indirect_desc", .type = PROP_BOOL, .offset = PMEM(indirect_desc), .def = "on",
	  .help = "on/off" },
	FIXED("iommu_platform", "off", LEAVE_OUT("there is no IOMMU")),
	{ .name = "memaddr", .type = PROP_UINT64, .offset = PMEM(memaddr), .def = "0",
	  .help = "Guest-physical address of the memory; 0: chosen" },
	{ .name = "memdev", .type = PROP_LINK, .type_name = "link<memory-backend>", .offset = PMEM(memdev) },
	FIXED("migrate-extra", "on", LEAVE_OUT("there is no migration")),
	{ .name = "modern-pio-notify", .type = PROP_BOOL, .offset = PMEM(pio_notify), .def = "off",
	  .help = "on/off" },
	FIXED("multifunction", "off", LEAVE_OUT("a slot has one function")),
	FIXED("notify_on_empty", "off", LEAVE_OUT("it is a feature of legacy devices")),
	FIXED("packed", "off", LEAVE_OUT("the virtqueue is a split one")),
	FIXED("page-per-vq", "off", LEAVE_OUT("there is one virtqueue")),
	{ .name = "queue_reset", .type = PROP_BOOL, .offset = PMEM(queue_reset), .def = "on",
	  .help = "on/off" },
	{ .name = "rombar", .type = PROP_UINT32, .offset = PROP_NOWHERE, .def = "1",
	  .help = "Accepted: there is no ROM" },
	{ .name = "romfile", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "",
	  .why = LEAVE_OUT("there is no firmware that could run it") },
	{ .name = "romsize", .type = PROP_UINT32, .offset = PROP_NOWHERE, .def = "4294967295",
	  .only = "4294967295", .why = LEAVE_OUT("there is no ROM") },
	{ .name = "shmem", .type = PROP_BOOL, .offset = PMEM(shmem), .def = "off",
	  .help = "Offer VIRTIO_PMEM_F_SHMEM_REGION: the memory is a BAR" },
	FIXED("use-disabled-flag", "on", LEAVE_OUT("it is internal to QEMU")),
	FIXED("use-started", "on", LEAVE_OUT("it is internal to QEMU")),
	{ .name = "werror", .type = PROP_WORD, .type_name = "PmemWerror", .offset = PMEM(werror),
	  .words = werror_words, .def = "report",
	  .help = "When a sync fails: report it to the guest, or stop first" },
	{ .name = "x-register-page", .type = PROP_BOOL, .offset = PMEM(register_page), .def = "on",
	  .help = "Reads of the registers do not leave the guest" },
};

const struct prop_class virtio_pmem_pci_class = {
	.name = "virtio-pmem-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = virtio_pmem_pci_props,
	.nprops = sizeof(virtio_pmem_pci_props) / sizeof(virtio_pmem_pci_props[0]),
};
