// SPDX-License-Identifier: Apache-2.0
/*
 * machine_store.h - guest accesses to persistent memory that KVM could not do, and the stores among them that wait until
 * the host can (machine_store.c).
 */
#ifndef PMVM_MACHINE_STORE_H
#define PMVM_MACHINE_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct pmem;
struct vpmem_error;

/* An access to a device's window, in a vCPU's thread: reads 1 to 8 bytes into data, or stores them. */
void machine_pmem_access(struct pmem *pmem, uint64_t off, void *data, unsigned len, bool is_write);

/*
 * KVM could not emulate an instruction, and does not say where it stored. If there is read-only memory, a store to it
 * may have been the cause: counts and reports it; for the device, if only one is read-only.
 */
void machine_refuse_unknown_store(struct machine *m);

/*
 * With cont: does the stores that wait, in their order, each once. Stops at the first that fails: returns its -errno,
 * with a text for the operator.
 */
int machine_do_stores(struct machine *m, struct vpmem_error *err);
/* At a reset: the guest that made them is gone. */
void machine_forget_stores(struct machine *m);
/*
 * The device is removed, or the machine ends: tries each of its stores once more, also behind one that fails. A failure
 * goes to the log and to m->close_error.
 */
void machine_end_stores_to(struct pmem *pmem);

#endif
