// SPDX-License-Identifier: Apache-2.0
/*
 * vm_limits.h - the largest numbers of vCPUs, buses and devices, and of bytes of RAM. The command line checks against them before there is
 * a machine. (The name is not limits.h, which would hide the one of libc.)
 */
#ifndef PMVM_VM_LIMITS_H
#define PMVM_VM_LIMITS_H

#include <stdint.h>

#define CPUS_MAX 64u
#define RAM_GRANULE (UINT64_C(8) << 10) /* bytes; QEMU rounds -m up to it */
#define RAM_SIZE_MIN (UINT64_C(2) << 20)
#define RAM_SIZE_MAX (UINT64_C(16) << 40)
#define PCI_BUSES_MAX 8u
#define PCI_BUS_SLOTS 32u /* of one bus; the first is its host bridge */
#define PCI_BUS_DEVICES (PCI_BUS_SLOTS - 1)
#define PCI_DEVICES_MAX (PCI_BUSES_MAX * PCI_BUS_SLOTS)

#endif
