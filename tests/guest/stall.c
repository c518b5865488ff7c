// SPDX-License-Identifier: Apache-2.0
/*
 * stall.c - stores to every page of the window, for a host that has no room for them all. With interrupts on and
 * KVM's asynchronous page faults enabled, as in Linux: KVM halts the processor until the host has the page.
 */
#include "cpu.h"
#include "virtio.h"

#define PAGE_LEN 4096u
#define READY_VECTOR 0x40u

/* Documentation/virt/kvm/x86/msr.rst, cpuid.rst */
#define CPUID_KVM_FEATURES 0x40000001u
#define KVM_FEATURE_ASYNC_PF_INT (1u << 14)
#define MSR_KVM_ASYNC_PF_EN 0x4b564d02u
#define MSR_KVM_ASYNC_PF_INT 0x4b564d06u
#define MSR_KVM_ASYNC_PF_ACK 0x4b564d07u
#define ASYNC_PF_ENABLED 1u
#define ASYNC_PF_DELIVERY_AS_INT 8u

static struct virtio dev;
static _Alignas(64) struct {
	volatile uint32_t flags, token;
	uint8_t rest[56];
} shared;

static void write_msr(uint32_t msr, uint64_t val)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)) : "memory");
}

static bool has_async_faults(void)
{
	uint32_t eax = CPUID_KVM_FEATURES, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return (eax & KVM_FEATURE_ASYNC_PF_INT) != 0;
}

static void on_ready(void)
{
	shared.token = 0;
	write_msr(MSR_KVM_ASYNC_PF_ACK, 1);
}

static void enable_async_faults(void)
{
	irq_set_handler(READY_VECTOR, on_ready);
	write_msr(MSR_KVM_ASYNC_PF_INT, READY_VECTOR);
	write_msr(MSR_KVM_ASYNC_PF_EN, (uintptr_t)&shared | ASYNC_PF_ENABLED | ASYNC_PF_DELIVERY_AS_INT);
}

void guest_main(void)
{
	volatile uint8_t *window;
	uint64_t len;

	if (!virtio_open(&dev, 0))
		bail("no virtio-pmem device");
	irq_init();
	if (has_async_faults())
		enable_async_faults();
	len = virtio_config64(&dev, 8);
	window = map(virtio_config64(&dev, 0), len);
	print("stall: stores\n");
	for (uint64_t off = 0; off < len; off += PAGE_LEN)
		window[off] = 1;
	tap_ok(true, "all pages were stored to");
}
