// SPDX-License-Identifier: Apache-2.0
/* machine_console.h - COM1. Stages of the assembly; without -serial, nobody is behind it. */
#ifndef PMVM_MACHINE_CONSOLE_H
#define PMVM_MACHINE_CONSOLE_H

struct machine;
struct vpmem_error;

int machine_console_up(struct machine *m, struct vpmem_error *err);
/* Legal after an up that failed. */
void machine_console_down(struct machine *m);

#endif
