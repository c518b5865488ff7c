// SPDX-License-Identifier: Apache-2.0
// query-pci: the buses, their devices and the BARs.
#include "commands.h"

#include "json_make.h"
#include "machine.h"

#include <linux/pci_regs.h>

static struct json_object *region(const struct pci_device *dev, const struct pci_bar_desc *bar, unsigned idx)
{
	struct json_object *info = json_object_new_object();
	bool mapped;
	gpa_t gpa = pci_device_bar(dev, idx, &mapped);

	if (!bar->io) {
		put_bool(info, "prefetch", bar->prefetchable);
		put_bool(info, "mem_type_64", bar->is_64bit);
	}
	put_int(info, "bar", idx);
	put_uint(info, "size", bar->size);
	// QEMU's word for a BAR that is not decoded.
	put_int(info, "address", mapped ? (int64_t)gpa : -1);
	put_str(info, "type", bar->io ? "io" : "memory");
	return info;
}

static struct json_object *regions(const struct pci_device *dev)
{
	const struct pci_device_desc *desc = pci_device_description(dev);
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < PCI_BARS_MAX; i++)
		if (desc->bars[i].size != 0)
			add_to(list, region(dev, &desc->bars[i], i));
	return list;
}

static struct json_object *class_info(const struct pci_device *dev)
{
	struct json_object *info = json_object_new_object();
	uint32_t code = pci_config_get(dev, PCI_CLASS_DEVICE, 2);

	put_int(info, "class", code);
	// A pmem device has class 0x00ff, which has no name: as in QEMU there is no desc.
	if (code == 0x0600)
		put_str(info, "desc", "Host bridge");
	return info;
}

static struct json_object *id_info(const struct pci_device *dev)
{
	struct json_object *info = json_object_new_object();

	put_int(info, "device", pci_config_get(dev, PCI_DEVICE_ID, 2));
	put_int(info, "vendor", pci_config_get(dev, PCI_VENDOR_ID, 2));
	put_int(info, "subsystem", pci_config_get(dev, PCI_SUBSYSTEM_ID, 2));
	put_int(info, "subsystem-vendor", pci_config_get(dev, PCI_SUBSYSTEM_VENDOR_ID, 2));
	return info;
}

static struct json_object *device(const struct pci_device *dev)
{
	const char *id = pci_device_description(dev)->id;
	uint32_t pin = pci_config_get(dev, PCI_INTERRUPT_PIN, 1);
	struct json_object *info = json_object_new_object();

	put_int(info, "bus", pci_device_slot(dev) / PCI_BUS_SLOTS);
	put_int(info, "slot", pci_device_slot(dev) % PCI_BUS_SLOTS);
	put_int(info, "function", 0);
	put(info, "class_info", class_info(dev));
	put(info, "id", id_info(dev));
	put_int(info, "irq_pin", pin);
	if (pin != 0)
		put_int(info, "irq", pci_config_get(dev, PCI_INTERRUPT_LINE, 1));
	put_str(info, "qdev_id", id ? id : "");
	put(info, "regions", regions(dev));
	return info;
}

static struct json_object *bus_info(const struct pci_bus *pci, unsigned nr)
{
	struct json_object *bus = json_object_new_object(), *devices = json_object_new_array();

	for (unsigned i = 0; i < PCI_BUS_SLOTS; i++) {
		struct pci_device *dev = pci_bus_device(pci, nr * PCI_BUS_SLOTS + i);

		if (dev)
			add_to(devices, device(dev));
	}
	put_int(bus, "bus", nr);
	put(bus, "devices", devices);
	return bus;
}

int cmd_query_pci(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                  struct vpmem_error *err)
{
	const struct pci_bus *pci = ctx->machine->pci;
	struct json_object *buses = json_object_new_array();

	(void)args;
	for (unsigned nr = 0; nr < pci_bus_count(pci); nr++)
		add_to(buses, bus_info(pci, nr));
	return command_give(buses, ret, err);
}
