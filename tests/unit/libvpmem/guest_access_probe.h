// SPDX-License-Identifier: Apache-2.0
/*
 * guest_access_probe.h - stands in for virtio/guest_access.h, by the compiler's -include and its guard, in the
 * build of the modules that one test wants to watch: every load and store of guest memory is reported.
 */
#ifndef VIRTIO_GUEST_ACCESS_H
#define VIRTIO_GUEST_ACCESS_H

#include <stddef.h>
#include <stdint.h>

enum guest_access { ACCESS_LOAD, ACCESS_LOAD_ACQUIRE, ACCESS_STORE, ACCESS_STORE_RELEASE, ACCESS_BARRIER };

/* Defined by the test. Called after a load, with what was loaded still in place, and before a store. */
void guest_accessed(enum guest_access kind, const uint8_t *hva, unsigned len);

static inline uint64_t probe_load(enum guest_access kind, const uint8_t *hva, unsigned len)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < len; i++)
		val |= (uint64_t)hva[i] << (8 * i);
	guest_accessed(kind, hva, len);
	return val;
}

static inline void probe_store(enum guest_access kind, uint8_t *hva, uint64_t val, unsigned len)
{
	guest_accessed(kind, hva, len);
	for (unsigned i = 0; i < len; i++)
		hva[i] = (uint8_t)(val >> (8 * i));
}

static inline uint16_t guest_load16(const uint8_t *hva)
{
	return (uint16_t)probe_load(ACCESS_LOAD, hva, 2);
}

static inline uint16_t guest_load16_acquire(const uint8_t *hva)
{
	return (uint16_t)probe_load(ACCESS_LOAD_ACQUIRE, hva, 2);
}

static inline void guest_store16(uint8_t *hva, uint16_t val)
{
	probe_store(ACCESS_STORE, hva, val, 2);
}

static inline void guest_store16_release(uint8_t *hva, uint16_t val)
{
	probe_store(ACCESS_STORE_RELEASE, hva, val, 2);
}

static inline void guest_store32(uint8_t *hva, uint32_t val)
{
	probe_store(ACCESS_STORE, hva, val, 4);
}

static inline uint8_t guest_load8(const uint8_t *hva)
{
	return (uint8_t)probe_load(ACCESS_LOAD, hva, 1);
}

static inline void guest_store8(uint8_t *hva, uint8_t val)
{
	probe_store(ACCESS_STORE, hva, val, 1);
}

static inline void guest_full_barrier(void)
{
	guest_accessed(ACCESS_BARRIER, NULL, 0);
}

#endif
