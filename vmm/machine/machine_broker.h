// SPDX-License-Identifier: Apache-2.0
/*
 * machine_broker.h - all operations of the rooms that a machine may need after its start, for the broker (broker.h).
 */
#ifndef PMVM_MACHINE_BROKER_H
#define PMVM_MACHINE_BROKER_H

#include "broker.h"

extern const struct broker_op *const machine_broker_ops[];
extern const unsigned machine_broker_nops;

#endif
