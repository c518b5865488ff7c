// SPDX-License-Identifier: Apache-2.0
// Tells whether KVM on this host can run a stock kernel.
#include "kvm_probe.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S = 5 };

// The guest's memory is one page at address 0. Its first entry points to the page itself, and so serves as page
// table on all four levels: the page is mapped at virtual address 0, and nothing else is.
enum { PAGE_SIZE = 4096, CODE_OFF = 0x100, DATA_OFF = 0x400, XSAVE_OFF = 0x40, XSAVE_LEN = 576 };
static_assert(DATA_OFF + XSAVE_OFF + XSAVE_LEN <= PAGE_SIZE, "the data must fit into the page");

// Expects in RDI the data, in RDX:RAX zero, in RCX:RBX the value to store, in RSI whether there is XSAVE.
// Global, because link-time optimization may put the users of the symbols into another unit.
__asm__(".pushsection .rodata\n"
        ".globl probe_code, probe_code_end\n"
        ".hidden probe_code, probe_code_end\n"
        "probe_code:\n"
        "    lock cmpxchg16b (%rdi)\n"
        "    jnz 2f\n"
        "    movups (%rdi), %xmm0\n"
        "    paddq %xmm0, %xmm0\n"
        "    movups %xmm0, 16(%rdi)\n"
        "    test %rsi, %rsi\n"
        "    jz 1f\n"
        "    xor %ecx, %ecx\n"
        "    xor %edx, %edx\n"
        "    mov $3, %eax\n" // x87 and SSE state
        "    xsetbv\n"
        "    xrstor 0x40(%rdi)\n"
        "1:  hlt\n"
        "2:  ud2\n"
        "probe_code_end:\n"
        ".popsection\n");
__attribute__((visibility("hidden"))) extern const uint8_t probe_code[], probe_code_end[];

struct probe {
	int vm_fd, vcpu_fd;
	uint8_t *page;
	struct kvm_run *run;
	size_t run_len;
	bool has_xsave;
	char *why;
	size_t why_len;
};

static bool has_vmx(void)
{
	unsigned eax, ebx, ecx, edx;
	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 5));
}

static bool has_svm(void)
{
	unsigned eax, ebx, ecx, edx;
	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 2));
}

bool kvm_has_virtualization(void)
{
	return has_vmx() || has_svm();
}

bool kvm_is_svm(void)
{
	return has_svm() && !has_vmx();
}

__attribute__((format(printf, 3, 4))) static int refuse(const struct probe *p, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(p->why, p->why_len, format, args);
	va_end(args);
	return -error;
}

static int refuse_errno(const struct probe *p, const char *what)
{
	const int error = errno;
	return refuse(p, error, "%s: %s", what, strerror(error));
}

static int create_machine(struct probe *p, int kvm_fd)
{
	p->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0)
		return refuse_errno(p, "KVM_CREATE_VM");

	void *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return refuse_errno(p, "mmap");
	p->page = page;
	const uint64_t self_map = 0x3; // address 0, present, writable
	memcpy(p->page, &self_map, sizeof(self_map));
	memcpy(p->page + CODE_OFF, probe_code, (size_t)(probe_code_end - probe_code));

	struct kvm_userspace_memory_region region = { .memory_size = PAGE_SIZE, .userspace_addr = (uintptr_t)page };
	if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return refuse_errno(p, "KVM_SET_USER_MEMORY_REGION");
	return 0;
}

static int create_vcpu(struct probe *p, int kvm_fd)
{
	const int run_len = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_len < (int)sizeof(*p->run))
		return refuse(p, EINVAL, "KVM_GET_VCPU_MMAP_SIZE gives %d", run_len);
	p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
	if (p->vcpu_fd < 0)
		return refuse_errno(p, "KVM_CREATE_VCPU");
	void *run = mmap(NULL, (size_t)run_len, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
	if (run == MAP_FAILED)
		return refuse_errno(p, "mmap of the vCPU");
	p->run = run;
	p->run_len = (size_t)run_len;
	return 0;
}

static int set_cpuid(struct probe *p, int kvm_fd)
{
	enum { MAX_ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + MAX_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return refuse_errno(p, "calloc");
	cpuid->nent = MAX_ENTRIES;
	int result = 0;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0 || ioctl(p->vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		result = refuse_errno(p, "KVM_SET_CPUID2");
	for (uint32_t i = 0; result == 0 && i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 1)
			p->has_xsave = cpuid->entries[i].ecx & (1u << 26);
	}
	free(cpuid);
	return result;
}

// 64-bit mode, flat segments, paging by the page itself.
static int set_registers(struct probe *p)
{
	struct kvm_sregs sregs;
	if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return refuse_errno(p, "KVM_GET_SREGS");
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
	};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cs = (struct kvm_segment) {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	sregs.tr = (struct kvm_segment) { .limit = 0x67, .selector = 24, .type = 11, .present = 1 };
	sregs.cr0 = 0x80000033; // PG, NE, ET, MP, PE
	sregs.cr3 = 0;
	sregs.cr4 = 0x620 | (p->has_xsave ? 1u << 18 : 0); // PAE, OSFXSR, OSXMMEXCPT; OSXSAVE
	sregs.efer = 0x500;                                // LME, LMA
	const struct kvm_regs regs = {
		.rip = CODE_OFF,
		.rflags = 2,
		.rdi = DATA_OFF,
		.rsi = p->has_xsave,
		.rbx = 1,
		.rcx = 2,
	};
	if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return refuse_errno(p, "KVM_SET_SREGS");
	if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return refuse_errno(p, "KVM_SET_REGS");
	return 0;
}

static int run_guest(const struct probe *p)
{
	if (ioctl(p->vcpu_fd, KVM_RUN, 0) < 0) {
		if (errno == EINTR)
			return refuse(p, ETIMEDOUT, "the probe guest did not end within %d s", TIMEOUT_S);
		return refuse_errno(p, "KVM_RUN");
	}
	struct kvm_regs regs = { 0 };
	ioctl(p->vcpu_fd, KVM_GET_REGS, &regs);
	uint64_t results[4];
	memcpy(results, p->page + DATA_OFF, sizeof(results));
	const bool right = results[0] == 1 && results[1] == 2 && results[2] == 2 && results[3] == 4;
	if (p->run->exit_reason != KVM_EXIT_HLT || !right)
		return refuse(
			p, ENOTSUP,
			"it cannot run a stock kernel: the probe guest failed at offset %#llx with exit reason %u",
			regs.rip - CODE_OFF, p->run->exit_reason);
	return 0;
}

// Lets SIGALRM interrupt KVM_RUN, and only that: it is blocked everywhere else, so it needs no handler.
static int run_bounded(const struct probe *p)
{
	sigset_t alarm_set, old_set, in_guest;
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	int result = -pthread_sigmask(SIG_BLOCK, &alarm_set, &old_set);
	if (result < 0)
		return refuse(p, -result, "pthread_sigmask: %s", strerror(-result));

	sigfillset(&in_guest);
	sigdelset(&in_guest, SIGALRM);
	enum { KERNEL_SIGSET_LEN = 8 };
	union {
		struct kvm_signal_mask head;
		uint8_t room[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_LEN];
	} mask = { .head.len = KERNEL_SIGSET_LEN };
	memcpy(mask.head.sigset, &in_guest, KERNEL_SIGSET_LEN);

	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	event._sigev_un._tid = gettid();
	const struct itimerspec timeout = { .it_value.tv_sec = TIMEOUT_S };
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0) {
		result = refuse_errno(p, "timer_create");
		goto restore_mask;
	}
	if (ioctl(p->vcpu_fd, KVM_SET_SIGNAL_MASK, &mask) < 0)
		result = refuse_errno(p, "KVM_SET_SIGNAL_MASK");
	else if (timer_settime(timer, 0, &timeout, NULL) < 0)
		result = refuse_errno(p, "timer_settime");
	else
		result = run_guest(p);
	timer_delete(timer);
	if (result == -ETIMEDOUT)
		sigtimedwait(&alarm_set, NULL, &(struct timespec) { 0 });

restore_mask:
	pthread_sigmask(SIG_SETMASK, &old_set, NULL);
	return result;
}

int kvm_probe(int kvm_fd, char *why, size_t why_len)
{
	struct probe p = { .vm_fd = -1, .vcpu_fd = -1, .why = why, .why_len = why_len };
	int result = create_machine(&p, kvm_fd);
	if (result == 0)
		result = create_vcpu(&p, kvm_fd);
	if (result == 0)
		result = set_cpuid(&p, kvm_fd);
	if (result == 0)
		result = set_registers(&p);
	if (result == 0)
		result = run_bounded(&p);

	if (p.run)
		munmap(p.run, p.run_len);
	if (p.vcpu_fd >= 0)
		close(p.vcpu_fd);
	if (p.vm_fd >= 0)
		close(p.vm_fd);
	if (p.page)
		munmap(p.page, PAGE_SIZE);
	return result;
}
