// SPDX-License-Identifier: Apache-2.0
/*
 * vcpu.h - the vCPUs: one thread each, which runs the guest and serves its exits.
 *
 * A vCPU is in the guest, or serves an exit with the lock held, or is parked. All functions are called with that lock
 * held; vcpus_pause, vcpus_open_stats and vcpus_destroy release it while they wait.
 *
 * What an exit means for the machine is decided above this room: by the I/O space and by vcpu_ops. What a vCPU's
 * registers are when it begins is decided there as well, through vcpu.fd.
 */
#ifndef PMVM_VCPU_H
#define PMVM_VCPU_H

#include "io.h"
#include "kvm_stats.h"
#include "stall.h"
#include "thread.h"
#include "vm.h"
#include "vm_limits.h"

#include <pthread.h>
#include <vpmem.h>

struct kvm;
struct kvm_coalesced_mmio_ring;
struct kvm_run;
struct vcpus;

/* What a vCPU asks of the machine. */
enum vcpu_request {
	VCPU_RESET,     /* a triple fault, or KVM's system event */
	VCPU_POWER_OFF, /* KVM's system event */
};

/* Why a vCPU cannot go on from where it is. The log says more. */
enum vcpu_error {
	VCPU_CANNOT_EMULATE, /* its instruction accesses what is no plain memory, and KVM cannot emulate it */
	VCPU_CANNOT_RUN,     /* all else: the processor or KVM refuses to enter the guest in this state */
};

/* What the machine does for its vCPUs. Called in a vCPU's thread, with the lock held. */
struct vcpu_ops {
	/* An access of 1 to 8 bytes to guest memory that KVM could not do: takes the data, or fills it. */
	void (*mmio)(void *owner, gpa_t gpa, void *data, unsigned len, bool is_write);
	/* The host could not provide a page for some access. The instruction was not executed. */
	void (*no_memory)(void *owner);
	void (*request)(void *owner, enum vcpu_request request);
	/* The vCPU is in a state from which only a reset leads. A guest can bring it there. */
	void (*internal_error)(void *owner, enum vcpu_error error);
};

struct vcpu {
	struct vcpus *vcpus;
	unsigned idx;
	int fd;              /* -1: not created */
	struct kvm_run *run; /* shared with the kernel */
	struct kvm_stats stats;
	uint64_t nfaults; /* taken at the last sample */
	struct stall stall;
	bool sample_wanted; /* it adds to stall when it comes out of the guest */
	bool stats_wanted;  /* it opens stats then */
	struct thread thread;
	bool has_thread;
	bool parked;
	bool entered; /* KVM may have an exit to complete */
	/* For query-cpus-fast. */
	uint64_t nbus_locks; /* accesses that locked the memory bus of the host */
	uint64_t nnotify;    /* times that it was in the guest for the notify window (kvm.c) */
};

struct vcpus {
	struct kvm *kvm;
	pthread_mutex_t *lock;
	struct io_space *pio;
	const struct vcpu_ops *ops;
	void *owner; /* of ops */
	unsigned n;
	bool running;                           /* false: every vCPU parks as soon as it can */
	bool ended;                             /* threads return */
	struct kvm_coalesced_mmio_ring *posted; /* the guest's writes that no vCPU left it for; NULL: there are none */
	pthread_cond_t changed;                 /* running, ended or some parked changed */
	struct vcpu *vcpu;                      /* n of them */
};

/* All of it is borrowed until vcpus_destroy. */
struct vcpus_config {
	struct kvm *kvm;
	pthread_mutex_t *lock;
	struct io_space *pio; /* where port accesses go */
	const struct vcpu_ops *ops;
	void *owner;
	unsigned n; /* 1 to CPUS_MAX */
};

/* Handles the signal by which a vCPU leaves the guest. Before the sandbox, which refuses new handlers. */
int vcpus_handle_kicks(struct vpmem_error *err);
/* Creates n vCPUs, as KVM makes them. *vcpus is all zeros. */
int vcpus_create(struct vcpus *vcpus, const struct vcpus_config *cfg, struct vpmem_error *err);
/*
 * Starts their threads: in the guest after vcpus_resume, else parked. On failure, vCPU 0 has executed nothing, and the
 * other vCPUs of a new guest wait for it.
 */
int vcpus_start(struct vcpus *vcpus, struct vpmem_error *err);

/* Asks every vCPU to leave the guest, without waiting: the caller may be one of them. */
void vcpus_stop(struct vcpus *vcpus);
/* Stops and waits until all are parked. Not from a vCPU's thread. */
void vcpus_pause(struct vcpus *vcpus);
void vcpus_resume(struct vcpus *vcpus);
/*
 * Takes one more sample of each vCPU that takes page faults: it leaves the guest for a moment, and what it found counts
 * in the next call. FAULTING: some vCPU takes faults, and the next sample should come soon. STALLED: one seems to be at
 * an access that never succeeds, if there is a reason for that (stall.h). REFUSED: its faults are not resolved.
 */
enum vcpus_sample { VCPUS_QUIET, VCPUS_FAULTING, VCPUS_STALLED, VCPUS_REFUSED };
enum vcpus_sample vcpus_sample(struct vcpus *vcpus);
/* Drops the samples taken so far. */
void vcpus_forget_samples(struct vcpus *vcpus);
/*
 * Opens the statistics of each vCPU that has none yet. Its own thread does that, when it has left the guest: one that
 * does not leave it in a tenth of a second, as for a page that the host cannot read, stays without. Not from a vCPU's
 * thread.
 */
void vcpus_open_stats(struct vcpus *vcpus);
/* They go on after a stop: guests' watchdogs learn that time has passed without them. They must be parked. */
void vcpus_forgive_pause(struct vcpus *vcpus);

/* Joins the threads and closes everything; legal after a failed create or start, and without any. */
void vcpus_destroy(struct vcpus *vcpus);

#endif
