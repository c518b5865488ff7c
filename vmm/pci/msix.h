// SPDX-License-Identifier: Apache-2.0
/*
 * msix.h - the MSI-X table and pending bits of a device, and which vector each of its events uses.
 *
 * A vector is an eventfd bound to a message route of the machine (vm_ops.msi_add). The route is added when
 * an event is first mapped to the vector, and gets the table's address and data whenever the vector becomes
 * unmasked, or changes while unmasked.
 *
 * Registers are written under the machine lock. msix_raise comes from any thread, without it: what it needs
 * (is the vector open, which vector has this event) lies under a leaf lock in here, and the calls of vm_ops
 * are made outside of that lock. That is safe in this order: a vector opens only after its route has the
 * message; while it is closed, an event only sets its pending bit; opening delivers that bit, once.
 */
#ifndef PMVM_MSIX_H
#define PMVM_MSIX_H

#include "vm.h"

#include <stdbool.h>
#include <stdint.h>

#define MSIX_VECTORS_MAX 128u
#define MSIX_NO_VECTOR 0xffffu /* VIRTIO_MSI_NO_VECTOR */

struct msix;

/*
 * n vectors, 1 to MSIX_VECTORS_MAX, and events 0 to nevents - 1, which may share vectors. Disabled, all vectors masked, no
 * event mapped.
 * Returns 0 or -errno.
 */
int msix_create(struct vm *vm, unsigned n, unsigned nevents, struct msix **out);
/* Removes the routes. Under the machine lock; NULL is allowed. */
void msix_destroy(struct msix *msix);
/* As created. */
void msix_reset(struct msix *msix);

/*
 * Guest accesses, off from the start of the table (16 bytes for each vector) or of the pending bits (8 bytes for each 64
 * vectors). Only aligned 4 and 8 bytes count.
 */
uint64_t msix_table_read(const struct msix *msix, uint64_t off, unsigned width);
void msix_table_write(struct msix *msix, uint64_t off, unsigned width, uint64_t val);
uint64_t msix_pba_read(struct msix *msix, uint64_t off, unsigned width);

/* Message Control: MSI-X Enable and Function Mask. Disabling drops what is pending. */
void msix_set_control(struct msix *msix, bool enabled, bool function_masked);

/*
 * Maps an event to a vector, MSIX_NO_VECTOR for none. Returns the vector in effect: MSIX_NO_VECTOR if there
 * is no such vector or the machine has no route for it.
 */
uint16_t msix_map_event(struct msix *msix, unsigned event, uint16_t vector);
uint16_t msix_event_vector(const struct msix *msix, unsigned event);
/*
 * What else raises the event: an eventfd, non-blocking, borrowed until msix_destroy. Set before the event is mapped. Its count
 * stays when the event is mapped elsewhere: the device reads it away when it is reset.
 */
void msix_set_event_efd(struct msix *msix, unsigned event, int efd);
/*
 * Nothing takes the event's eventfd, which therefore the caller has to wait for, and then to raise the event: MSI-X is
 * disabled, or the machine refused to bind it.
 */
bool msix_event_efd_is_free(const struct msix *msix, unsigned event);
/* Device reset: no event is mapped, and nothing pending is delivered any more. */
void msix_unmap_events(struct msix *msix);

/* An event happened: sends its message now or when it is unmasked. False if MSI-X is disabled. Any thread. */
bool msix_raise(struct msix *msix, unsigned event);

#endif
