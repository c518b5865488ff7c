// SPDX-License-Identifier: Apache-2.0
// -machine, -accel, -cpu, -rtc, -overcommit, -name, -uuid: properties of the machine. Most have one possible value.
#include "error.h"
#include "keyval.h"
#include "options_internal.h"
#include "parse.h"
#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
// A property that is accepted with the values that describe what the machine does anyway.
#define FIXED(prop_name, values, reason)                                                                   \
	{                                                                                                  \
		.name = prop_name, .type = PROP_STR, .offset = PROP_NOWHERE, .only = values, .why = reason \
	}
// Of QEMU's microvm: there, what a guest may do without; here the machine is the same with each value.
#define EITHER(prop_name)                                                                           \
	{                                                                                           \
		.name = prop_name, .type = PROP_STR, .offset = PROP_NOWHERE, .only = "on|off|auto", \
		.why = "it changes nothing here: leave it out"                                      \
	}
#define ABSENT(what) "the machine has no " what ": leave it out"

struct machine_args {
	char *type, *accel;
	uint32_t nbuses;
	bool dump_guest_core;
	char *memory_backend;
};

static const struct prop machine_props[] = {
	{ .name = "accel", .type = PROP_STR, .offset = offsetof(struct machine_args, accel) },
	EITHER("acpi"),
	{ .name = "dump-guest-core",
	  .type = PROP_BOOL,
	  .offset = offsetof(struct machine_args, dump_guest_core),
	  .def = "on",
	  .help = "Include guest memory in a core dump" },
	FIXED("graphics", "off", ABSENT("display")),
	FIXED("hmat", "off", ABSENT("NUMA nodes")),
	FIXED("hpet", "off", ABSENT("HPET")),
	FIXED("kernel-irqchip", "on", "interrupt controllers are KVM's: leave it out"),
	{ .name = "mem-merge", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "memory-backend",
	  .type = PROP_STR,
	  .offset = offsetof(struct machine_args, memory_backend),
	  .help = "Set RAM backend: the id of a memory-backend object" },
	FIXED("nvdimm", "off", "persistent memory is virtio-pmem here: -pmem FILE"),
	{ .name = "pci-buses",
	  .type = PROP_UINT32,
	  .offset = offsetof(struct machine_args, nbuses),
	  .not_zero = true,
	  .help = "PCI buses, each for 31 devices (default: as many as the devices need)" },
	EITHER("pcie"),
	EITHER("pic"),
	EITHER("pit"),
	EITHER("rtc"),
	FIXED("sata", "off", ABSENT("disks")),
	FIXED("smbus", "off", ABSENT("SMBus")),
	FIXED("smm", "off|auto", ABSENT("firmware")),
	{ .name = "type", .type = PROP_STR, .offset = offsetof(struct machine_args, type) },
	FIXED("usb", "off", ABSENT("USB")),
	FIXED("vmport", "off|auto", ABSENT("vmport")),
};
static const struct prop_class machine_class = {
	.name = "pmvm-machine",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.underscores = true,
	.props = machine_props,
	.nprops = COUNT(machine_props),
};

// Names in existing command lines. All mean the same machine.
static const char *const machine_names[] = { "pmvm", "q35", "pc", "microvm" };

static void print_machines(void)
{
	printf("Supported machines are:\n");
	for (unsigned i = 0; i < COUNT(machine_names); i++)
		printf("%-20s %s\n", machine_names[i],
		       i == 0 ? "PCI, ACPI, no firmware (default)" : "another name of pmvm");
}

static int check_machine_type(struct cmdline *cl, const char *type)
{
	struct suggest s = { .word = type };

	// Versioned names, such as pc-q35-7.2: there is one version of this machine.
	if (strncmp(type, "pc-q35-", 7) == 0 || strncmp(type, "pc-i440fx-", 10) == 0)
		return 0;
	for (unsigned i = 0; i < COUNT(machine_names); i++) {
		if (strcmp(type, machine_names[i]) == 0)
			return 0;
		suggest_offer(&s, machine_names[i]);
	}
	error_set(cl->err, -EINVAL, "unsupported machine type: \"%s\"", type);
	if (s.best)
		error_hint(cl->err, "did you mean %s?", s.best);
	else
		error_hint(cl->err, "use -machine help to list supported machines, or leave it out");
	return -EINVAL;
}

// "kvm", or a list to try in turn that has kvm in it: "kvm:tcg".
static int check_accel(struct cmdline *cl, const char *list, size_t list_len)
{
	size_t len;

	for (size_t at = 0; at < list_len; at += len + 1) {
		len = strcspn(list + at, ":,");
		if (len == 3 && strncmp(list + at, "kvm", 3) == 0)
			return 0;
	}
	error_set(cl->err, -EINVAL, "invalid accelerator %.*s", (int)list_len, list);
	error_hint(cl->err, "pmvm runs on KVM only: leave it out, or use kvm");
	return -EINVAL;
}

static int check_nbuses(struct cmdline *cl, uint32_t nbuses)
{
	if (nbuses > PCI_BUSES_MAX) {
		error_set(cl->err, -EINVAL, "Parameter 'pci-buses' expects a value from 1 to %u", PCI_BUSES_MAX);
		error_hint(cl->err, "each bus takes %u devices, so there can be %u", PCI_BUS_SLOTS - 1,
		           PCI_BUSES_MAX * (PCI_BUS_SLOTS - 1));
		return -EINVAL;
	}
	if (nbuses > 0)
		cl->opts->nbuses = nbuses;
	return 0;
}

// Whether there is such an object is checked at the end of the command line.
static int set_memory_backend(struct cmdline *cl, const char *id)
{
	cl->backend_place = cl->now;
	if (*id)
		return option_string(cl, &cl->opts->memory_backend, id);
	free(cl->opts->memory_backend);
	cl->opts->memory_backend = NULL;
	return 0;
}

int handle_machine(struct cmdline *cl, const char *arg)
{
	struct machine_args args = { .dump_guest_core = !cl->opts->no_guest_core };
	int rc;

	if (keyval_is_help(arg)) {
		print_machines();
		return HANDLED_HELP;
	}
	rc = option_keyval(cl, arg, "type", &machine_class, &args);
	if (rc == 0 && args.type)
		rc = check_machine_type(cl, args.type);
	if (rc == 0 && args.accel)
		rc = check_accel(cl, args.accel, strlen(args.accel));
	if (rc == 0)
		rc = check_nbuses(cl, args.nbuses);
	if (rc == 0 && args.memory_backend)
		rc = set_memory_backend(cl, args.memory_backend);
	cl->opts->no_guest_core = !args.dump_guest_core;
	props_release(&machine_class, &args);
	return rc;
}

struct accel_args {
	char *accel;
};

static const struct prop accel_props[] = {
	{ .name = "accel", .type = PROP_STR, .offset = offsetof(struct accel_args, accel) },
	FIXED("dirty-ring-size", "0", "there is no migration that would need it: leave it out"),
	FIXED("kernel-irqchip", "on", "interrupt controllers are KVM's: leave it out"),
};
static const struct prop_class accel_class = {
	.name = "kvm-accel",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.props = accel_props,
	.nprops = COUNT(accel_props),
};

static int remember_accel(struct cmdline *cl, const char *name, size_t len)
{
	if (!cl->accel)
		cl->accel = strndup(name, len);
	return cl->accel ? 0 : error_set(cl->err, -ENOMEM, "out of memory");
}

int handle_accel(struct cmdline *cl, const char *arg)
{
	struct accel_args args = { 0 };
	size_t len = strcspn(arg, ",=");
	int rc = 0;

	if (keyval_is_help(arg)) {
		printf("Accelerators supported in pmvm binary:\nkvm\n");
		return HANDLED_HELP;
	}
	cl->accel_place = cl->now;
	// Several are tried in turn. The properties of another one are not known.
	if (arg[len] != '=' && !(len == 3 && strncmp(arg, "kvm", len) == 0))
		return remember_accel(cl, arg, len);
	rc = option_keyval(cl, arg, "accel", &accel_class, &args);
	if (rc == 0 && args.accel && strcmp(args.accel, "kvm") != 0)
		rc = remember_accel(cl, args.accel, strlen(args.accel));
	else
		cl->kvm_given = true;
	props_release(&accel_class, &args);
	return rc;
}

int finish_accel(struct cmdline *cl)
{
	if (!cl->accel_place.option || cl->kvm_given)
		return 0;
	cl->now = cl->accel_place;
	return check_accel(cl, cl->accel, strlen(cl->accel));
}

static const struct prop rtc_props[] = {
	FIXED("base", "utc", "the guest's clock is KVM's, in UTC"),
	FIXED("clock", "host", "the guest's clock is KVM's, and follows the host's"),
	FIXED("driftfix", "none|slew", "there are no timer ticks that could get lost"),
};
static const struct prop_class rtc_class = {
	.name = "rtc",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = rtc_props,
	.nprops = COUNT(rtc_props),
};

int handle_rtc(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, NULL, &rtc_class, NULL);
}

static const struct prop overcommit_props[] = {
	{ .name = "cpu-pm", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "mem-lock", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
};
static const struct prop_class overcommit_class = {
	.name = "overcommit",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = overcommit_props,
	.nprops = COUNT(overcommit_props),
};

int handle_overcommit(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, NULL, &overcommit_class, NULL);
}

static const struct prop name_props[] = {
	{ .name = "debug-threads", .type = PROP_BOOL, .offset = PROP_NOWHERE },
	{ .name = "guest", .type = PROP_STR, .offset = offsetof(struct machine_config, name) },
	{ .name = "process",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .not_yet = true,
	  .why = "start pmvm by another name instead: exec -a NAME pmvm ..." },
};
static const struct prop_class name_class = {
	.name = "name",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = name_props,
	.nprops = COUNT(name_props),
};

int handle_name(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, "guest", &name_class, cl->opts);
}

int handle_uuid(struct cmdline *cl, const char *arg)
{
	if (uuid_wellformed(arg))
		return option_string(cl, &cl->opts->uuid, arg);
	error_set(cl->err, -EINVAL, "failed to parse UUID string: wrong format");
	error_hint(cl->err, "for example 550e8400-e29b-41d4-a716-446655440000");
	return -EINVAL;
}
