// SPDX-License-Identifier: Apache-2.0
// One store to read-only memory, in a form that KVM may not be able to emulate; after a reset, an ordinary one.
#include "cpu.h"
#include "virtio.h"

#define NOTES_GPA UINT64_C(0x4000000) // RAM that no loader writes: it survives a reset
#define CPUID1_CMPXCHG16B (1u << 13)
#define CPUID1_XSAVE (1u << 26)
#define CPUID1_AVX (1u << 28)
#define CR4_OSFXSR (UINT64_C(1) << 9)
#define CR4_OSXSAVE (UINT64_C(1) << 18)
#define XCR0_X87_SSE_AVX 7u

static struct virtio dev;

static bool has(uint32_t features)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (c & features) == features;
}

static void enable_vectors(void)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXSAVE));
	__asm__ volatile("xsetbv" : : "a"(XCR0_X87_SSE_AVX), "d"(0), "c"(0));
}

/* Memory is zero, so the comparison holds. */
static void store_cmpxchg16b(volatile uint64_t *where)
{
	uint64_t low = 0, high = 0;

	if (!has(CPUID1_CMPXCHG16B))
		bail("the processor has no cmpxchg16b");
	__asm__ volatile("lock cmpxchg16b (%2)" : "+a"(low), "+d"(high) : "r"(where), "b"(1ul), "c"(2ul) : "memory");
}

static void store_vmovdqu(volatile uint64_t *where)
{
	if (!has(CPUID1_XSAVE | CPUID1_AVX))
		bail("the processor has no AVX");
	enable_vectors();
	__asm__ volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0\n\tvmovdqu %%ymm0, (%0)" : : "r"(where) : "memory");
}

static void (*const stores[])(volatile uint64_t *where) = { store_cmpxchg16b, store_vmovdqu };

void guest_main(void)
{
	uint64_t *nboots = map(NOTES_GPA, sizeof(*nboots)), which = option("store", 0);
	volatile uint64_t *window;

	if (!virtio_open(&dev, 0) || !virtio_start(&dev, virtio_features(&dev), 8) || which >= COUNT_OF(stores))
		bail("no virtio-pmem device that starts, or no such store");
	window = map(virtio_config64(&dev, 0), virtio_config64(&dev, 8));
	print("# boot %lu\n", *nboots);
	if ((*nboots)++ == 0) {
		stores[which](window);
		bail("the guest runs on");
	}
	window[0] = 1;
	tap_is(window[0], 0, "after a reset an ordinary store is refused, and the guest runs on");
}
