// SPDX-License-Identifier: Apache-2.0
// Serves the exits of a vCPU: ports, memory, the guest's end, and what KVM cannot go on with.
#include "vcpu_exit.h"

#include "log.h"
#include "posted.h"
#include "vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
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

static void fail(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	log_error("vcpu %u: %s: 0x%" PRIx64 ": rip 0x%" PRIx64, vcpu->idx, what, detail, (uint64_t)regs.rip);
	request(vcpu, VCPU_FAILED);
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
	case KVM_EXIT_INTERNAL_ERROR:
		fail(vcpu, "KVM internal error (1: it could not emulate an instruction)", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fail(vcpu, "the processor refused to enter the guest: hardware reason",
		     run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		fail(vcpu, "unexpected exit from KVM: reason", run->exit_reason);
	}
}

void vcpu_serve_error(struct vcpu *vcpu, int error)
{
	if (error == EFAULT)
		vcpu->vcpus->ops->no_memory(vcpu->vcpus->owner);
	else
		fail(vcpu, "KVM_RUN failed: errno", (uint64_t)error);
}
