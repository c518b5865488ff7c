// SPDX-License-Identifier: Apache-2.0
// The properties that every virtio device behind PCI has.
#include "config.h"
#include "props.h"

static const char *const on_off_auto[] = { "auto", "on", "off", NULL };

#define DEVICE(field) offsetof(struct device_config, field)
#define LEAVE_OUT(what) what ": leave it out"
// A switch of QEMU's virtio or PCI layer that has one position here.
#define FIXED(prop_name, value, reason)                                                                    \
	{                                                                                                  \
		.name = prop_name, .type = PROP_BOOL, .offset = PROP_NOWHERE, .def = value, .only = value, \
		.why = reason                                                                              \
	}

static const struct prop virtio_pci_props[] = {
	{ .name = "acpi-index",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "0",
	  .only = "0",
	  .why = LEAVE_OUT("it names network cards") },
	{ .name = "addr",
	  .type = PROP_ADDR,
	  .offset = DEVICE(slot),
	  .def = "-1",
	  .help = "Slot and optional function number, example: 06.0 or 06" },
	FIXED("aer", "off", LEAVE_OUT("the device has no PCI Express capability")),
	FIXED("any_layout", "on", LEAVE_OUT("a modern device takes any layout")),
	FIXED("ats", "off", LEAVE_OUT("there is no IOMMU")),
	{ .name = "bus", .type = PROP_STR, .offset = DEVICE(bus), .hidden = true },
	{ .name = "disable-legacy",
	  .type = PROP_WORD,
	  .type_name = "OnOffAuto",
	  .offset = PROP_NOWHERE,
	  .words = on_off_auto,
	  .def = "auto",
	  .only = "auto|on",
	  .help = "on/off/auto",
	  .why = LEAVE_OUT("the device is modern only") },
	FIXED("disable-modern", "off", LEAVE_OUT("the device is modern only")),
	{ .name = "driver", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "event_idx", .type = PROP_BOOL, .offset = DEVICE(event_idx), .def = "on", .help = "on/off" },
	{ .name = "failover_pair_id",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = LEAVE_OUT("it is for network cards") },
	{ .name = "id", .type = PROP_ID, .offset = DEVICE(id), .hidden = true },
	FIXED("in_order", "off", LEAVE_OUT("VIRTIO_F_IN_ORDER is not offered")),
	{ .name = "indirect_desc", .type = PROP_BOOL, .offset = DEVICE(indirect_desc), .def = "on", .help = "on/off" },
	FIXED("iommu_platform", "off", LEAVE_OUT("there is no IOMMU")),
	FIXED("migrate-extra", "on", LEAVE_OUT("there is no migration")),
	{ .name = "modern-pio-notify",
	  .type = PROP_BOOL,
	  .offset = DEVICE(pio_notify),
	  .def = "off",
	  .help = "on/off" },
	FIXED("multifunction", "off", LEAVE_OUT("a slot has one function")),
	FIXED("notify_on_empty", "off", LEAVE_OUT("it is a feature of legacy devices")),
	FIXED("packed", "off", LEAVE_OUT("the virtqueue is a split one")),
	FIXED("page-per-vq", "off", LEAVE_OUT("the notifications of all virtqueues are in one page")),
	{ .name = "queue_reset", .type = PROP_BOOL, .offset = DEVICE(queue_reset), .def = "on", .help = "on/off" },
	{ .name = "rombar",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "1",
	  .help = "Accepted: there is no ROM" },
	{ .name = "romfile",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = LEAVE_OUT("there is no firmware that could run it") },
	{ .name = "romsize",
	  .type = PROP_UINT32,
	  .offset = PROP_NOWHERE,
	  .def = "4294967295",
	  .only = "4294967295",
	  .why = LEAVE_OUT("there is no ROM") },
	FIXED("use-disabled-flag", "on", LEAVE_OUT("it is internal to QEMU")),
	FIXED("use-started", "on", LEAVE_OUT("it is internal to QEMU")),
	{ .name = "x-register-page",
	  .type = PROP_BOOL,
	  .offset = DEVICE(register_page),
	  .def = "on",
	  .help = "The guest reads the registers without an exit" },
};

const struct prop_class virtio_pci_class = {
	.name = "virtio-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = virtio_pci_props,
	.nprops = sizeof(virtio_pci_props) / sizeof(virtio_pci_props[0]),
};
