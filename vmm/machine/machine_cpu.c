// SPDX-License-Identifier: Apache-2.0
// The machine's vCPUs: what their exits mean here, and the registers with which they begin.
#include "machine_cpu.h"

#include "cpu.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_fault.h"
#include "machine_find.h"
#include "machine_store.h"

#include <errno.h>
#include <string.h>

// ---- exits, in a vCPU's thread

static void on_mmio(void *owner, gpa_t gpa, void *data, unsigned len, bool is_write)
{
	struct machine *m = owner;
	uint64_t off, val = 0;
	struct pmem *pmem = machine_find_pmem_at(m, gpa, &off);

	if (pmem) {
		machine_pmem_access(pmem, off, data, len, is_write);
	} else if (is_write) {
		memcpy(&val, data, len);
		io_write(&m->mmio, gpa, len, val);
	} else {
		val = io_read(&m->mmio, gpa, len);
		memcpy(data, &val, len);
	}
}

static void on_no_memory(void *owner)
{
	machine_no_page(owner, NULL, -EFAULT);
}

static void on_request(void *owner, enum vcpu_request request)
{
	switch (request) {
	case VCPU_RESET:
		machine_request(owner, REQUEST_RESET, CAUSE_GUEST_RESET);
		break;
	case VCPU_POWER_OFF:
		machine_request(owner, REQUEST_POWER_OFF, CAUSE_GUEST_SHUTDOWN);
		break;
	}
}

static void on_internal_error(void *owner, enum vcpu_error error)
{
	struct machine *m = owner;

	if (error == VCPU_CANNOT_EMULATE)
		machine_refuse_unknown_store(m);
	if (!m->internal_error)
		log_guest("the guest cannot go on and is paused: system_reset, then cont");
	m->internal_error = true;
	machine_halt(m);
}

static const struct vcpu_ops ops = {
	.mmio = on_mmio,
	.no_memory = on_no_memory,
	.request = on_request,
	.internal_error = on_internal_error,
};

// ---- registers

static int set_up_one(struct machine *m, unsigned idx, struct vpmem_error *err)
{
	int fd = m->vcpus.vcpu[idx].fd;
	int rc = cpu_set_cpuid(m->cpu_host, fd, idx, m->vcpus.n, err);

	if (rc < 0)
		return rc;
	rc = cpu_msrs_save(m->cpu_host, fd, &m->new_msrs[idx]);
	if (rc < 0)
		return error_set(err, rc, "kvm: cannot read the MSRs of vCPU %u: %s", idx, strerror(-rc));
	cpu_msrs_set_firmware(fd, m->new_msrs[idx]);
	return 0;
}

int machine_cpus_up(struct machine *m, struct vpmem_error *err)
{
	const struct vcpus_config cfg = {
		.kvm = &m->kvm, .lock = &m->lock, .pio = &m->pio, .ops = &ops, .owner = m, .n = m->opts->ncpus
	};
	int rc = vcpus_create(&m->vcpus, &cfg, err);

	for (unsigned i = 0; i < m->vcpus.n && rc == 0; i++)
		rc = set_up_one(m, i, err);
	m->vcpus_are_new = true;
	return rc;
}

void machine_cpus_down(struct machine *m)
{
	vcpus_destroy(&m->vcpus);
	for (unsigned i = 0; i < m->opts->ncpus; i++) {
		cpu_msrs_free(m->new_msrs[i]);
		m->new_msrs[i] = NULL;
	}
}

int machine_cpus_reset(struct machine *m, const struct boot_entry *entry)
{
	int rc = 0;

	for (unsigned i = 0; i < m->vcpus.n && rc == 0 && !m->vcpus_are_new; i++)
		rc = cpu_reset(m->vcpus.vcpu[i].fd, i, m->new_msrs[i]);
	m->vcpus_are_new = false;
	return rc ? rc : cpu_set_entry(m->vcpus.vcpu[0].fd, &m->gmem, entry);
}
