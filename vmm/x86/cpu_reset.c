// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_reset.c - restores a vCPU to the state in which KVM creates it.
 *
 * KVM has no call that resets a vCPU. Most of the state after power-on is the same on every processor. It is
 * given here as in the manuals: Intel SDM volume 3, "Processor State After Reset", and AMD APM volume 2, "Processor
 * Initialization". The rest is MSRs (cpu_msrs.c). tests/unit/vmm/x86/cpu_test.c compares all of it with KVM's state.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu_host.h"
#include "memory_map.h"

#define TYPE_CODE 0xbu /* execute, read, accessed */
#define TYPE_DATA 0x3u /* read, write, accessed */
#define TYPE_LDT 0x2u
#define TYPE_TSS_BUSY 0xbu

#define APIC_BASE_BSP 0x100u
#define APIC_BASE_ENABLE 0x800u

#define APIC_ID 0x20u
#define APIC_VERSION 0x30u
#define APIC_DESTINATION_FORMAT 0xe0u
#define APIC_SPURIOUS 0xf0u
#define APIC_LVT_CMCI 0x2f0u
#define APIC_LVT_TIMER 0x320u
#define APIC_LVT_LINT0 0x350u
#define APIC_LVT_ERROR 0x370u
#define LVT_MASKED 0x10000u
#define LVT_EXTINT 0x700u

/*
 * Ends the mode of a guest hypervisor: VMX is off, SVM's global interrupt flag is set. KVM returns EINVAL (an old KVM
 * ENOTTY) if it does not support nested guests.
 */
static int reset_nested(int vcpu_fd)
{
	union {
		struct kvm_nested_state head;
		uint8_t room[sizeof(struct kvm_nested_state) + sizeof(struct kvm_vmx_nested_state_data)];
	} now = { .head.size = sizeof(now) };
	struct kvm_nested_state state = { .size = sizeof(state) };

	if (ioctl(vcpu_fd, KVM_GET_NESTED_STATE, &now.head) < 0)
		return errno == EINVAL || errno == ENOTTY ? 0 : -errno;
	state.format = now.head.format;
	if (state.format == KVM_STATE_NESTED_FORMAT_VMX)
		state.hdr.vmx.vmxon_pa = state.hdr.vmx.vmcs12_pa = UINT64_MAX;
	else
		state.flags = KVM_STATE_NESTED_GIF_SET;
	return ioctl(vcpu_fd, KVM_SET_NESTED_STATE, &state) < 0 ? -errno : 0;
}

uint64_t cpu_new_apic_base(unsigned idx)
{
	return LAPIC_GPA | APIC_BASE_ENABLE | (idx == 0 ? APIC_BASE_BSP : 0);
}

static struct kvm_segment real_mode_segment(uint16_t selector, uint64_t base, uint8_t type, bool is_system)
{
	return (struct kvm_segment) {
		.base = base,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = !is_system,
	};
}

static int reset_segments(int vcpu_fd, unsigned idx)
{
	const struct kvm_segment data = real_mode_segment(0, 0, TYPE_DATA, false);
	const struct kvm_sregs sregs = {
		.cs = real_mode_segment(0xf000, 0xffff0000, TYPE_CODE, false),
		.ds = data,
		.es = data,
		.fs = data,
		.gs = data,
		.ss = data,
		.ldt = real_mode_segment(0, 0, TYPE_LDT, true),
		.tr = real_mode_segment(0, 0, TYPE_TSS_BUSY, true),
		.gdt.limit = 0xffff,
		.idt.limit = 0xffff,
		.cr0 = 0x60000010,
		.apic_base = cpu_new_apic_base(idx),
	};

	return ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

/*
 * RDX, the processor's model, is not set: vCPU 0 gets the registers of the kernel's entry, and KVM's INIT sets RDX in
 * the others.
 */
static int reset_registers(int vcpu_fd)
{
	const struct kvm_regs regs = { .rip = 0xfff0, .rflags = 2 };
	const struct kvm_debugregs debugregs = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	return ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0 || ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &debugregs) < 0 ? -errno :
	                                                                                                      0;
}

/*
 * The control words of x87 and SSE, valid only when XSTATE_BV names both. KVM initialises the other components.
 * KVM expects more than struct kvm_xsave only from a program that requested larger components (AMX) by arch_prctl.
 */
static int reset_fpu(int vcpu_fd)
{
	const struct kvm_xsave xsave = { .region = { [0] = 0x37f, [6] = 0x1f80, [128] = 3 } };
	struct kvm_xcrs xcrs;

	if (ioctl(vcpu_fd, KVM_SET_XSAVE, &xsave) < 0 || ioctl(vcpu_fd, KVM_GET_XCRS, &xcrs) < 0)
		return -errno;
	/* None: a processor without XSAVE. */
	if (xcrs.nr_xcrs == 0)
		return 0;
	xcrs.xcrs[0].value = 1;
	return ioctl(vcpu_fd, KVM_SET_XCRS, &xcrs) < 0 ? -errno : 0;
}

static void set_apic(struct kvm_lapic_state *apic, unsigned off, uint32_t val)
{
	memcpy(apic->regs + off, &val, sizeof(val));
}

/* Keeps the version register. The APIC is in xAPIC mode, which the APIC base has selected. */
static int reset_lapic(int vcpu_fd, unsigned idx)
{
	struct kvm_lapic_state apic;
	uint32_t version;

	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &apic) < 0)
		return -errno;
	memcpy(&version, apic.regs + APIC_VERSION, sizeof(version));
	memset(&apic, 0, sizeof(apic));
	set_apic(&apic, APIC_VERSION, version);
	set_apic(&apic, APIC_ID, idx << 24);
	set_apic(&apic, APIC_DESTINATION_FORMAT, UINT32_MAX);
	set_apic(&apic, APIC_SPURIOUS, 0xff);
	for (unsigned off = APIC_LVT_TIMER; off <= APIC_LVT_ERROR; off += 0x10)
		set_apic(&apic, off, LVT_MASKED);
	/* Those beyond the six that every processor has. */
	if ((version >> 16 & 0xff) >= 6)
		set_apic(&apic, APIC_LVT_CMCI, LVT_MASKED);
	/* This is not in the manuals: KVM begins with the first processor's PIC connected, as firmware leaves it. */
	if (idx == 0)
		set_apic(&apic, APIC_LVT_LINT0, LVT_EXTINT);
	return ioctl(vcpu_fd, KVM_SET_LAPIC, &apic) < 0 ? -errno : 0;
}

/* No event is pending. The first processor runs, the others wait for its INIT. */
static int reset_run_state(int vcpu_fd, unsigned idx)
{
	const struct kvm_vcpu_events events = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM,
	};
	const struct kvm_mp_state mp_state = { .mp_state = idx == 0 ? KVM_MP_STATE_RUNNABLE :
		                                                      KVM_MP_STATE_UNINITIALIZED };

	if (ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0 || ioctl(vcpu_fd, KVM_SET_MP_STATE, &mp_state) < 0)
		return -errno;
	return 0;
}

/*
 * Makes KVM process an INIT at once. Nothing else ends the halt of a vCPU that waits for a page of the host (KVM's
 * asynchronous page faults), and no ioctl shows that state. The reset overwrites all other effects of the INIT.
 */
static int end_halt(int vcpu_fd)
{
	struct kvm_vcpu_events init = { .flags = KVM_VCPUEVENT_VALID_SMM, .smi.latched_init = 1 };
	struct kvm_mp_state accepted;

	if (ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &init) < 0 || ioctl(vcpu_fd, KVM_GET_MP_STATE, &accepted) < 0)
		return -errno;
	return 0;
}

/*
 * The order matters. Reading the run state first makes KVM process a pending INIT or SIPI, so that
 * it does not come after the reset. A guest hypervisor's mode is ended before an INIT, which it may block, and
 * before the control registers, because VMX fixes bits of them. The APIC base, in sregs, decides what the
 * LAPIC registers mean, and the LAPIC's timer mode whether the TSC deadline MSR does anything. Events and run
 * state come last, because setting registers may change them.
 */
int cpu_reset(int vcpu_fd, unsigned idx, const struct cpu_msrs *msrs)
{
	struct kvm_mp_state accepted;
	int rc = ioctl(vcpu_fd, KVM_GET_MP_STATE, &accepted) < 0 ? -errno : reset_nested(vcpu_fd);

	if (rc == 0)
		rc = end_halt(vcpu_fd);
	if (rc == 0)
		rc = reset_segments(vcpu_fd, idx);
	if (rc == 0)
		rc = reset_registers(vcpu_fd);
	if (rc == 0)
		rc = reset_fpu(vcpu_fd);
	if (rc == 0)
		rc = reset_lapic(vcpu_fd, idx);
	if (rc == 0)
		rc = cpu_msrs_restore(vcpu_fd, msrs);
	return rc ? rc : reset_run_state(vcpu_fd, idx);
}
