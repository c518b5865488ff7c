// SPDX-License-Identifier: Apache-2.0
/*
 * cpu_state.c - puts a vCPU back into the state in which KVM creates it.
 *
 * KVM has no call that resets a vCPU. Most of the state after power-on is the same on every processor, and stands
 * here as it does in the manuals: Intel SDM volume 3, "Processor State After Reset", and AMD APM volume 2, "Processor
 * Initialization". MSRs are the processor's and KVM's: those of the new vCPU are saved.
 * tests/unit/x86/cpu_test.c compares all of it with what KVM has.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpu_host.h"
#include "memory_map.h"

#define MSRS_AT_ONCE 255u   /* what KVM accepts */

#define MSR_TSC 0x10u
#define MSR_TSC_ADJUST 0x3bu
#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRINGS 1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0x806u

#define TYPE_CODE 0xbu      /* execute, read, accessed */
#define TYPE_DATA 0x3u      /* read, write, accessed */
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

/* Not in KVM's list of what is worth saving: ranges, fixed ranges, the default type. */
static const uint32_t mtrrs[] = {
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207,
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	MSR_MTRR_DEF_TYPE,
};
#define NMTRRS (sizeof(mtrrs) / sizeof(mtrrs[0]))

union msrs {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) + MSRS_AT_ONCE * sizeof(struct kvm_msr_entry)];
};

struct cpu_state {
	unsigned idx;
	unsigned nmsrs;
	struct kvm_msr_entry *msrs;
};

/*
 * Reads n MSRs, n <= MSRS_AT_ONCE, and returns how many KVM could read: the one behind them it could not.
 */
static int get_msrs(int vcpu_fd, struct kvm_msr_entry *entries, unsigned n)
{
	union msrs batch = { .head.nmsrs = n };
	int nread;

	memcpy(batch.head.entries, entries, n * sizeof(entries[0]));
	nread = ioctl(vcpu_fd, KVM_GET_MSRS, &batch.head);
	if (nread < 0)
		return -errno;
	memcpy(entries, batch.head.entries, (unsigned)nread * sizeof(entries[0]));
	return nread;
}

/* Fills in the values, drops those that cannot be read, and returns how many are left. */
static int read_msrs(int vcpu_fd, struct kvm_msr_entry *entries, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		unsigned want = n - done < MSRS_AT_ONCE ? n - done : MSRS_AT_ONCE;
		int nread = get_msrs(vcpu_fd, entries + done, want);

		if (nread < 0)
			return nread;
		done += (unsigned)nread;
		if ((unsigned)nread == want)
			continue;
		n--;
		memmove(entries + done, entries + done + 1, (n - done) * sizeof(entries[0]));
	}
	return (int)n;
}

static int save_msrs(const struct cpu_host *host, int vcpu_fd, struct cpu_state *state)
{
	const struct kvm_msr_list *list = host->msrs;
	unsigned n = 0;
	int nread;

	state->msrs = calloc(list->nmsrs + NMTRRS, sizeof(state->msrs[0]));
	if (!state->msrs)
		return -ENOMEM;
	for (unsigned i = 0; i < list->nmsrs; i++)
		state->msrs[n++].index = list->indices[i];
	for (unsigned i = 0; i < NMTRRS; i++)
		state->msrs[n++].index = mtrrs[i];
	nread = read_msrs(vcpu_fd, state->msrs, n);
	if (nread < 0)
		return nread;
	state->nmsrs = (unsigned)nread;
	return 0;
}

/* The guest's clock goes on over a reset. */
static bool goes_on(uint32_t msr)
{
	return msr == MSR_TSC || msr == MSR_TSC_ADJUST;
}

static void set_msr(int vcpu_fd, const struct kvm_msr_entry *entry)
{
	union msrs one = { .head.nmsrs = 1 };

	one.head.entries[0] = *entry;
	(void)ioctl(vcpu_fd, KVM_SET_MSRS, &one.head);
}

/*
 * Without firmware nobody enables the MTRRs, and then Linux uses no PAT either; and on Intel's processors
 * it does not trust `rep movs` unless fast strings are on. KVM may lack either register, or not let it be set.
 */
void cpu_state_set_firmware_msrs(int vcpu_fd, struct cpu_state *state)
{
	union msrs batch = { .head.nmsrs = 0 };
	struct kvm_msr_entry *entries = batch.head.entries;
	int nset;

	for (unsigned i = 0; i < state->nmsrs; i++) {
		struct kvm_msr_entry *msr = &state->msrs[i];

		if (msr->index == MSR_MTRR_DEF_TYPE)
			msr->data = MTRR_ENABLED_WRITE_BACK;
		else if (msr->index == MSR_MISC_ENABLE)
			msr->data |= MISC_ENABLE_FAST_STRINGS;
		else
			continue;
		entries[batch.head.nmsrs++] = *msr;
	}
	nset = ioctl(vcpu_fd, KVM_SET_MSRS, &batch.head);
	/* KVM stops at the first that it refuses. */
	for (unsigned i = nset < 0 ? 0 : (unsigned)nset + 1; i < batch.head.nmsrs; i++)
		set_msr(vcpu_fd, &entries[i]);
}

/* Only what differs, because some are read-only; what KVM does not accept stays. */
static int restore_msrs(int vcpu_fd, const struct cpu_state *state)
{
	struct kvm_msr_entry now[MSRS_AT_ONCE];

	for (unsigned first = 0; first < state->nmsrs; first += MSRS_AT_ONCE) {
		const struct kvm_msr_entry *want = state->msrs + first;
		unsigned left = state->nmsrs - first, n = left < MSRS_AT_ONCE ? left : MSRS_AT_ONCE;
		int nread;

		memcpy(now, want, n * sizeof(now[0]));
		nread = get_msrs(vcpu_fd, now, n);
		if (nread < 0)
			return nread;
		for (unsigned i = 0; i < n; i++) {
			/* Beyond nread it is not known. */
			bool differs = i >= (unsigned)nread || now[i].data != want[i].data;

			if (differs && !goes_on(want[i].index))
				set_msr(vcpu_fd, &want[i]);
		}
	}
	return 0;
}

int cpu_state_save(const struct cpu_host *host, int vcpu_fd, unsigned idx, struct cpu_state **out)
{
	struct cpu_state *state = calloc(1, sizeof(*state));
	int rc;

	if (!state)
		return -ENOMEM;
	state->idx = idx;
	rc = save_msrs(host, vcpu_fd, state);
	if (rc < 0) {
		cpu_state_free(state);
		return rc;
	}
	*out = state;
	return 0;
}

/*
 * A guest hypervisor is gone: VMX is off, SVM's global interrupt flag set. KVM says by EINVAL, or by ENOTTY when it is
 * old, that it has no nested guests.
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
	return (struct kvm_segment){
		.base = base, .limit = 0xffff, .selector = selector, .type = type, .present = 1, .s = !is_system,
	};
}

static int reset_segments(int vcpu_fd, unsigned idx)
{
	const struct kvm_segment data = real_mode_segment(0, 0, TYPE_DATA, false);
	const struct kvm_sregs sregs = {
		.cs = real_mode_segment(0xf000, 0xffff0000, TYPE_CODE, false),
		.ds = data, .es = data, .fs = data, .gs = data, .ss = data,
		.ldt = real_mode_segment(0, 0, TYPE_LDT, true),
		.tr = real_mode_segment(0, 0, TYPE_TSS_BUSY, true),
		.gdt.limit = 0xffff, .idt.limit = 0xffff,
		.cr0 = 0x60000010,
		.apic_base = cpu_new_apic_base(idx),
	};

	return ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

/*
 * RDX, the processor's model, is seen by nobody: vCPU 0 has the kernel's entry, and KVM's INIT sets it of the others.
 */
static int reset_registers(int vcpu_fd)
{
	const struct kvm_regs regs = { .rip = 0xfff0, .rflags = 2 };
	const struct kvm_debugregs debugregs = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	return ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0 || ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &debugregs) < 0 ? -errno : 0;
}

/*
 * Of x87 and SSE the control words; they count only when XSTATE_BV names both. What it does not name KVM initializes.
 * KVM expects more than struct kvm_xsave only of a program that asked for larger components (AMX) by arch_prctl.
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

/* Its version stays. In xAPIC mode, which the APIC base has selected. */
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
	/* Beyond the six that all have. */
	if ((version >> 16 & 0xff) >= 6)
		set_apic(&apic, APIC_LVT_CMCI, LVT_MASKED);
	/* Not the manual's: KVM begins with the first processor's PIC connected, as firmware leaves it. */
	if (idx == 0)
		set_apic(&apic, APIC_LVT_LINT0, LVT_EXTINT);
	return ioctl(vcpu_fd, KVM_SET_LAPIC, &apic) < 0 ? -errno : 0;
}

/* Nothing waits; the first processor runs, the others wait for it. */
static int reset_run_state(int vcpu_fd, unsigned idx)
{
	const struct kvm_vcpu_events events = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM,
	};
	const struct kvm_mp_state mp_state = { .mp_state = idx == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED };

	if (ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0 || ioctl(vcpu_fd, KVM_SET_MP_STATE, &mp_state) < 0)
		return -errno;
	return 0;
}

/*
 * KVM takes a TSC of 0 to mean "as the machine's other vCPUs", and goes on counting. That is needed after a
 * triple fault on AMD, where KVM clears the control block with the TSC offset in it.
 */
static void synchronize_tsc(int vcpu_fd)
{
	set_msr(vcpu_fd, &(struct kvm_msr_entry){ .index = MSR_TSC, .data = 0 });
}

/*
 * Lets KVM do an INIT at once: nothing else ends the halt of a vCPU that waits for a page of the host (KVM's
 * asynchronous page faults), and no ioctl shows it. Of the rest of an INIT nothing is left after a restore.
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
 * The order matters. Reading the run state first makes KVM accept an INIT or SIPI that still waits, so that
 * it does not come after the reset. A guest hypervisor's mode goes before an INIT, which it may block, and
 * before the control registers, because VMX fixes bits of them. The APIC base, in sregs, decides what the
 * LAPIC registers mean, and the LAPIC's timer mode whether the TSC deadline MSR does anything. Events and run
 * state come last, because setting registers may change them.
 */
int cpu_state_restore(int vcpu_fd, const struct cpu_state *state)
{
	struct kvm_mp_state accepted;
	int rc = ioctl(vcpu_fd, KVM_GET_MP_STATE, &accepted) < 0 ? -errno : reset_nested(vcpu_fd);

	if (rc == 0)
		rc = end_halt(vcpu_fd);
	if (rc == 0)
		rc = reset_segments(vcpu_fd, state->idx);
	if (rc == 0)
		rc = reset_registers(vcpu_fd);
	if (rc == 0)
		rc = reset_fpu(vcpu_fd);
	if (rc == 0)
		rc = reset_lapic(vcpu_fd, state->idx);
	if (rc == 0)
		rc = restore_msrs(vcpu_fd, state);
	if (rc < 0)
		return rc;
	synchronize_tsc(vcpu_fd);
	return reset_run_state(vcpu_fd, state->idx);
}

void cpu_state_free(struct cpu_state *state)
{
	if (!state)
		return;
	free(state->msrs);
	free(state);
}
