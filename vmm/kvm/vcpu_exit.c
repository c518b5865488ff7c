// SPDX-License-Identifier: Apache-2.0
// Serves the exits of a vCPU: ports, memory, the guest's end, and what KVM cannot go on with.
#include "vcpu_exit.h"

#include "log.h"
#include "posted.h"
#include "vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static void serve_io(struct vcpus *vcpus, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	// String instructions come as several accesses of one port.
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, run->io.size);
			io_write(vcpus->pio, run->io.port, run->io.size, val);
		} else {
			val = io_read(vcpus->pio, run->io.port, run->io.size);
			memcpy(data, &val, run->io.size);
		}
	}
}

static void serve_mmio(struct vcpus *vcpus, struct kvm_run *run)
{
	vcpus->ops->mmio(vcpus->owner, run->mmio.phys_addr, run->mmio.data, run->mmio.len, run->mmio.is_write);
}

static void request(struct vcpu *vcpu, enum vcpu_request what)
{
	vcpu->vcpus->ops->request(vcpu->vcpus->owner, what);
}

static uint64_t rip_of(struct vcpu *vcpu)
{
	struct kvm_regs regs = { 0 };

	(void)ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

// A guest can bring a vCPU here as often as it is reset: the log is limited in rate.
static void cannot_run(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	log_guest("vcpu %u: %s: 0x%" PRIx64 ": rip 0x%" PRIx64, vcpu->idx, what, detail, rip_of(vcpu));
	vcpu->vcpus->ops->internal_error(vcpu->vcpus->owner, VCPU_CANNOT_RUN);
}

static void cannot_emulate(struct vcpu *vcpu, const struct kvm_run *run)
{
	const uint64_t flags = run->emulation_failure.ndata > 0 ? run->emulation_failure.flags : 0;
	const uint8_t *bytes = run->emulation_failure.insn_bytes;
	char text[3 * sizeof(run->emulation_failure.insn_bytes) + 1] = " (unknown)";
	unsigned n = 0;

	if (flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
		n = run->emulation_failure.insn_size;
	for (unsigned i = 0; i < n && i < sizeof(run->emulation_failure.insn_bytes); i++)
		snprintf(text + 3 * i, sizeof(text) - 3 * i, " %02x", bytes[i]);
	log_guest("vcpu %u: KVM cannot emulate an instruction:%s: rip 0x%" PRIx64, vcpu->idx, text, rip_of(vcpu));
	vcpu->vcpus->ops->internal_error(vcpu->vcpus->owner, VCPU_CANNOT_EMULATE);
}

static void serve_internal_error(struct vcpu *vcpu, const struct kvm_run *run)
{
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		cannot_emulate(vcpu, run);
	else
		cannot_run(vcpu, "KVM internal error", run->internal.suberror);
}

// The guest had the processor for the whole notify window without a place where an interrupt is served.
static void serve_notify(struct vcpu *vcpu, const struct kvm_run *run)
{
	vcpu->nnotify++;
	if (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)
		cannot_run(vcpu, "the processor lost the guest's state: notify flags", run->notify.flags);
	else
		log_guest("vcpu %u: the guest blocks interrupts of the host: rip 0x%" PRIx64, vcpu->idx, rip_of(vcpu));
}

void vcpu_take_posted(struct vcpus *vcpus)
{
	if (vcpus->posted)
		(void)posted_take(vcpus->posted, vcpus->pio);
}

void vcpu_serve_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	// They came before whatever the vCPU left the guest for, and none may remain when the machine is reset.
	vcpu_take_posted(vcpu->vcpus);
	if (run->exit_reason == KVM_EXIT_X86_BUS_LOCK || run->flags & KVM_RUN_X86_BUS_LOCK)
		vcpu->nbus_locks++;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		serve_io(vcpu->vcpus, run);
		break;
	case KVM_EXIT_MMIO:
		serve_mmio(vcpu->vcpus, run);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		// A triple fault: a processor would reset the machine.
		log_guest("vcpu %u: triple fault: the machine is reset", vcpu->idx);
		request(vcpu, VCPU_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		request(vcpu, run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN ? VCPU_POWER_OFF : VCPU_RESET);
		break;
	case KVM_EXIT_X86_BUS_LOCK:
		// Counted above. That the guest was left is what slows it down, and protects the host.
		break;
	case KVM_EXIT_NOTIFY:
		serve_notify(vcpu, run);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		serve_internal_error(vcpu, run);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		cannot_run(vcpu, "the processor refused to enter the guest: hardware reason",
		           run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_UNKNOWN:
		cannot_run(vcpu, "unknown exit from the guest: hardware reason", run->hw.hardware_exit_reason);
		break;
	default:
		cannot_run(vcpu, "unexpected exit from KVM: reason", run->exit_reason);
	}
}

void vcpu_serve_error(struct vcpu *vcpu, int error)
{
	if (error == EFAULT)
		vcpu->vcpus->ops->no_memory(vcpu->vcpus->owner);
	else
		cannot_run(vcpu, "KVM_RUN failed: errno", (uint64_t)error);
}
