// SPDX-License-Identifier: Apache-2.0
// The registers, page tables and descriptors with which vCPU 0 enters the kernel.
#include "cpu_host.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "memory_map.h"

#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define RFLAGS_RESERVED 2u

/* The selectors that the 64-bit boot protocol requires (__BOOT_CS, __BOOT_DS). */
#define CODE_SELECTOR 0x10u
#define DATA_SELECTOR 0x18u
#define TSS_SELECTOR 0x20u
#define TSS_LIMIT 0x67u

#define TYPE_CODE 0xbu /* execute, read, accessed */
#define TYPE_DATA 0x3u /* read, write, accessed */
#define TYPE_TSS_BUSY 0xbu

#define PTE_PRESENT_WRITABLE 0x3u
#define PTE_LARGE 0x80u
#define TABLE_ENTRIES 512u
#define TABLE_SIZE UINT64_C(4096)
#define MAPPED_GIB 4u
#define LARGE_PAGE_SIZE (2 * MIB)

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment) {
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

/* The descriptor from which the processor would load this segment register. */
static uint64_t descriptor(const struct kvm_segment *seg)
{
	uint64_t limit = seg->g ? seg->limit >> 12 : seg->limit;
	uint64_t access = seg->type | (unsigned)seg->s << 4 | (unsigned)seg->dpl << 5 | (unsigned)seg->present << 7;
	uint64_t flags = (unsigned)seg->l << 1 | (unsigned)seg->db << 2 | (unsigned)seg->g << 3;

	return (limit & 0xffff) | (seg->base & 0xffffff) << 16 | access << 40 | (limit >> 16 & 0xf) << 48 |
	       flags << 52 | (seg->base >> 24) << 56;
}

static int write_gdt(const struct gmem *gmem, const struct kvm_sregs *sregs)
{
	const uint64_t gdt[] = {
		[CODE_SELECTOR / 8] = descriptor(&sregs->cs),
		[DATA_SELECTOR / 8] = descriptor(&sregs->ds),
		[TSS_SELECTOR / 8] = descriptor(&sregs->tr),
		[TSS_SELECTOR / 8 + 1] = 0, /* in 64-bit mode a TSS descriptor has 16 bytes */
	};
	void *hva = gmem_hva(gmem, sregs->gdt.base, sizeof(gdt));

	if (!hva || sizeof(gdt) - 1 != sregs->gdt.limit)
		return -EFAULT;
	memcpy(hva, gdt, sizeof(gdt));
	return 0;
}

static void set_segments(struct kvm_sregs *sregs, bool long_mode)
{
	sregs->cs = flat_segment(CODE_SELECTOR, TYPE_CODE);
	sregs->cs.l = long_mode;
	sregs->cs.db = !long_mode;
	sregs->ds = flat_segment(DATA_SELECTOR, TYPE_DATA);
	sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->ds;
	sregs->tr = (struct kvm_segment) {
		.limit = TSS_LIMIT,
		.selector = TSS_SELECTOR,
		.type = TYPE_TSS_BUSY,
		.present = 1,
	};
	sregs->ldt = (struct kvm_segment) { .unusable = 1 };
	sregs->gdt = (struct kvm_dtable) { .base = BOOT_GDT_GPA, .limit = TSS_SELECTOR + 16 - 1 };
	sregs->idt = (struct kvm_dtable) { .base = 0 };
}

/* The first 4 GiB at their own addresses, in 2 MiB pages: PML4, PDPT, one directory for each GiB. */
static int write_page_tables(const struct gmem *gmem)
{
	const uint64_t pdpt_gpa = BOOT_PAGE_TABLE_GPA + TABLE_SIZE, dirs_gpa = pdpt_gpa + TABLE_SIZE;
	const uint64_t size = (2 + MAPPED_GIB) * TABLE_SIZE;
	uint64_t *pml4 = gmem_hva(gmem, BOOT_PAGE_TABLE_GPA, size);
	uint64_t *pdpt, *dirs;

	if (!pml4)
		return -EFAULT;
	memset(pml4, 0, size);
	pdpt = pml4 + TABLE_ENTRIES;
	dirs = pdpt + TABLE_ENTRIES;
	pml4[0] = pdpt_gpa | PTE_PRESENT_WRITABLE;
	for (unsigned i = 0; i < MAPPED_GIB; i++)
		pdpt[i] = (dirs_gpa + i * TABLE_SIZE) | PTE_PRESENT_WRITABLE;
	for (unsigned i = 0; i < MAPPED_GIB * TABLE_ENTRIES; i++)
		dirs[i] = i * LARGE_PAGE_SIZE | PTE_LARGE | PTE_PRESENT_WRITABLE;
	return 0;
}

int cpu_set_entry(int vcpu_fd, const struct gmem *gmem, const struct boot_entry *entry)
{
	bool long_mode = entry->mode == BOOT_LONG64;
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rsi = entry->rsi,
		.rbx = entry->rbx,
		.rsp = BOOT_STACK_GPA,
		.rflags = RFLAGS_RESERVED,
	};
	struct kvm_sregs sregs = { .apic_base = cpu_new_apic_base(0) };
	int rc;

	set_segments(&sregs, long_mode);
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | (long_mode ? CR0_PG : 0);
	sregs.cr3 = long_mode ? BOOT_PAGE_TABLE_GPA : 0;
	sregs.cr4 = long_mode ? CR4_PAE : 0;
	sregs.efer = long_mode ? EFER_LME | EFER_LMA : 0;
	rc = write_gdt(gmem, &sregs);
	if (rc == 0 && long_mode)
		rc = write_page_tables(gmem);
	if (rc < 0)
		return rc;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}
