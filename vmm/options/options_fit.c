// SPDX-License-Identifier: Apache-2.0
// Checks each object and device of a command line against those before it.
#include "error.h"
#include "options_internal.h"
#include "suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int options_check_memdev(const struct machine_config *have, const struct memdev_config *cfg, enum props_form form,
                         struct vpmem_error *err)
{
	for (unsigned i = 0; i < have->nmemdevs; i++) {
		if (strcmp(have->memdevs[i].id, cfg->id) != 0)
			continue;
		if (form == PROPS_JSON)
			error_set(err, -EEXIST,
			          "attempt to add duplicate property '%.200s' to object "
			          "(type 'container')",
			          cfg->id);
		else
			error_set(err, -EEXIST, "Duplicate ID '%.200s' for object", cfg->id);
		return -EEXIST;
	}
	return 0;
}

static int check_memdev_exists(const struct machine_config *have, const char *id, struct vpmem_error *err)
{
	struct suggest s = { .word = id };

	for (unsigned i = 0; i < have->nmemdevs; i++) {
		if (strcmp(have->memdevs[i].id, id) == 0)
			return 0;
		suggest_offer(&s, have->memdevs[i].id);
	}
	error_set(err, -ENODEV, "Device '%.200s' not found", id);
	if (s.best)
		error_hint(err, "did you mean memdev=%s?", s.best);
	else
		error_hint(err, "memdev names an object: memory-backend-file,id=%s,share=on,mem-path=FILE", id);
	return -ENODEV;
}

static int check_against(const struct pmem_config *other, const struct pmem_config *cfg, enum props_form form,
                         struct vpmem_error *err)
{
	char by[128];

	if (cfg->id && other->id && strcmp(cfg->id, other->id) == 0)
		return error_set(err, -EEXIST,
		                 form == PROPS_JSON ? "Duplicate device ID '%.200s'" :
		                                      "Duplicate ID '%.200s' for device",
		                 cfg->id);
	if (strcmp(cfg->memdev, other->memdev) == 0) {
		error_set(err, -EBUSY, "can't use already busy memdev: %s", cfg->memdev);
		error_hint(err, "every device needs an object of its own");
		return -EBUSY;
	}
	if (cfg->slot < 0 || cfg->slot != other->slot || cfg->bus_nr != other->bus_nr)
		return 0;
	snprintf(by, sizeof(by), "virtio-pmem-pci,id=%s", other->id ? other->id : "(null)");
	error_set(err, -EBUSY, "PCI: slot %d function 0 not available for virtio-pmem-pci, in use by %s", cfg->slot,
	          by);
	error_hint(err, "choose another slot from 1 to 1f, or leave addr out");
	return -EBUSY;
}

static int no_room(const struct pmem_config *cfg, unsigned nbuses, bool bus_full, struct vpmem_error *err)
{
	error_set(err, -ENOSPC, "PCI: no slot/function available for virtio-pmem-pci, all in use or reserved");
	if (bus_full)
		error_hint(err, "pcie.%d has room for %u devices: leave bus and addr out, or name another bus",
		           cfg->bus_nr, PCI_BUS_DEVICES);
	else if (nbuses < PCI_BUSES_MAX)
		error_hint(err, "use -machine pci-buses=%u: each bus has room for %u devices", nbuses + 1,
		           PCI_BUS_DEVICES);
	else
		error_hint(err, "%u buses have room for %u devices", nbuses, nbuses * PCI_BUS_DEVICES);
	return -ENOSPC;
}

static int check_room(const struct machine_config *have, const struct pmem_config *cfg, struct vpmem_error *err)
{
	unsigned nbuses = have->nbuses ? have->nbuses : PCI_BUSES_MAX, nthere = 0;

	if (cfg->bus_nr >= (int)nbuses) {
		error_set(err, -ENODEV, "Bus '%s' not found", cfg->bus);
		error_hint(err,
		           "use -machine pci-buses=%d, or leave that out: the machine has as many as its devices need",
		           cfg->bus_nr + 1);
		return -ENODEV;
	}
	for (unsigned i = 0; i < have->npmems; i++)
		nthere += cfg->bus_nr >= 0 && have->pmems[i].bus_nr == cfg->bus_nr;
	if (nthere >= PCI_BUS_DEVICES && nbuses > 1)
		return no_room(cfg, nbuses, true, err);
	return have->npmems >= nbuses * PCI_BUS_DEVICES ? no_room(cfg, nbuses, false, err) : 0;
}

unsigned options_nbuses(const struct machine_config *opts)
{
	unsigned needed = opts->npmems > 0 ? (opts->npmems + PCI_BUS_DEVICES - 1) / PCI_BUS_DEVICES : 1;

	for (unsigned i = 0; i < opts->npmems; i++)
		if (opts->pmems[i].bus_nr >= (int)needed)
			needed = (unsigned)opts->pmems[i].bus_nr + 1;
	return needed;
}

int options_check_pmem(const struct machine_config *have, const struct pmem_config *cfg, enum props_form form,
                       struct vpmem_error *err)
{
	int rc = check_memdev_exists(have, cfg->memdev, err);

	for (unsigned i = 0; i < have->npmems && rc == 0; i++)
		rc = check_against(&have->pmems[i], cfg, form, err);
	return rc == 0 ? check_room(have, cfg, err) : rc;
}

int options_add_memdev(struct machine_config *opts, struct memdev_config *cfg)
{
	struct memdev_config *list = reallocarray(opts->memdevs, opts->nmemdevs + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	opts->memdevs = list;
	list[opts->nmemdevs++] = *cfg;
	*cfg = (struct memdev_config) { 0 };
	return 0;
}

int options_add_pmem(struct machine_config *opts, struct pmem_config *cfg)
{
	struct pmem_config *list = reallocarray(opts->pmems, opts->npmems + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	opts->pmems = list;
	list[opts->npmems++] = *cfg;
	*cfg = (struct pmem_config) { .slot = -1 };
	return 0;
}
