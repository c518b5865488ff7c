// SPDX-License-Identifier: Apache-2.0
/*
 * cpu.h - interrupts of a bare-metal guest program, and its second processor.
 *
 * Every interrupt is counted under its vector and acknowledged at the local APIC; a vector may have a handler
 * that runs before that. An exception ends the program as a failed fact.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include "lib.h"

/* Vectors 0x20 to 0xef are the program's. */
#define IRQ_VECTOR_FIRST 0x30u

/* Interrupt table, local APIC on, interrupt flag set. */
void irq_init(void);

void irq_set_handler(unsigned vector, void (*handler)(void));
unsigned irq_count(unsigned vector);
/* All that arrived on any vector. */
unsigned irq_count_all(void);

/* Waits until a vector's count is `count`; false if that did not happen. */
bool irq_wait(unsigned vector, unsigned count);

/* Sleeps (hlt) until a vector's count is `count`; for ever if it never is. */
void irq_sleep(unsigned vector, unsigned count);

/* Level-triggered line of the I/O APIC to the first processor; then masked or not. */
void ioapic_set(unsigned gsi, unsigned vector, bool masked);
/* The line's entry: bit 12 delivery pending, bit 14 remote IRR. */
uint32_t ioapic_get(unsigned gsi);

/* Runs fn, which never returns, on the second processor. False if there is none. */
bool ap_run(void (*fn)(void));

#endif
