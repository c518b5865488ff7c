// SPDX-License-Identifier: Apache-2.0
/*
 * guest_access.h - loads and stores of memory that the guest may change at the same time.
 *
 * All multi-byte fields of virtio are little-endian. Ring indices are aligned and are accessed as a whole;
 * everything else may lie at any address and is accessed byte by byte: what a racing guest mixes in that
 * way is checked like any other value.
 */
#ifndef VIRTIO_GUEST_ACCESS_H
#define VIRTIO_GUEST_ACCESS_H

#include <endian.h>
#include <stdint.h>

static inline uint16_t guest_load16(const uint8_t *hva)
{
	return le16toh(__atomic_load_n((const uint16_t *)(const void *)hva, __ATOMIC_RELAXED));
}

static inline uint16_t guest_load16_acquire(const uint8_t *hva)
{
	return le16toh(__atomic_load_n((const uint16_t *)(const void *)hva, __ATOMIC_ACQUIRE));
}

static inline void guest_store16(uint8_t *hva, uint16_t val)
{
	__atomic_store_n((uint16_t *)(void *)hva, htole16(val), __ATOMIC_RELAXED);
}

static inline void guest_store16_release(uint8_t *hva, uint16_t val)
{
	__atomic_store_n((uint16_t *)(void *)hva, htole16(val), __ATOMIC_RELEASE);
}

static inline void guest_store32(uint8_t *hva, uint32_t val)
{
	__atomic_store_n((uint32_t *)(void *)hva, htole32(val), __ATOMIC_RELAXED);
}

static inline uint8_t guest_load8(const uint8_t *hva)
{
	return __atomic_load_n(hva, __ATOMIC_RELAXED);
}

static inline void guest_store8(uint8_t *hva, uint8_t val)
{
	__atomic_store_n(hva, val, __ATOMIC_RELAXED);
}

/*
 * No load below moves before a store above. The two places that need it name the guest's barrier that
 * they pair with. (Not atomic_thread_fence: gcc's thread sanitizer cannot build that.)
 */
static inline void guest_full_barrier(void)
{
	__sync_synchronize();
}

#endif
