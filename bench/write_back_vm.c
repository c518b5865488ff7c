// SPDX-License-Identifier: Apache-2.0
// The virtual machine of bench-write-back: one vCPU in flat 32-bit mode, RAM for the guest's code, and the window.
#include "write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_SIZE 0x10000u
#define RAM_SLOT 0u
#define WORK_GPA 0x1000u
#define CODE_GPA 0x2000u
#define KICK_PORT 0x10u // an ioeventfd: no exit to user space, as a notification of pmvm's device
#define WAIT_PORT 0x11u
#define DONE_PORT 0x12u
#define CR0_PE 1u
#define STATS_MAX 256u
#define STATS_NAME_MAX 256u

static uint64_t nuser_exits;

// The guest. The offsets are those of struct guest_work.
extern const char guest_begin[], guest_end[];
__asm__(".pushsection .rodata\n"
        ".code32\n"
        "guest_begin:\n"
        "	mov 0x1000, %esi\n" // start_gpa
        "	mov 0x100c, %edi\n" // rounds
        "	mov 0x1018, %eax\n" // value
        "1:	mov %esi, %ebx\n"
        "	mov 0x1004, %ecx\n" // npages
        "	mov 0x1008, %edx\n" // step_size
        "	testl $2, 0x1014\n" // GUEST_READ
        "	jnz 3f\n"
        "2:	mov %eax, (%ebx)\n"
        "	add %edx, %ebx\n"
        "	dec %ecx\n"
        "	jnz 2b\n"
        "	jmp 4f\n"
        "3:	mov (%ebx), %ebp\n"
        "	add %edx, %ebx\n"
        "	dec %ecx\n"
        "	jnz 3b\n"
        "4:	testl $1, 0x1014\n" // GUEST_FLUSH
        "	jz 5f\n"
        "	out %eax, $0x10\n"
        "	out %eax, $0x11\n"
        "5:	inc %eax\n"
        "	add 0x1010, %esi\n" // round_step_size
        "	dec %edi\n"
        "	jnz 1b\n"
        "	out %eax, $0x12\n"
        "	jmp guest_begin\n"
        "guest_end:\n"
        ".code64\n"
        ".popsection\n");

static void add_slot(struct vm *vm, unsigned slot, uint64_t gpa, void *hva, size_t size, unsigned flags)
{
	struct kvm_userspace_memory_region region = { .slot = slot,
		                                      .flags = flags,
		                                      .guest_phys_addr = gpa,
		                                      .memory_size = size,
		                                      .userspace_addr = (uintptr_t)hva };

	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		die("KVM_SET_USER_MEMORY_REGION");
}

static void enable(struct vm *vm, unsigned cap, uint64_t argument, const char *name)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { argument } };

	if (ioctl(vm->vm_fd, KVM_ENABLE_CAP, &enable) < 0)
		die(name);
}

static void *map_vcpu(struct vm *vm, size_t len, off_t off)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, off);

	if (p == MAP_FAILED)
		die("mmap of a vCPU");
	return p;
}

static void set_registers(struct vm *vm)
{
	struct kvm_segment flat = { .limit = 0xffffffff, .present = 1, .s = 1, .g = 1, .db = 1 };
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		die("KVM_GET_SREGS");
	flat.type = 3; // data, writable, accessed
	flat.selector = 0x10;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.type = 11; // code, readable, accessed
	flat.selector = 0x08;
	sregs.cs = flat;
	sregs.cr0 |= CR0_PE;
	if (ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs) < 0)
		die("KVM_SET_SREGS");
}

static void add_guest(struct vm *vm)
{
	uint8_t *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		die("mmap of RAM");
	memcpy(ram + CODE_GPA, guest_begin, (size_t)(guest_end - guest_begin));
	vm->work = (struct guest_work *)(void *)(ram + WORK_GPA);
	add_slot(vm, RAM_SLOT, 0, ram, RAM_SIZE, 0);
}

static void add_kick(struct vm *vm)
{
	struct kvm_ioeventfd kick = { .addr = KICK_PORT, .len = 4, .flags = KVM_IOEVENTFD_FLAG_PIO };

	vm->kick_efd = eventfd(0, EFD_CLOEXEC);
	vm->done_efd = eventfd(0, EFD_CLOEXEC);
	kick.fd = vm->kick_efd;
	if (vm->kick_efd < 0 || vm->done_efd < 0 || ioctl(vm->vm_fd, KVM_IOEVENTFD, &kick) < 0)
		die("KVM_IOEVENTFD");
}

void vm_open(struct vm *vm, enum mode mode, const struct window *window)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm->vm_fd = vm->kvm_fd < 0 ? -1 : ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		die("/dev/kvm");
	// INITIALLY_SET is not asked for: the window is clean at first.
	if (mode == MODE_BITMAP || mode == MODE_UNARMED)
		enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE,
		       "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");
	if (mode == MODE_RING)
		enable(vm, KVM_CAP_DIRTY_LOG_RING, RING_ENTRIES * sizeof(struct kvm_dirty_gfn),
		       "KVM_CAP_DIRTY_LOG_RING");
	add_guest(vm);
	add_slot(vm, WINDOW_SLOT, WINDOW_GPA, window->hva, window->size,
	         mode == MODE_SHARED || mode == MODE_PRIVATE ? 0u : (unsigned)KVM_MEM_LOG_DIRTY_PAGES);
	add_kick(vm);
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	if (vm->vcpu_fd < 0)
		die("KVM_CREATE_VCPU");
	vm->run = map_vcpu(vm, (size_t)ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0), 0);
	if (mode == MODE_RING)
		vm->ring = map_vcpu(vm, RING_ENTRIES * sizeof(struct kvm_dirty_gfn),
		                    (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
	set_registers(vm);
	vm->stats_fd = ioctl(vm->vcpu_fd, KVM_GET_STATS_FD, NULL);
	if (vm->stats_fd < 0)
		die("KVM_GET_STATS_FD");
}

static void wait_for_flush(struct vm *vm)
{
	uint64_t count;

	if (read(vm->done_efd, &count, sizeof(count)) != sizeof(count))
		die("eventfd");
}

void vm_work(struct vm *vm, const struct guest_work *work)
{
	*vm->work = *work;
	for (;;) {
		if (ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0)
			die("KVM_RUN");
		nuser_exits++;
		if (vm->run->exit_reason != KVM_EXIT_IO) {
			fprintf(stderr, "bench-write-back: the guest left with exit reason %u\n", vm->run->exit_reason);
			exit(1);
		}
		if (vm->run->io.port == DONE_PORT)
			return;
		if (vm->run->io.port == WAIT_PORT)
			wait_for_flush(vm);
	}
}

static void read_stats(struct vm *vm, void *to, size_t len, size_t off)
{
	if (pread(vm->stats_fd, to, len, (off_t)off) != (ssize_t)len)
		die("statistics of KVM");
}

struct vm_counts vm_counts(struct vm *vm)
{
	struct vm_counts counts = { .user_exits = nuser_exits };
	const struct {
		const char *name;
		uint64_t *value;
	} wanted[] = { { "pf_taken", &counts.faults }, { "pf_fast", &counts.fast_faults }, { "exits", &counts.exits } };
	union {
		struct kvm_stats_desc desc;
		char room[sizeof(struct kvm_stats_desc) + STATS_NAME_MAX];
	} stat;
	struct kvm_stats_header header;

	read_stats(vm, &header, sizeof(header), 0);
	if (header.name_size > STATS_NAME_MAX || header.num_desc > STATS_MAX) {
		errno = EPROTO;
		die("statistics of KVM");
	}
	for (uint32_t i = 0; i < header.num_desc; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + header.name_size;

		read_stats(vm, &stat, size, header.desc_offset + i * size);
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			if (strncmp(stat.room + sizeof(struct kvm_stats_desc), wanted[k].name, header.name_size) == 0)
				read_stats(vm, wanted[k].value, sizeof(uint64_t),
				           header.data_offset + stat.desc.offset);
	}
	return counts;
}
