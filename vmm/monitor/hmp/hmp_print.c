// SPDX-License-Identifier: Apache-2.0
// The values of commands as text. Layouts are QEMU's (monitor/hmp-cmds.c and its kin), but for `info pmem`.
#include "hmp_print.h"

#include "hmp_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct json_object *member(struct json_object *obj, const char *key)
{
	struct json_object *val = NULL;

	return json_object_object_get_ex(obj, key, &val) ? val : NULL;
}

static const char *text_of(struct json_object *obj, const char *key)
{
	struct json_object *val = member(obj, key);

	return val ? json_object_get_string(val) : "";
}

static uint64_t number_of(struct json_object *obj, const char *key)
{
	return json_object_get_uint64(member(obj, key));
}

static bool flag_of(struct json_object *obj, const char *key)
{
	return json_object_get_boolean(member(obj, key));
}

void hmp_print_status(struct json_object *ret, struct hmp_out *out)
{
	const char *status = text_of(ret, "status");
	bool running = flag_of(ret, "running");

	hmp_printf(out, "VM status: %s", running ? "running" : "paused");
	if (!running && strcmp(status, "paused") != 0)
		hmp_printf(out, " (%s)", status);
	hmp_printf(out, "\n");
}

void hmp_print_version(struct json_object *ret, struct hmp_out *out)
{
	struct json_object *qemu = member(ret, "qemu");
	const char *package = text_of(ret, "package");

	hmp_printf(out, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 "%s%s\n", number_of(qemu, "major"), number_of(qemu, "minor"),
	           number_of(qemu, "micro"), *package && *package != ' ' ? " " : "", package);
}

void hmp_print_name(struct json_object *ret, struct hmp_out *out)
{
	if (member(ret, "name"))
		hmp_printf(out, "%s\n", text_of(ret, "name"));
}

void hmp_print_uuid(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "%s\n", text_of(ret, "UUID"));
}

void hmp_print_kvm(struct json_object *ret, struct hmp_out *out)
{
	if (flag_of(ret, "present"))
		hmp_printf(out, "kvm support: %s\n", flag_of(ret, "enabled") ? "enabled" : "disabled");
	else
		hmp_printf(out, "kvm support: not compiled\n");
}

// The star is QEMU's mark of the processor that its register commands look at: the first.
void hmp_print_cpus(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *cpu = json_object_array_get_idx(ret, i);

		hmp_printf(out, "%c CPU #%" PRIu64 ": thread_id=%" PRIu64 "\n", i == 0 ? '*' : ' ',
		           number_of(cpu, "cpu-index"), number_of(cpu, "thread-id"));
	}
}

static void print_bar(struct json_object *bar, struct hmp_out *out)
{
	// -1: not decoded now. All ones, as QEMU shows it.
	uint64_t first = (uint64_t)json_object_get_int64(member(bar, "address"));
	uint64_t last = first + number_of(bar, "size") - 1;

	hmp_printf(out, "      BAR%" PRIu64 ": ", number_of(bar, "bar"));
	if (!strcmp(text_of(bar, "type"), "io"))
		hmp_printf(out, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", first, last);
	else
		hmp_printf(out, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
		           flag_of(bar, "mem_type_64") ? 64 : 32, flag_of(bar, "prefetch") ? " prefetchable" : "",
		           first, last);
}

static void print_pci_device(struct json_object *dev, struct hmp_out *out)
{
	struct json_object *class_info = member(dev, "class_info"), *id = member(dev, "id");
	struct json_object *regions = member(dev, "regions");
	uint64_t pin = number_of(dev, "irq_pin");

	hmp_printf(out, "  Bus %2" PRIu64 ", device %3" PRIu64 ", function %" PRIu64 ":\n    ", number_of(dev, "bus"),
	           number_of(dev, "slot"), number_of(dev, "function"));
	if (member(class_info, "desc"))
		hmp_printf(out, "%s", text_of(class_info, "desc"));
	else
		hmp_printf(out, "Class %04" PRIu64, number_of(class_info, "class"));
	hmp_printf(out, ": PCI device %04" PRIx64 ":%04" PRIx64 "\n", number_of(id, "vendor"), number_of(id, "device"));
	if (member(id, "subsystem-vendor") && member(id, "subsystem"))
		hmp_printf(out, "      PCI subsystem %04" PRIx64 ":%04" PRIx64 "\n", number_of(id, "subsystem-vendor"),
		           number_of(id, "subsystem"));
	if (member(dev, "irq"))
		hmp_printf(out, "      IRQ %" PRIu64 ", pin %c\n", number_of(dev, "irq"),
		           pin >= 1 && pin <= 4 ? (char)('A' + pin - 1) : '-');
	for (size_t i = 0; regions && i < json_object_array_length(regions); i++)
		print_bar(json_object_array_get_idx(regions, i), out);
	hmp_printf(out, "      id \"%s\"\n", text_of(dev, "qdev_id"));
}

void hmp_print_pci(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *devices = member(json_object_array_get_idx(ret, i), "devices");

		for (size_t k = 0; devices && k < json_object_array_length(devices); k++)
			print_pci_device(json_object_array_get_idx(devices, k), out);
	}
}

void hmp_print_memory_devices(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *dev = json_object_array_get_idx(ret, i), *data = member(dev, "data");

		hmp_printf(out, "Memory device [%s]: \"%s\"\n", text_of(dev, "type"), text_of(data, "id"));
		hmp_printf(out, "  memaddr: 0x%" PRIx64 "\n", number_of(data, "memaddr"));
		hmp_printf(out, "  size: %" PRIu64 "\n", number_of(data, "size"));
		hmp_printf(out, "  memdev: %s\n", text_of(data, "memdev"));
	}
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
	hmp_printf(out, "  %s: %s\n", key, flag_of(obj, key) ? "true" : "false");
}

void hmp_print_memdev(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *memdev = json_object_array_get_idx(ret, i);

		hmp_printf(out, "memory backend: %s\n", text_of(memdev, "id"));
		hmp_printf(out, "  size:  %" PRIu64 "\n", number_of(memdev, "size"));
		print_flag(memdev, "merge", out);
		print_flag(memdev, "dump", out);
		print_flag(memdev, "prealloc", out);
		print_flag(memdev, "share", out);
		if (member(memdev, "reserve"))
			print_flag(memdev, "reserve", out);
		hmp_printf(out, "  policy: %s\n  host nodes: ", text_of(memdev, "policy"));
		print_ranges(member(memdev, "host-nodes"), out);
		hmp_printf(out, "\n");
	}
	hmp_printf(out, "\n");
}

void hmp_print_memory_size_summary(struct json_object *ret, struct hmp_out *out)
{
	hmp_printf(out, "base memory: %" PRIu64 "\n", number_of(ret, "base-memory"));
	if (member(ret, "plugged-memory"))
		hmp_printf(out, "plugged memory: %" PRIu64 "\n", number_of(ret, "plugged-memory"));
}

// ---- info pmem

// "950 ns", "12.3 us", "4.00 s"
static const char *duration(uint64_t ns, char *buf, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)ns;
	unsigned unit = 0;

	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, size, "%" PRIu64 " ns", ns);
	else
		snprintf(buf, size, "%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, units[unit]);
	return buf;
}

static void print_latency(struct json_object *syncs, struct hmp_out *out)
{
	struct json_object *histogram = member(syncs, "histogram");
	uint64_t count = number_of(syncs, "count");
	char mean[32], max[32], text[32];

	if (count == 0)
		return;
	hmp_printf(out, "  sync latency: mean %s, max %s\n",
	           duration(number_of(syncs, "total-ns") / count, mean, sizeof(mean)),
	           duration(number_of(syncs, "max-ns"), max, sizeof(max)));
	for (size_t i = 0; histogram && i < json_object_array_length(histogram); i++) {
		struct json_object *bucket = json_object_array_get_idx(histogram, i);
		bool bounded;

		if (number_of(bucket, "count") == 0)
			continue;
		// The last bucket has no upper bound.
		bounded = member(bucket, "below-ns") != NULL;
		if (bounded)
			duration(number_of(bucket, "below-ns"), text, sizeof(text));
		else
			snprintf(text, sizeof(text), "longer");
		hmp_printf(out, "    %s%-*s %" PRIu64 "\n", bounded ? "< " : "", bounded ? 9 : 11, text,
		           number_of(bucket, "count"));
	}
}

/*
 * Without gmtime_r: what it links knows every time zone and the parsers of their files, 90 KiB in a static program.
 * Years are counted from a March, so that a leap day is the last one; 719468 days before 1970 that was the year 0.
 */
static void print_utc(uint64_t seconds, struct hmp_out *out)
{
	const uint64_t days_of_400_years = 146097;
	uint64_t days = seconds / 86400 + 719468, clock = seconds % 86400;
	uint64_t day = days % days_of_400_years; /* of its 400 years */
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t month; /* from March, 0 to 11: each 5 of them have 153 days */

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	year += days / days_of_400_years * 400 + (month >= 10);
	hmp_printf(out, " at %04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "Z",
	           year, month < 10 ? month + 3 : month - 9, day + 1, clock / 3600, clock / 60 % 60, clock % 60);
}

static void print_failure(struct json_object *error, struct hmp_out *out)
{
	uint64_t seconds = number_of(error, "time");

	hmp_printf(out, ": %s (errno %" PRIu64 ")", text_of(error, "message"), number_of(error, "errno"));
	if (seconds > 0)
		print_utc(seconds, out);
}

// "12 (resident: 8, allocated: 4)", as far as the host can tell.
static void print_size(struct json_object *dev, struct hmp_out *out)
{
	static const char *const usages[] = { "resident", "allocated" };
	const char *before = " (";

	hmp_printf(out, "  size: %" PRIu64, number_of(dev, "size"));
	for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
		if (!member(dev, usages[i]))
			continue;
		hmp_printf(out, "%s%s: %" PRIu64, before, usages[i], number_of(dev, usages[i]));
		before = ", ";
	}
	hmp_printf(out, "%s\n", *before == ',' ? ")" : "");
}

static void print_pmem(struct json_object *dev, struct hmp_out *out)
{
	struct json_object *flushes = member(dev, "flushes"), *syncs = member(dev, "syncs");
	char text[32];

	hmp_printf(out, "pmem device: \"%s\"\n", text_of(dev, "id"));
	hmp_printf(out, "  file: %s%s%s\n", text_of(dev, "mem-path"), flag_of(dev, "readonly") ? ", read-only" : "",
	           flag_of(dev, "share") ? "" : ", private: the guest's stores do not reach it");
	hmp_printf(out, "  memdev: %s\n", text_of(dev, "memdev"));
	hmp_printf(out, "  memaddr: 0x%" PRIx64 "\n", number_of(dev, "memaddr"));
	print_size(dev, out);
	hmp_printf(out, "  state: %s", text_of(dev, "state"));
	if (member(dev, "error"))
		print_failure(member(dev, "error"), out);
	if (number_of(dev, "refused-stores") > 0)
		hmp_printf(out, "\n  guest stores refused: %" PRIu64, number_of(dev, "refused-stores"));
	hmp_printf(out, "\n  flushes: %" PRIu64 " requested, %" PRIu64 " completed, %" PRIu64 " failed\n",
	           number_of(flushes, "requested"), number_of(flushes, "completed"), number_of(flushes, "failed"));
	hmp_printf(out, "  syncs: %" PRIu64 ", errors: %" PRIu64 ", interrupts: %" PRIu64 "\n",
	           number_of(syncs, "count"), number_of(syncs, "errors"), number_of(dev, "interrupts"));
	if (member(syncs, "in-flight-ns"))
		hmp_printf(out, "  a sync is under way for %s\n",
		           duration(number_of(syncs, "in-flight-ns"), text, sizeof(text)));
	print_latency(syncs, out);
}

void hmp_print_pmem(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++)
		print_pmem(json_object_array_get_idx(ret, i), out);
}
