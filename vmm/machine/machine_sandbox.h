// SPDX-License-Identifier: Apache-2.0
/*
 * machine_sandbox.h - the sandbox of a machine: which stages of its start put up what (vmm/sandbox/), and its report.
 *
 * With -sandbox off, none of it. Otherwise, in this order:
 *
 *   machine_broker_up    first of all: descriptors that nobody named are closed, and the broker process is forked.
 *   machine_sandbox_up   everything of the command line is open, helpers run, and there is one thread: this process gives
 *                        up its privileges, its files and most system calls. Every later thread has the same limits.
 *   machine_settled      the end of the start: the broker becomes the user of -run-with.
 */
#ifndef PMVM_MACHINE_SANDBOX_H
#define PMVM_MACHINE_SANDBOX_H

#include <stdbool.h>
#include <vpmem.h>

struct machine;

int machine_broker_up(struct machine *m, struct vpmem_error *err);
void machine_broker_down(struct machine *m);
int machine_sandbox_up(struct machine *m, struct vpmem_error *err);
int machine_settled(struct machine *m, struct vpmem_error *err);

#endif
