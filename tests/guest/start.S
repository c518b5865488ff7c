// SPDX-License-Identifier: Apache-2.0
// Where a bare-metal guest program begins: from PVH's 32-bit entry, or a second processor's start, to C in
// 64-bit mode with an identity map of the low 4 GiB; and where interrupts arrive.

#define CODE64 0x08
#define CODE32 0x10
#define DATA 0x18

#define PAGE_PRESENT_WRITE 0x3
#define PAGE_LARGE 0x80

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18			// XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad start32

	.section .bss
	.balign 4096
	.globl page_root
page_root:	.skip 4096
page_pointers:	.skip 4096
page_directories: .skip 4 * 4096
stack_bottom:	.skip 16384
stack_top:
ap_stack_bottom: .skip 16384
ap_stack_top:

	.section .rodata
	.balign 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff	// CODE64
	.quad 0x00cf9b000000ffff	// CODE32
	.quad 0x00cf93000000ffff	// DATA
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt

	.text
	.code32
	.globl start32
start32:
	cli
	cld
	mov $stack_top, %esp
	mov %ebx, start_info
	mov $main_entry, %ebx

	// 4 GiB in pages of 2 MiB; the tables' upper halves are 0 already.
	xor %ecx, %ecx
1:	mov %ecx, %eax
	shl $21, %eax
	or $(PAGE_PRESENT_WRITE | PAGE_LARGE), %eax
	mov %eax, page_directories(, %ecx, 8)
	inc %ecx
	cmp $2048, %ecx
	jne 1b
	xor %ecx, %ecx
	mov $(page_directories + PAGE_PRESENT_WRITE), %eax
2:	mov %eax, page_pointers(, %ecx, 8)
	add $4096, %eax
	inc %ecx
	cmp $4, %ecx
	jne 2b
	movl $(page_pointers + PAGE_PRESENT_WRITE), page_root

// In: flat 32-bit mode, a stack, and in EBX the C function to call.
enter_long:
	mov $page_root, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x20, %eax			// PAE
	mov %eax, %cr4
	mov $0xc0000080, %ecx		// EFER
	rdmsr
	or $0x100, %eax			// LME
	wrmsr
	mov %cr0, %eax
	or $0x80000001, %eax		// paging, protection
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $CODE64, $start64

	.code64
start64:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	// The upper halves are undefined after the change of mode.
	mov %esp, %esp
	mov %ebx, %ebx
	call *%rbx
3:	hlt
	jmp 3b

// What a second processor runs first, in real mode, at a page below 1 MiB to which it was copied.
	.globl ap_trampoline, ap_trampoline_end
	.code16
ap_trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl (ap_gdt_pointer - ap_trampoline)
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $CODE32, $ap_start32
ap_gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
ap_trampoline_end:

	.code32
ap_start32:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	cld
	mov $ap_stack_top, %esp
	mov $ap_entry, %ebx
	jmp enter_long

// One entry per vector, 16 bytes apart. The processor pushes an error code for a few exceptions.
	.code64
	.globl irq_stubs
	.balign 16
irq_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp irq_common
	vector = vector + 1
	.endr

irq_common:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call irq_dispatch
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
