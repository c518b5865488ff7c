// SPDX-License-Identifier: Apache-2.0
// Puts the guest into memory: ACPI tables, kernel, and the registers that go with its entry.
#include "machine_load.h"

#include "acpi.h"
#include "boot.h"
#include "error.h"
#include "machine.h"
#include "machine_cpu.h"
#include "parse.h"
#include "pci.h"

#include <string.h>

// Its first three fields are little-endian in memory, and big-endian in the text.
static const uint8_t *generation_id(const struct machine *m, uint8_t guid[16])
{
	static const uint8_t places[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t bytes[16];

	if (!uuid_parse(m->vm_generation_id, bytes))
		return NULL;
	for (unsigned i = 0; i < 16; i++)
		guid[i] = bytes[places[i]];
	return guid;
}

static int build_acpi(struct machine *m, uint64_t *rsdp_gpa, struct vpmem_error *err)
{
	struct acpi_config cfg = { .gmem = &m->gmem, .ncpus = m->opts->ncpus, .nbuses = pci_bus_count(m->pci) };
	uint8_t guid[16];
	int rc;

	cfg.vm_generation_id = generation_id(m, guid);
	for (unsigned nr = 0; nr < cfg.nbuses; nr++) {
		const struct pci_windows share = pci_bus_windows(m->pci, nr);

		cfg.windows[nr] = (struct acpi_windows) {
			.mem32_gpa = share.mem32_gpa,
			.mem32_size = share.mem32_size,
			.mem64_gpa = share.mem64_gpa,
			.mem64_size = share.mem64_size,
		};
	}
	rc = acpi_build(&cfg, rsdp_gpa);
	return rc ? error_set(err, rc, "cannot build the ACPI tables: %s", strerror(-rc)) : 0;
}

// The tables as well: a guest that ran before may have written over them.
int machine_load_guest(struct machine *m, struct vpmem_error *err)
{
	const struct machine_config *opts = m->opts;
	struct boot_source source = {
		.kernel_path = opts->kernel,
		.initrd_path = opts->initrd,
		.kernel_fd = m->kernel_fd,
		.initrd_fd = m->initrd_fd,
		.cmdline = opts->append ? opts->append : "",
		.gmem = &m->gmem,
		.ram_size = opts->ram_size,
	};
	struct boot_entry entry;
	int rc = build_acpi(m, &source.rsdp_gpa, err);

	if (rc == 0)
		rc = boot_load(&source, &entry, err);
	if (rc < 0)
		return rc;
	rc = machine_cpus_reset(m, &entry);
	return rc ? error_set(err, rc, "kvm: cannot set the vCPUs' registers: %s", strerror(-rc)) : 0;
}
