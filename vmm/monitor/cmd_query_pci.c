// SPDX-License-Identifier: Apache-2.0
// query-pci: the buses, their devices and the BARs.
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "pci.h"
#include "schema_make.h"

#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>

static OBJECT(region_type, "PciMemoryRegion", MEMBER("bar", schema_int), MEMBER("type", schema_str),
              MEMBER("address", schema_int), MEMBER("size", schema_int), OPTIONAL("prefetch", schema_bool),
              OPTIONAL("mem_type_64", schema_bool));
static OBJECT(class_type, "PciDeviceClass", OPTIONAL("desc", schema_str), MEMBER("class", schema_int));
static OBJECT(id_type, "PciDeviceId", MEMBER("device", schema_int), MEMBER("vendor", schema_int),
              OPTIONAL("subsystem", schema_int), OPTIONAL("subsystem-vendor", schema_int));
static ARRAY(regions_type, region_type);
static OBJECT(device_type, "PciDeviceInfo", MEMBER("bus", schema_int), MEMBER("slot", schema_int),
              MEMBER("function", schema_int), MEMBER("class_info", class_type), MEMBER("id", id_type),
              OPTIONAL("irq", schema_int), MEMBER("irq_pin", schema_int), MEMBER("qdev_id", schema_str),
              MEMBER("regions", regions_type));
static ARRAY(devices_type, device_type);
static OBJECT(bus_type, "PciInfo", MEMBER("bus", schema_int), MEMBER("devices", devices_type));
static ARRAY(buses_type, bus_type);

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

static struct json_object *query(const struct machine *m)
{
	struct json_object *buses = json_object_new_array();

	for (unsigned nr = 0; nr < pci_bus_count(m->pci); nr++)
		add_to(buses, bus_info(m->pci, nr));
	return buses;
}

static void print_bar(struct json_object *bar, struct hmp_out *out)
{
	// -1: not decoded now. All ones, as QEMU shows it.
	uint64_t first = (uint64_t)json_object_get_int64(get(bar, "address"));
	uint64_t last = first + get_uint(bar, "size") - 1;

	hmp_printf(out, "      BAR%" PRIu64 ": ", get_uint(bar, "bar"));
	if (!strcmp(get_str(bar, "type"), "io"))
		hmp_printf(out, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", first, last);
	else
		hmp_printf(out, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
		           get_bool(bar, "mem_type_64") ? 64 : 32, get_bool(bar, "prefetch") ? " prefetchable" : "",
		           first, last);
}

static void print_pci_device(struct json_object *dev, struct hmp_out *out)
{
	struct json_object *class_info = get(dev, "class_info"), *id = get(dev, "id");
	struct json_object *regions = get(dev, "regions");
	uint64_t pin = get_uint(dev, "irq_pin");

	hmp_printf(out, "  Bus %2" PRIu64 ", device %3" PRIu64 ", function %" PRIu64 ":\n    ", get_uint(dev, "bus"),
	           get_uint(dev, "slot"), get_uint(dev, "function"));
	if (get(class_info, "desc"))
		hmp_printf(out, "%s", get_str(class_info, "desc"));
	else
		hmp_printf(out, "Class %04" PRIu64, get_uint(class_info, "class"));
	hmp_printf(out, ": PCI device %04" PRIx64 ":%04" PRIx64 "\n", get_uint(id, "vendor"), get_uint(id, "device"));
	if (get(id, "subsystem-vendor") && get(id, "subsystem"))
		hmp_printf(out, "      PCI subsystem %04" PRIx64 ":%04" PRIx64 "\n", get_uint(id, "subsystem-vendor"),
		           get_uint(id, "subsystem"));
	if (get(dev, "irq"))
		hmp_printf(out, "      IRQ %" PRIu64 ", pin %c\n", get_uint(dev, "irq"),
		           pin >= 1 && pin <= 4 ? (char)('A' + pin - 1) : '-');
	for (size_t i = 0; regions && i < json_object_array_length(regions); i++)
		print_bar(json_object_array_get_idx(regions, i), out);
	hmp_printf(out, "      id \"%s\"\n", get_str(dev, "qdev_id"));
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *devices = get(json_object_array_get_idx(ret, i), "devices");

		for (size_t k = 0; devices && k < json_object_array_length(devices); k++)
			print_pci_device(json_object_array_get_idx(devices, k), out);
	}
}

const struct command cmd_query_pci = {
	.name = "query-pci",
	.ret = &buses_type,
	.query = query,
	.hmp_name = "info pci",
	.hmp_help = "show PCI info",
	.hmp_print = print,
};
