// SPDX-License-Identifier: Apache-2.0
/*
 * machine_rng.h - entropy devices, and where they have their bytes from (machine_rng.c).
 */
#ifndef PMVM_MACHINE_RNG_H
#define PMVM_MACHINE_RNG_H

#include "broker.h"
#include "machine_device.h"
#include "machine_object.h"

extern const struct object_kind rng_builtin_kind, rng_random_kind;
extern const struct device_kind virtio_rng_pci_kind;
extern const struct broker_op rng_random_open_op;

#endif
