// SPDX-License-Identifier: Apache-2.0
// Lets KVM collect writes of the guest, and takes what it has collected.
#include "posted.h"

#include "kvm.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

// The ring has one page.
#define RING_SIZE 4096u
#define RING_ENTRIES ((RING_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

void posted_add_ports(struct kvm *kvm, uint64_t port, uint32_t size)
{
	// An older kernel takes it for memory at this address, where RAM is: no harm.
	struct kvm_coalesced_mmio_zone zone = { .addr = port, .size = size, .pio = 1 };
	// KVM_CAP_COALESCED_MMIO would return this page, which is the same on every x86. Without the ring, it is not mapped.
	const unsigned page = KVM_COALESCED_MMIO_PAGE_OFFSET;

	if (kvm->vcpu_mmap_size >= (page + 1) * RING_SIZE && ioctl(kvm->vm_fd, KVM_REGISTER_COALESCED_MMIO, &zone) == 0)
		kvm->posted_page = page;
}

unsigned posted_take(struct kvm_coalesced_mmio_ring *ring, struct io_space *pio)
{
	// Acquire: the entries were written before the index behind them. Loaded once: other vCPUs may write as fast as this
	// takes, and the caller holds the machine lock.
	const uint32_t end = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
	unsigned n = 0;

	while (ring->first != end) {
		const struct kvm_coalesced_mmio *entry = &ring->coalesced_mmio[ring->first];
		uint64_t val = 0;

		memcpy(&val, entry->data, entry->len);
		io_write(pio, entry->phys_addr, entry->len, val);
		// Release: the entry was read before the kernel may use it again.
		__atomic_store_n(&ring->first, (ring->first + 1) % RING_ENTRIES, __ATOMIC_RELEASE);
		n++;
	}
	return n;
}
