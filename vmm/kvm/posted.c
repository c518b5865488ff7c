// SPDX-License-Identifier: Apache-2.0
// Takes the guest's writes that KVM has collected.
#include "posted.h"

#include <linux/kvm.h>
#include <string.h>

// The ring has one page.
#define RING_SIZE 4096u
#define RING_ENTRIES ((RING_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

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
