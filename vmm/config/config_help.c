// SPDX-License-Identifier: Apache-2.0
// Help on -object and -device, for the command line and the monitor.
#include "config.h"
#include "error.h"
#include "keyval.h"
#include "props.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int config_object_help(const char *type, FILE *out, struct vpmem_error *err)
{
	if (!type || keyval_is_help(type)) {
		fprintf(out, "List of user creatable objects:\n  %s\n", memory_backend_file_class.name);
		return 0;
	}
	if (strcmp(type, memory_backend_file_class.name) == 0) {
		props_help(&memory_backend_file_class, out);
		return 0;
	}
	return error_set(err, -EINVAL, "Parameter 'qom-type' does not accept value '%s'", type);
}

int config_device_help(const char *driver, FILE *out, struct vpmem_error *err)
{
	if (!driver || keyval_is_help(driver)) {
		fprintf(out,
		        "Misc devices:\n"
		        "name \"%s\", bus PCI, desc \"Persistent memory: a file as /dev/pmemN\"\n",
		        virtio_pmem_pci_class.name);
		return 0;
	}
	if (strcmp(driver, virtio_pmem_pci_class.name) == 0) {
		props_help(&virtio_pmem_pci_class, out);
		return 0;
	}
	return error_set(err, -ENODEV, "Device '%s' not found", driver);
}
