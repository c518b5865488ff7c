// SPDX-License-Identifier: Apache-2.0
// The life of the machine: run, reset, end.
#include "machine_internal.h"

#include "acpi.h"
#include "log.h"

#include <errno.h>
#include <string.h>

void machine_request(struct machine *m, enum machine_request request)
{
	if (request > m->request)
		m->request = request;
	vcpus_stop(&m->vcpus);
	if (m->console)
		chardev_interrupt(m->console);
	loop_wake(&m->loop);
}

static int build_acpi(struct machine *m, uint64_t *rsdp_gpa, struct vpmem_error *err)
{
	struct acpi_config cfg = { .gmem = m->gmem, .ncpus = m->opts->ncpus,
	                           .mem64_gpa = m->mem64_gpa, .mem64_size = m->mem64_size };
	int rc = acpi_build(&cfg, rsdp_gpa);

	return rc ? error_set(err, rc, "cannot build the ACPI tables: %s", strerror(-rc)) : 0;
}

// The tables too: a guest that ran before may have written over them.
int machine_load_guest(struct machine *m, struct vpmem_error *err)
{
	const struct options *opts = m->opts;
	struct boot_source source = {
		.kernel_path = opts->kernel,
		.initrd_path = opts->initrd,
		.kernel_fd = m->kernel_fd,
		.initrd_fd = m->initrd_fd,
		.cmdline = opts->append ? opts->append : "",
		.gmem = m->gmem,
		.ram_size = opts->ram_size,
	};
	struct boot_entry entry;
	int rc = build_acpi(m, &source.rsdp_gpa, err);

	if (rc == 0)
		rc = boot_load(&source, &entry, err);
	if (rc < 0)
		return rc;
	rc = vcpus_reset(&m->vcpus, m->gmem, &entry);
	return rc ? error_set(err, rc, "kvm: cannot set the vCPUs' registers: %s", strerror(-rc)) : 0;
}

// The same machine from its beginning. Devices first: none of them may write to memory while it is loaded.
static int reset(struct machine *m)
{
	struct vpmem_error err = { "", "" };
	int rc;

	vcpus_pause(&m->vcpus);
	// Another vCPU of the old life may have asked as well.
	if (m->request == REQUEST_RESET)
		m->request = REQUEST_NONE;
	pci_bus_reset(m->pci);
	serial_reset(m->serial);
	rc = kvm_reset_irqchips(&m->kvm);
	if (rc == 0)
		rc = machine_load_guest(m, &err);
	else
		error_set(&err, rc, "kvm: cannot reset the interrupt controllers: %s", strerror(-rc));
	if (rc < 0) {
		log_error("reset: %s", err.text);
		return rc;
	}
	vcpus_resume(&m->vcpus);
	return 0;
}

// Serves what was asked for. Returns true when the machine has come to its end.
static bool serve_request(struct machine *m, int *result)
{
	enum machine_request request = m->request;

	m->request = REQUEST_NONE;
	if (request == REQUEST_RESET && !m->opts->no_reboot) {
		*result = reset(m);
		return *result < 0;
	}
	*result = request == REQUEST_FAIL ? -EIO : 0;
	return request != REQUEST_NONE;
}

int machine_run(struct machine *m)
{
	int result = 0, rc = 0;

	pthread_mutex_lock(&m->lock);
	// -serial unix:...,wait=on: the guest starts when somebody listens.
	while (rc == 0 && m->request == REQUEST_NONE && m->opts->serial.wait && !chardev_connected(m->console))
		rc = loop_once(&m->loop);
	if (rc == 0 && m->request == REQUEST_NONE)
		vcpus_resume(&m->vcpus);
	while (rc == 0 && !serve_request(m, &result))
		rc = loop_once(&m->loop);
	if (rc < 0)
		log_error("event loop: poll: %s", strerror(-rc));
	vcpus_stop(&m->vcpus);
	chardev_interrupt(m->console);
	vcpus_pause(&m->vcpus);
	pthread_mutex_unlock(&m->lock);
	return rc ? rc : result;
}
