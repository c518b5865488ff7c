// SPDX-License-Identifier: Apache-2.0
/*
 * machine_pmem.h - pmem devices, those of the model virtio-pmem-pci (machine_pmem.c).
 */
#ifndef PMVM_MACHINE_PMEM_H
#define PMVM_MACHINE_PMEM_H

#include "machine_device.h"

extern const struct device_kind virtio_pmem_pci_kind;

#endif
