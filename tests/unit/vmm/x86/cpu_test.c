// SPDX-License-Identifier: Apache-2.0
/*
 * Tests of a vCPU's beginning and reset, on real KVM: the kernel's entry in both modes, and that a reset undoes what a
 * guest may have done, into the very state in which this host's KVM creates a vCPU. Skips where KVM cannot run a guest;
 * `tests/on-kvm` runs it in the test box.
 */
#include "cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_ram.h"
#include "kvm_probe.h"
#include "memory_map.h"

#define CODE_GPA (4 * MIB)
#define PORT 0x99u
#define NCPUS 2u

#define MSR_LSTAR 0xc0000082u
#define MSR_PAT 0x277u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define APIC_BASE_X2APIC (1u << 10)

static int kvm_fd = -1, vm_fd = -1, vcpu_fds[NCPUS];
static struct cpu_host *host;
static struct guest_ram ram;
static struct kvm_run *run;

/* ---- a VM */

static int open_kvm(void **state)
{
	char why[256] = "cannot open /dev/kvm";

	(void)state;
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd >= 0 && kvm_probe(kvm_fd, why, sizeof(why)) == 0)
		return 0;
	print_message("SKIP: no usable KVM here: %s\n", why);
	if (kvm_fd >= 0)
		close(kvm_fd);
	kvm_fd = -1;
	return 0;
}

static int close_kvm(void **state)
{
	(void)state;
	if (kvm_fd >= 0)
		close(kvm_fd);
	return 0;
}

static int setup(void **state)
{
	struct kvm_userspace_memory_region region = { .memory_size = 16 * MIB };
	int run_size;

	(void)state;
	if (kvm_fd < 0)
		return 0;
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	assert_true(vm_fd >= 0);
	assert_int_equal(cpu_host_read(kvm_fd, &host, NULL), 0);
	assert_int_equal(ioctl(vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_GPA), 0);
	assert_int_equal(ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0), 0);
	guest_ram_create(&ram, 16 * MIB);
	region.userspace_addr = (uintptr_t)ram.low;
	assert_int_equal(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region), 0);
	for (unsigned i = 0; i < NCPUS; i++) {
		vcpu_fds[i] = ioctl(vm_fd, KVM_CREATE_VCPU, i);
		assert_true(vcpu_fds[i] >= 0);
		assert_int_equal(cpu_set_cpuid(host, vcpu_fds[i], i, NCPUS, NULL), 0);
	}
	run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	assert_true(run_size > 0);
	run = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fds[0], 0);
	assert_ptr_not_equal(run, MAP_FAILED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (kvm_fd < 0)
		return 0;
	munmap(run, (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0));
	for (unsigned i = 0; i < NCPUS; i++)
		close(vcpu_fds[i]);
	close(vm_fd);
	cpu_host_free(host);
	guest_ram_destroy(&ram);
	return 0;
}

static void need_kvm(void)
{
	if (kvm_fd < 0)
		skip();
}

/* Runs vCPU 0 until it writes to PORT, and returns the value. */
static uint32_t run_to_port(void)
{
	uint32_t val;

	assert_int_equal(ioctl(vcpu_fds[0], KVM_RUN, 0), 0);
	assert_int_equal(run->exit_reason, KVM_EXIT_IO);
	assert_int_equal(run->io.port, PORT);
	assert_int_equal(run->io.direction, KVM_EXIT_IO_OUT);
	memcpy(&val, (uint8_t *)run + run->io.data_offset, sizeof(val));
	return val;
}

static void enter(enum boot_mode mode, const uint8_t *code, size_t len)
{
	const struct boot_entry entry = { .mode = mode, .rip = CODE_GPA, .rsi = 0x5151, .rbx = 0xb0b0 };

	memcpy(guest_ram_at(&ram, CODE_GPA, len), code, len);
	assert_int_equal(cpu_set_entry(vcpu_fds[0], &ram.gmem, &entry), 0);
}

/* ---- entry */

static void enters_64_bit_code(void **state)
{
	static const uint8_t code[] = {
		0x48, 0x89, 0xf0,       /* mov rax, rsi */
		0xe7, PORT,             /* out PORT, eax */
		0x66, 0xb8, 0x18, 0x00, /* mov ax, 0x18: the data selector, from the table in memory */
		0x8e, 0xd8,             /* mov ds, ax */
		0x8e, 0xd0,             /* mov ss, ax */
		0x50, 0x58,             /* push rax; pop rax */
		0x48, 0xc7, 0x04, 0x25, 0, 0, 0x7f, 0, 0x78, 0x56, 0x34, 0x12, /* mov qword [0x7f0000], 0x12345678 */
		0x6a, 0x10,                                                    /* push 0x10: the code selector */
		0x48, 0x8d, 0x05, 0x03, 0, 0, 0,                               /* lea rax, [rip + 3] */
		0x50,                                                          /* push rax */
		0x48, 0xcb,                                                    /* far return */
		0x0f, 0x20, 0xc0,                                              /* mov rax, cr0 */
		0xe7, PORT,                                                    /* out PORT, eax */
	};

	(void)state;
	need_kvm();
	enter(BOOT_LONG64, code, sizeof(code));
	assert_int_equal(run_to_port(), 0x5151);
	assert_int_equal(run_to_port() & 0xe0000001, 0x80000001); /* paging, protection, caches on */
	assert_int_equal(get_le(guest_ram_at(&ram, 0x7f0000, 8), 8), 0x12345678);
}

static void maps_4_gib_to_themselves(void **state)
{
	const uint64_t flags = 0x83;

	(void)state;
	need_kvm();
	enter(BOOT_LONG64, (const uint8_t[]) { 0xf4 }, 1);
	for (uint64_t gpa = 0; gpa < 4 * GIB; gpa += 2 * MIB) {
		uint64_t table = BOOT_PAGE_TABLE_GPA, entry;

		entry = get_le(guest_ram_at(&ram, table, 8), 8);
		entry = get_le(guest_ram_at(&ram, (entry & ~UINT64_C(0xfff)) + 8 * (gpa >> 30), 8), 8);
		entry = get_le(guest_ram_at(&ram, (entry & ~UINT64_C(0xfff)) + 8 * (gpa >> 21 & 511), 8), 8);
		assert_int_equal(entry, gpa | flags);
	}
	assert_int_equal(get_le(guest_ram_at(&ram, BOOT_PAGE_TABLE_GPA + 8, 8), 8), 0);
}

static void enters_32_bit_code(void **state)
{
	static const uint8_t code[] = {
		0x89, 0xd8,       /* mov eax, ebx */
		0xe7, PORT,       /* out PORT, eax */
		0x0f, 0x20, 0xc0, /* mov eax, cr0 */
		0xe7, PORT,       /* out PORT, eax */
		0x9c, 0x58,       /* pushfd; pop eax */
		0xe7, PORT,       /* out PORT, eax */
	};

	(void)state;
	need_kvm();
	enter(BOOT_PROT32, code, sizeof(code));
	assert_int_equal(run_to_port(), 0xb0b0);
	assert_int_equal(run_to_port() & 0xe0000001, 0x00000001);
	assert_int_equal(run_to_port() & 0x20200, 0); /* no interrupts, no virtual 8086 mode */
}

static void needs_ram_for_its_tables(void **state)
{
	const struct boot_entry entry = { .mode = BOOT_LONG64, .rip = CODE_GPA };
	const struct gmem empty = { .nregions = 0 };

	(void)state;
	if (kvm_fd >= 0)
		assert_int_equal(cpu_set_entry(vcpu_fds[0], &empty, &entry), -EFAULT);
	need_kvm();
}

/* ---- reset */

static union {
	struct kvm_msrs head;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
} msr;

static uint64_t read_msr(int vcpu_fd, uint32_t index)
{
	msr.head.nmsrs = 1;
	msr.head.entries[0] = (struct kvm_msr_entry) { .index = index };
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_MSRS, &msr.head), 1);
	return msr.head.entries[0].data;
}

static void write_msr(int vcpu_fd, uint32_t index, uint64_t val)
{
	msr.head.nmsrs = 1;
	msr.head.entries[0] = (struct kvm_msr_entry) { .index = index, .data = val };
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_MSRS, &msr.head), 1);
}

struct snapshot {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_xcrs xcrs;
	struct kvm_nested_state nested;
	uint64_t lstar, pat, mtrr, system_time;
	struct kvm_xsave xsave; /* last: it has a flexible array */
};

/* What no guest sees. */
static void forget_unseen(struct snapshot *s)
{
	struct kvm_sregs *sregs = &s->sregs;
	struct kvm_segment *segments[] = { &sregs->cs, &sregs->ds, &sregs->es, &sregs->fs,
		                           &sregs->gs, &sregs->ss, &sregs->tr, &sregs->ldt };

	/* RDX (cpu_reset.c); MXCSR_MASK, which the processor stores; XSTATE_BV where values are initial. */
	s->regs.rdx = 0;
	s->xsave.region[7] = 0;
	memset(s->xsave.region + 128, 0, 8);
	/* Whether a segment was accessed, and is for 32 bits: Intel's and AMD's manual do not agree. */
	for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		segments[i]->type &= segments[i]->s ? 0xe : 0x7;
}

static void take(int vcpu_fd, struct snapshot *s)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_REGS, &s->regs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_SREGS, &s->sregs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &s->debugregs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &s->events), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_LAPIC, &s->lapic), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_MP_STATE, &s->mp_state), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_XSAVE, &s->xsave), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_XCRS, &s->xcrs), 0);
	s->nested.size = sizeof(s->nested);
	if (ioctl(vcpu_fd, KVM_GET_NESTED_STATE, &s->nested) < 0)
		assert_true(errno == EINVAL || errno == ENOTTY);
	s->lstar = read_msr(vcpu_fd, MSR_LSTAR);
	s->pat = read_msr(vcpu_fd, MSR_PAT);
	s->mtrr = read_msr(vcpu_fd, MSR_MTRR_DEF_TYPE);
	s->system_time = read_msr(vcpu_fd, MSR_KVM_SYSTEM_TIME);
	forget_unseen(s);
}

/* What a guest leaves behind: all kinds of registers changed, x2APIC on, the vCPU halted or never started. */
static void disturb(int vcpu_fd, const struct snapshot *before)
{
	struct snapshot s = *before;
	struct kvm_mp_state mp_state = { .mp_state = KVM_MP_STATE_HALTED };

	memset(&s.regs, 0x11, sizeof(s.regs));
	s.regs.rflags = 2;
	s.sregs.apic_base |= APIC_BASE_X2APIC;
	s.sregs.cr2 = 0x1234;
	s.sregs.gs.base = 0xffff888000000000;
	s.sregs.idt.base = 0x5000;
	s.debugregs.db[0] = 0x7777;
	s.debugregs.dr7 = 0x401;
	s.events.nmi.pending = 1;
	s.events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	memset(s.xsave.region + 40, 0x3c, 64); /* XMM registers */
	s.xsave.region[0] = 0x27f;             /* FCW */
	s.xsave.region[6] = 0x9f80;            /* MXCSR */
	s.xsave.region[128] = 3;               /* XSTATE_BV: x87 and SSE are in use */
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_SREGS, &s.sregs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_REGS, &s.regs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_DEBUGREGS, &s.debugregs), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_GET_LAPIC, &s.lapic), 0);
	s.lapic.regs[0xf1] |= 1;    /* software enable */
	s.lapic.regs[0x350] = 0x31; /* LINT0 */
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_LAPIC, &s.lapic), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_XSAVE, &s.xsave), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &s.events), 0);
	assert_int_equal(ioctl(vcpu_fd, KVM_SET_MP_STATE, &mp_state), 0);
	if (s.xcrs.nr_xcrs > 0) {
		s.xcrs.xcrs[0].value = 3;
		assert_int_equal(ioctl(vcpu_fd, KVM_SET_XCRS, &s.xcrs), 0);
	}
	write_msr(vcpu_fd, MSR_LSTAR, 0xffffffff81000000);
	write_msr(vcpu_fd, MSR_PAT, 0x0007010600070106);
	write_msr(vcpu_fd, MSR_MTRR_DEF_TYPE, 0);
	write_msr(vcpu_fd, MSR_KVM_SYSTEM_TIME, 0x6001);
}

#define ASSERT_SAME(field) assert_memory_equal(&after.field, &before.field, sizeof(before.field))

static void a_reset_is_as_a_new_cpu(void **state)
{
	static struct snapshot before, between, after;

	(void)state;
	need_kvm();
	for (unsigned i = 0; i < NCPUS; i++) {
		struct cpu_msrs *saved;

		take(vcpu_fds[i], &before);
		assert_int_equal(cpu_msrs_save(host, vcpu_fds[i], &saved), 0);
		disturb(vcpu_fds[i], &before);
		take(vcpu_fds[i], &between);
		assert_memory_not_equal(&between.lapic, &before.lapic, sizeof(before.lapic));
		assert_memory_not_equal(&between.sregs, &before.sregs, sizeof(before.sregs));
		assert_memory_not_equal(&between.xsave, &before.xsave, sizeof(before.xsave));
		assert_int_not_equal(between.events.nmi.pending, before.events.nmi.pending);
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(cpu_reset(vcpu_fds[i], i, saved), 0);
			take(vcpu_fds[i], &after);
			ASSERT_SAME(regs);
			ASSERT_SAME(sregs);
			ASSERT_SAME(debugregs);
			ASSERT_SAME(events);
			ASSERT_SAME(lapic);
			ASSERT_SAME(mp_state);
			ASSERT_SAME(xsave);
			ASSERT_SAME(xcrs);
			ASSERT_SAME(nested);
			ASSERT_SAME(lstar);
			ASSERT_SAME(pat);
			ASSERT_SAME(mtrr);
			ASSERT_SAME(system_time);
		}
		cpu_msrs_free(saved);
	}
}

static void only_the_first_cpu_runs_at_the_start(void **state)
{
	struct kvm_mp_state mp_state;

	(void)state;
	need_kvm();
	for (unsigned i = 0; i < NCPUS; i++) {
		struct cpu_msrs *saved;

		assert_int_equal(cpu_msrs_save(host, vcpu_fds[i], &saved), 0);
		assert_int_equal(cpu_reset(vcpu_fds[i], i, saved), 0);
		assert_int_equal(ioctl(vcpu_fds[i], KVM_GET_MP_STATE, &mp_state), 0);
		assert_int_equal(mp_state.mp_state, i == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED);
		cpu_msrs_free(saved);
	}
}

static void runs_again_after_a_reset(void **state)
{
	static const uint8_t code[] = { 0x48, 0x89, 0xf0, 0xe7, PORT }; /* mov rax, rsi; out PORT, eax */
	struct cpu_msrs *saved;

	(void)state;
	need_kvm();
	assert_int_equal(cpu_msrs_save(host, vcpu_fds[0], &saved), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cpu_reset(vcpu_fds[0], 0, saved), 0);
		enter(BOOT_LONG64, code, sizeof(code));
		assert_int_equal(run_to_port(), 0x5151);
		run->immediate_exit = 1; /* completes the instruction */
		assert_int_equal(ioctl(vcpu_fds[0], KVM_RUN, 0), -1);
		run->immediate_exit = 0;
	}
	cpu_msrs_free(saved);
}

static void mtrrs_are_on_in_every_cpu(void **state)
{
	(void)state;
	need_kvm();
	for (unsigned i = 0; i < NCPUS; i++) {
		struct cpu_msrs *saved;

		assert_int_equal(cpu_msrs_save(host, vcpu_fds[i], &saved), 0);
		cpu_msrs_set_firmware(vcpu_fds[i], saved);
		assert_int_equal(read_msr(vcpu_fds[i], MSR_MTRR_DEF_TYPE), 0x806);
		write_msr(vcpu_fds[i], MSR_MTRR_DEF_TYPE, 0);
		assert_int_equal(cpu_reset(vcpu_fds[i], i, saved), 0);
		assert_int_equal(read_msr(vcpu_fds[i], MSR_MTRR_DEF_TYPE), 0x806);
		cpu_msrs_free(saved);
	}
}

static void this_kvm_has_what_it_is_not_asked_for(void **state)
{
	(void)state;
	need_kvm();
	assert_int_equal(ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER), 1);
	/* 0: too old to have components that a program must ask for. */
	assert_in_range(ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2), 0, sizeof(struct kvm_xsave));
}

static void freeing_nothing_is_allowed(void **state)
{
	(void)state;
	cpu_msrs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(enters_64_bit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(maps_4_gib_to_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(enters_32_bit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(needs_ram_for_its_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_is_as_a_new_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_first_cpu_runs_at_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_again_after_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(mtrrs_are_on_in_every_cpu, setup, teardown),
		cmocka_unit_test(this_kvm_has_what_it_is_not_asked_for),
		cmocka_unit_test(freeing_nothing_is_allowed),
	};

	return cmocka_run_group_tests_name("cpu", tests, open_kvm, close_kvm);
}
