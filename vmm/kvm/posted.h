// SPDX-License-Identifier: Apache-2.0
/*
 * posted.h - writes of the guest that KVM collects in a ring instead of leaving the guest for each of them.
 *
 * Meant for a register whose write does nothing by itself: the address port of PCI's configuration space, which every
 * access writes before it touches the data port. One exit to user space is left of two.
 *
 * KVM has one ring for a virtual machine, which lies in the mapping of every vCPU. What it holds came before whatever
 * exit a vCPU brings, so it must be taken first. The kernel writes at its end under a lock of its own, and is trusted;
 * who takes from it holds the machine lock. Source: Linux, Documentation/virt/kvm/api.rst,
 * KVM_(UN)REGISTER_COALESCED_MMIO.
 */
#ifndef PMVM_POSTED_H
#define PMVM_POSTED_H

#include "io.h"

struct kvm;
struct kvm_coalesced_mmio_ring;

/*
 * From now on, guest writes to these ports go to the ring where KVM can (Linux 4.20); else, and when the ring is full,
 * they leave the guest as before. Before the first vCPU.
 */
void posted_add_ports(struct kvm *kvm, uint64_t port, uint32_t size);

/*
 * Performs the writes that are in the ring now, in their order, and none that other vCPUs add meanwhile: at most as many
 * as the ring holds. Returns how many.
 */
unsigned posted_take(struct kvm_coalesced_mmio_ring *ring, struct io_space *pio);

#endif
