// SPDX-License-Identifier: Apache-2.0
// One -object or -device, checked alone.
#include "config.h"
#include "error.h"
#include "props.h"
#include "suggest.h"
#include "vm_limits.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

// The value of qom-type or driver. NULL with err set if there is none.
static const char *type_of(struct json_object *props, const char *key, struct vpmem_error *err)
{
	struct json_object *json;

	if (!json_object_object_get_ex(props, key, &json)) {
		error_set(err, -EINVAL, "Parameter '%s' is missing", key);
		return NULL;
	}
	if (!json_object_is_type(json, json_type_string)) {
		error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: string", key);
		return NULL;
	}
	return json_object_get_string(json);
}

static void hint_nearest(const char *word, const char *known, const char *otherwise, struct vpmem_error *err)
{
	struct suggest s = { .word = word };

	suggest_offer(&s, known);
	error_hint(err, s.best ? "did you mean %s?" : otherwise, known);
}

static int check_qom_type(struct json_object *props, struct vpmem_error *err)
{
	const char *type = type_of(props, "qom-type", err);

	if (!type) {
		error_hint(err, "for example memory-backend-file,id=mem1,share=on,mem-path=FILE");
		return -EINVAL;
	}
	if (strcmp(type, memory_backend_file_class.name) == 0)
		return 0;
	if (strcmp(type, "memory-backend-ram") == 0 || strcmp(type, "memory-backend-memfd") == 0) {
		error_set(err, -EINVAL, "'%s' is not supported: a virtio-pmem device needs a file to flush", type);
		error_hint(err, "use memory-backend-file; with a directory as mem-path it is an unlinked "
		                "scratch file");
		return -EINVAL;
	}
	error_set(err, -EINVAL, "Parameter 'qom-type' does not accept value '%s'", type);
	hint_nearest(type, memory_backend_file_class.name, "the one object type here is %s", err);
	return -EINVAL;
}

// Devices that add buses in QEMU.
static bool is_bridge(const char *driver)
{
	static const char *const names[] = { "pxb-pcie", "pxb",        "pcie-root-port",
		                             "ioh3420",  "pci-bridge", "pcie-pci-bridge" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(driver, names[i]) == 0)
			return true;
	return false;
}

static int check_driver(struct json_object *props, struct vpmem_error *err)
{
	const char *driver = type_of(props, "driver", err);

	if (!driver) {
		error_hint(err, "for example virtio-pmem-pci,memdev=mem1");
		return -EINVAL;
	}
	if (strcmp(driver, virtio_pmem_pci_class.name) == 0)
		return 0;
	if (strcmp(driver, "virtio-pmem") == 0)
		error_set(err, -EINVAL, "No 'virtio-bus' bus found for device 'virtio-pmem'");
	else
		error_set(err, -EINVAL, "'%.200s' is not a valid device model name", driver);
	if (is_bridge(driver))
		error_hint(err, "-machine pci-buses=N gives the machine buses pcie.0 to pcie.N-1, for %u devices each",
		           PCI_BUS_DEVICES);
	else
		hint_nearest(driver, virtio_pmem_pci_class.name, "the one device model here is %s", err);
	return -EINVAL;
}

int config_memdev(struct json_object *props, enum props_form form, struct memdev_config *out, struct vpmem_error *err)
{
	int rc = check_qom_type(props, err);

	*out = (struct memdev_config) { 0 };
	if (rc == 0 && props_init(&memory_backend_file_class, out) < 0)
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = props_apply(&memory_backend_file_class, props, form, out, err);
	if (rc == 0 && !out->id)
		rc = error_set(err, -EINVAL, "Parameter 'id' is missing");
	out->backing.id = out->id;
	out->backing.path = out->mem_path;
	if (rc == 0)
		rc = vpmem_backing_check(&out->backing, err);
	if (rc < 0) {
		memdev_config_free(out);
		return rc;
	}
	out->dump_set = json_object_object_get_ex(props, "dump", NULL);
	return 0;
}

void memdev_config_free(struct memdev_config *cfg)
{
	props_release(&memory_backend_file_class, cfg);
	*cfg = (struct memdev_config) { 0 };
}

static_assert(PCI_BUSES_MAX <= 10, "the number of a bus has one digit");

// "pcie.0" to "pcie.7"; "pci.0" is another name of the first. A number without a bus is on the first one as well.
static int find_bus(struct pmem_config *cfg, struct vpmem_error *err)
{
	static const char prefix[] = "pcie.";
	const char *digit = cfg->bus && strncmp(cfg->bus, prefix, strlen(prefix)) == 0 ? cfg->bus + strlen(prefix) : "";

	cfg->bus_nr = cfg->slot >= 0 || cfg->bus ? 0 : -1;
	if (!cfg->bus || strcmp(cfg->bus, "pci.0") == 0)
		return 0;
	if (*digit >= '0' && *digit < '0' + (int)PCI_BUSES_MAX && !digit[1]) {
		cfg->bus_nr = *digit - '0';
		return 0;
	}
	error_set(err, -EINVAL, "Bus '%.200s' not found", cfg->bus);
	error_hint(err, "buses are pcie.0 to pcie.%u: leave bus out for the first one that has room",
	           PCI_BUSES_MAX - 1);
	return -EINVAL;
}

static int check_device(struct pmem_config *cfg, struct vpmem_error *err)
{
	int rc = find_bus(cfg, err);

	if (rc < 0)
		return rc;
	if (!cfg->memdev || !*cfg->memdev)
		return error_set(err, -EINVAL, "'memdev' property must be set");
	if (cfg->slot == 0) {
		error_set(err, -EBUSY,
		          "PCI: slot 0 function 0 not available for virtio-pmem-pci, in use by the host bridge");
		error_hint(err, "choose another slot from 1 to 1f, or leave addr out");
		return -EBUSY;
	}
	if (cfg->memaddr % VPMEM_GRANULE != 0)
		return error_set(err, -EINVAL, "address must be aligned to 0x%" PRIx64 " bytes", VPMEM_GRANULE);
	if (cfg->shmem && cfg->memaddr != 0)
		return error_set(err, -EINVAL, "'memaddr' and 'shmem=on' are incompatible: the guest places a BAR");
	return 0;
}

int config_pmem(struct json_object *props, enum props_form form, struct pmem_config *out, struct vpmem_error *err)
{
	int rc = check_driver(props, err);

	*out = (struct pmem_config) { .slot = -1 };
	if (rc == 0 && props_init(&virtio_pmem_pci_class, out) < 0)
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = props_apply(&virtio_pmem_pci_class, props, form, out, err);
	if (rc == 0)
		rc = check_device(out, err);
	if (rc < 0)
		pmem_config_free(out);
	return rc;
}

void pmem_config_free(struct pmem_config *cfg)
{
	props_release(&virtio_pmem_pci_class, cfg);
	*cfg = (struct pmem_config) { .slot = -1 };
}
