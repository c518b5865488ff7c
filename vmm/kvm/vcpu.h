// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu.h - the vCPUs: one thread each, which runs the guest and serves its exits.
 *
 * A vCPU is either in the guest, serving an exit under the machine lock, or parked. All functions are
 * called under the machine lock; vcpus_pause and vcpus_destroy release it while they wait.
 */
#ifndef PMVM_VCPU_H
#define PMVM_VCPU_H

#include "cpu.h"
#include "kvm_stats.h"
#include "stall.h"
#include "vm_limits.h"

#include <pthread.h>
#include <semaphore.h>

struct kvm_coalesced_mmio_ring;
struct kvm_run;
struct machine;

struct vcpu {
	struct machine *machine;
	unsigned idx;
	int fd;              /* -1: not created */
	struct kvm_run *run; /* shared with the kernel */
	struct kvm_stats stats;
	uint64_t nfaults; /* taken at the last look */
	struct stall stall;
	bool look_wanted;          /* it adds to stall when it comes out of the guest */
	struct cpu_msrs *new_msrs; /* as they were when it was created: a reset puts them back */
	pthread_t thread;
	_Atomic pid_t tid; /* of the thread, for query-cpus-fast; 0 before it runs */
	bool has_thread;
	bool parked;
	bool entered; /* KVM may have an exit to complete */
};

struct vcpus {
	unsigned n;
	bool running;                           /* false: every vCPU parks as soon as it can */
	bool ended;                             /* threads return */
	bool begun;                             /* threads are past the gate */
	sem_t gate;                             /* where they wait for the first time, without the lock */
	bool are_new;                           /* there is nothing to restore */
	struct kvm_coalesced_mmio_ring *posted; /* the guest's writes that no vCPU left it for; NULL: there are none */
	pthread_cond_t changed;                 /* running, ended or some parked changed */
	struct vcpu vcpu[CPUS_MAX];
};

/* Creates n vCPUs. */
int vcpus_create(struct machine *m, unsigned n, struct vpmem_error *err);
/* Starts their threads, all parked. */
int vcpus_start(struct vcpus *vcpus, struct vpmem_error *err);

/* Asks every vCPU to leave the guest, without waiting: the caller may be one of them. */
void vcpus_stop(struct vcpus *vcpus);
/* Stops and waits until all are parked. Not from a vCPU's thread. */
void vcpus_pause(struct vcpus *vcpus);
void vcpus_resume(struct vcpus *vcpus);
/*
 * Looks once more at each vCPU that takes page faults: it leaves the guest for a moment, and what is seen counts at the
 * next look. STANDING: some vCPU stands at an access that never succeeds (stall.h). FAULTING: some vCPU takes
 * faults: it is worth to look again soon.
 */
enum vcpus_look { VCPUS_QUIET, VCPUS_FAULTING, VCPUS_STANDING };
enum vcpus_look vcpus_look(struct vcpus *vcpus);
/* What was seen so far is of no interest any more. */
void vcpus_forget_looks(struct vcpus *vcpus);
/* They go on after a stop: tells the guests' watchdogs that time has passed without them. They must be parked. */
void vcpus_forgive_pause(struct vcpus *vcpus);

/* All vCPUs as new, vCPU 0 at the kernel's entry. They must be parked. */
int vcpus_reset(struct vcpus *vcpus, const struct gmem *gmem, const struct boot_entry *entry);

/* Joins the threads and closes everything; legal after a failed create or start. */
void vcpus_destroy(struct machine *m);

#endif
