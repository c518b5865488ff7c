// SPDX-License-Identifier: Apache-2.0
// virtio-pmem-pci: its properties and their checks.
#include "config.h"
#include "error.h"
#include "props.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

// PROP_WORD writes an unsigned into this.
static_assert(sizeof(enum werror) == sizeof(unsigned), "werror");

const char *const werror_words[] = { [WERROR_REPORT] = "report", [WERROR_STOP] = "stop", NULL };

#define PMEM(field) offsetof(struct pmem_config, field)

static const struct prop virtio_pmem_pci_props[] = {
	{ .name = "memaddr",
	  .type = PROP_UINT64,
	  .offset = PMEM(memaddr),
	  .def = "0",
	  .help = "Guest-physical address of the memory; 0: chosen" },
	{ .name = "memdev",
	  .type = PROP_LINK,
	  .type_name = "link<memory-backend>",
	  .offset = PMEM(memdev),
	  .link = "memory-backend-file",
	  .why = "a flush needs a file; with a directory as mem-path, memory-backend-file makes an unlinked scratch file",
	  .exclusive = true },
	{ .name = "shmem",
	  .type = PROP_BOOL,
	  .offset = PMEM(shmem),
	  .def = "off",
	  .help = "Offer VIRTIO_PMEM_F_SHMEM_REGION: the memory is a BAR" },
	{ .name = "werror",
	  .type = PROP_WORD,
	  .type_name = "PmemWerror",
	  .offset = PMEM(werror),
	  .words = werror_words,
	  .def = "report",
	  .help = "When a sync fails: report it to the guest, or pause the machine first" },
};

const struct prop_class virtio_pmem_pci_class = {
	.name = "virtio-pmem-pci",
	.prefix = "",
	.unknown = PROP_UNKNOWN_NOT_FOUND,
	.base = &virtio_pci_class,
	.props = virtio_pmem_pci_props,
	.nprops = sizeof(virtio_pmem_pci_props) / sizeof(virtio_pmem_pci_props[0]),
};

static int check(struct device_config *dev, struct vpmem_error *err)
{
	const struct pmem_config *cfg = device_config_as(dev, &virtio_pmem_pci_model);

	if (!cfg->memdev || !*cfg->memdev)
		return error_set(err, -EINVAL, "'memdev' property must be set");
	if (cfg->memaddr % VPMEM_GRANULE != 0)
		return error_set(err, -EINVAL, "address must be aligned to 0x%" PRIx64 " bytes", VPMEM_GRANULE);
	if (cfg->shmem && cfg->memaddr != 0)
		return error_set(err, -EINVAL, "'memaddr' and 'shmem=on' are incompatible: the guest places a BAR");
	return 0;
}

static const char *const virtio_props[] = { "event_idx", "indirect_desc", "memaddr", "memdev", "queue_reset", NULL };

const struct device_model virtio_pmem_pci_model = {
	.props = &virtio_pmem_pci_class,
	.config_size = sizeof(struct pmem_config),
	.category = "Misc",
	.description = "Persistent memory: a file as /dev/pmemN",
	.virtio_name = "virtio-pmem",
	.virtio_props = virtio_props,
	.check = check,
};
