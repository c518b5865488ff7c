// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - one -object and one -device, checked: of the command line, or of object_add and device_add later.
 * Nothing here opens, creates or starts anything.
 *
 * -object and -device arrive as key=value text or as JSON; both become a json_object, which a table of
 * properties (name, type, default, help) checks and writes into a struct. Text values are strings that
 * are converted ("4G", "on"); JSON values must have the right type, as in QEMU.
 */
#ifndef PMVM_CONFIG_H
#define PMVM_CONFIG_H

#include "props.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <vpmem.h>

struct json_object;

/* -object memory-backend-file. Strings are owned by the struct. */
struct memdev_config {
	char *id;
	char *mem_path;
	struct vpmem_backing_options backing; /* its id and path point to the two above */
	bool dump_set;                        /* else -machine dump-guest-core= says what backing.dump is */
};

/* When a sync fails: report it to the guest, or pause the machine first. */
enum werror { WERROR_REPORT, WERROR_STOP };

/* -device virtio-pmem-pci. Strings are owned by the struct. */
struct pmem_config {
	char *id; /* NULL: none */
	char *memdev;
	char *bus;        /* NULL, "pcie.N", or "pci.0" */
	int bus_nr;       /* N, or -1: any; 0 if only addr is given */
	int slot;         /* addr=: device number on the bus, or -1 */
	uint64_t memaddr; /* 0: chosen */
	bool shmem;
	bool event_idx, indirect_desc, queue_reset;
	bool register_page, pio_notify;
	unsigned werror; /* enum werror */
};

/*
 * One -object or -device, with qom-type or driver among its properties. These two functions check all of it, for the
 * command line and for the monitor; whether it fits those that exist is for the caller to check. On failure *out is
 * empty.
 */
int config_memdev(struct json_object *props, enum props_form form, struct memdev_config *out, struct vpmem_error *err);
int config_pmem(struct json_object *props, enum props_form form, struct pmem_config *out, struct vpmem_error *err);
void memdev_config_free(struct memdev_config *cfg);
void pmem_config_free(struct pmem_config *cfg);

/* Prints the types (NULL or "help"), or the properties of one. -EINVAL, -ENODEV: there is no such type. */
int config_object_help(const char *type, FILE *out, struct vpmem_error *err);
int config_device_help(const char *driver, FILE *out, struct vpmem_error *err);

/*
 * The properties, for help, -pmem, device-list-properties and query-qmp-schema (props.h); and the words of one that
 * appears elsewhere as well.
 */
extern const char *const werror_words[]; /* enum werror; ends with NULL */
extern const struct prop_class memory_backend_file_class;
extern const struct prop_class virtio_pmem_pci_class;

#endif
