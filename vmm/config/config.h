// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - what the user asked for, checked: the result of the command line, and of object_add and
 * device_add later. Nothing here opens, creates or starts anything.
 *
 * -object and -device arrive as key=value text or as JSON; both become a json_object, which a table of
 * properties (name, type, default, help) checks and writes into a struct. Text values are strings that
 * are converted ("4G", "on"); JSON values must have the right type, as in QEMU.
 */
#ifndef PMVM_CONFIG_H
#define PMVM_CONFIG_H

#include "chardev_config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <vpmem.h>

struct json_object;
struct prop_class;

#define CPUS_MAX 64u

/* -object memory-backend-file. Strings are owned by the struct. */
struct memdev_config {
	char *id;
	char *mem_path;
	struct vpmem_backing_options backing; /* its id and path point to the two above */
	bool size_set;
};

/* When a sync fails: tell the guest, or pause the machine first. */
enum werror { WERROR_REPORT, WERROR_STOP };

/* -device virtio-pmem-pci. Strings are owned by the struct. */
struct pmem_config {
	char *id; /* NULL: none */
	char *memdev;
	char *bus;        /* NULL, "pcie.N", or "pci.0" */
	int bus_nr;       /* what that says: N, or -1: any; 0 also where only addr is given */
	int slot;         /* addr=: device number on the bus, or -1 */
	uint64_t memaddr; /* 0: chosen */
	bool shmem;
	bool event_idx, indirect_desc, queue_reset;
	bool register_page, pio_notify;
	unsigned werror; /* enum werror */
};

/* -monitor, -qmp, -qmp-pretty: one each. With mux, the chardev is the console's (-nographic, mon:stdio). */
enum monitor_face { MONITOR_HMP, MONITOR_QMP, MONITOR_QMP_PRETTY };
struct monitor_config {
	enum monitor_face face;
	bool mux; /* shares the console's terminal; chardev is empty */
	struct chardev_config chardev;
};
#define MONITORS_MAX 8u

struct options {
	char *name, *pidfile, *uuid;
	char *kernel, *initrd, *append;
	uint64_t ram_size; /* bytes, a multiple of 8 KiB, 2 MiB to 16 TiB; default 128 MiB as QEMU */
	unsigned ncpus;
	unsigned nbuses; /* -machine pci-buses=; 0 while the devices are not known yet: as many as they need */
	bool no_reboot, no_shutdown, daemonize;
	bool stopped;    /* -S: the guest does not start before cont */
	bool has_serial; /* false: no UART back end given: serial is CHARDEV_NULL */
	struct chardev_config serial;
	unsigned nmonitors;
	struct monitor_config monitors[MONITORS_MAX];
	unsigned nmemdevs, npmems;
	struct memdev_config *memdevs;
	struct pmem_config *pmems;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE /* -help, ...,help: printed, exit 0 */, OPTIONS_ERROR };

/*
 * Parses the command line. On OPTIONS_ERROR, err says what is wrong in QEMU's words, after the option and
 * its argument ("-device virtio-pmem-pci,memdev=zz: Device 'zz' not found"), and the next step; nothing
 * was created. Deprecation warnings are logged. Unless the result is OPTIONS_RUN, *opts is empty.
 */
enum options_result options_parse(int argc, char **argv, struct options *opts, struct vpmem_error *err);
void options_free(struct options *opts);

/*
 * One -object or -device as the monitor hands it in: JSON with native types (strict) or strings. On
 * failure *out is empty. What needs no look at other objects is checked; the rest by the two after.
 */
int config_memdev(struct json_object *props, bool strict, struct memdev_config *out, struct vpmem_error *err);
int config_pmem(struct json_object *props, bool strict, struct pmem_config *out, struct vpmem_error *err);
void memdev_config_free(struct memdev_config *cfg);
void pmem_config_free(struct pmem_config *cfg);

/*
 * May this one join those that are there? memdev: the id is free. pmem: the id, the slot, the bus and a
 * slot at all are free, the memdev exists and is not busy. `have` is borrowed for the call; strict chooses
 * between QEMU's texts for the two forms, as above.
 */
int config_check_memdev(const struct options *have, const struct memdev_config *cfg, bool strict,
                        struct vpmem_error *err);
int config_check_pmem(const struct options *have, const struct pmem_config *cfg, bool strict, struct vpmem_error *err);

/* How many PCI buses the devices need. */
unsigned config_nbuses(const struct options *opts);

/* Moves the configuration to the end of the list; *cfg is empty then. -ENOMEM: it stays the caller's. */
int config_add_memdev(struct options *opts, struct memdev_config *cfg);
int config_add_pmem(struct options *opts, struct pmem_config *cfg);

/* Prints the types (NULL or "help"), or the properties of one. -EINVAL, -ENODEV: there is no such type. */
int config_object_help(const char *type, FILE *out, struct vpmem_error *err);
int config_device_help(const char *driver, FILE *out, struct vpmem_error *err);

/* The properties: for help, -pmem, device-list-properties, query-qmp-schema (props.h). */
extern const struct prop_class memory_backend_file_class;
extern const struct prop_class virtio_pmem_pci_class;

#endif
