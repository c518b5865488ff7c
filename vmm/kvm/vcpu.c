// SPDX-License-Identifier: Apache-2.0
// vCPU threads: run the guest, serve its exits, park.
#include "vcpu.h"

#include "error.h"
#include "kvm.h"
#include "vcpu_exit.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1
#define KERNEL_SIGSET_LEN 8u /* the beginning of a sigset_t */
#define PAGE_SIZE 4096u
#define NS_PER_S 1000000000L
#define STATS_WAIT_NS (NS_PER_S / 10) /* for vCPUs to leave the guest */
#define EXITS_MAX 16u                 /* that a vCPU which parks may have before it */

static _Thread_local struct vcpu *self;

// ---- in the guest

// Without statistics, a guest access that never succeeds is not noticed: stall.h.
static void open_stats(struct vcpu *vcpu)
{
	vcpu->stats_wanted = false;
	if (!vcpu->stats.is_asked)
		(void)kvm_stats_open(&vcpu->stats, vcpu->fd);
	pthread_cond_broadcast(&vcpu->vcpus->changed);
}

// What vcpus_sample asked for.
static void take_sample(struct vcpu *vcpu)
{
	struct kvm_mp_state state;
	struct kvm_regs regs;

	vcpu->sample_wanted = false;
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0 || state.mp_state != KVM_MP_STATE_RUNNABLE ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
		return;
	stall_add(&vcpu->stall, kvm_stats_faults(&vcpu->stats), &regs);
}

// Enters the guest once and serves what it left for. The lock is taken then, and held on return.
static void run_once(struct vcpu *vcpu)
{
	int rc = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;

	pthread_mutex_lock(vcpu->vcpus->lock);
	if (vcpu->sample_wanted || vcpu->stats_wanted) {
		// It was kicked out of the guest for that.
		if (vcpu->vcpus->running)
			__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		// Here, because another thread would wait until the vCPU has left the guest.
		open_stats(vcpu);
		if (vcpu->sample_wanted)
			take_sample(vcpu);
	}
	if (rc == 0)
		vcpu_serve_exit(vcpu);
	else if (rc != EINTR && rc != EAGAIN)
		vcpu_serve_error(vcpu, rc);
}

/*
 * Lets KVM serve the requests that it keeps for the vCPU's next entry, without executing anything: with a signal that
 * waits it comes to them and leaves. One of them is to halt until a page of the host is there (KVM_REQ_APF_HALT).
 * Left over, it would halt the guest after a reset, for a page that does not come any more. True: there is an exit.
 */
static bool serve_kvm_requests(struct vcpu *vcpu)
{
	union {
		struct kvm_signal_mask head;
		uint8_t room[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_LEN];
	} mask = { .head.len = KERNEL_SIGSET_LEN };
	sigset_t kick, all_but_kick, before;
	int rc;

	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	sigfillset(&all_but_kick);
	sigdelset(&all_but_kick, KICK_SIGNAL);
	memcpy(mask.head.sigset, &all_but_kick, KERNEL_SIGSET_LEN);
	pthread_sigmask(SIG_BLOCK, &kick, &before);
	thread_signal(&vcpu->thread, KICK_SIGNAL);
	vcpu->run->immediate_exit = 0;
	rc = ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
	if (rc == 0)
		rc = ioctl(vcpu->fd, KVM_RUN, 0);
	(void)ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0;
}

// KVM completes the instruction of the last exit when it is entered again: let it, without running on.
// One exit may follow another; a guest that KVM cannot enter at all would give them for ever.
static void complete_exit(struct vcpu *vcpu)
{
	for (unsigned i = 0; i < EXITS_MAX; i++) {
		vcpu->run->immediate_exit = 1;
		while (ioctl(vcpu->fd, KVM_RUN, 0) == 0)
			vcpu_serve_exit(vcpu);
		if (!serve_kvm_requests(vcpu))
			break;
		vcpu_serve_exit(vcpu);
	}
	vcpu_take_posted(vcpu->vcpus);
}

// ---- parking

static void park(struct vcpu *vcpu)
{
	struct vcpus *vcpus = vcpu->vcpus;

	vcpu->parked = true;
	pthread_cond_broadcast(&vcpus->changed);
	while (!vcpus->running && !vcpus->ended)
		pthread_cond_wait(&vcpus->changed, vcpu->vcpus->lock);
	vcpu->parked = false;
	vcpu->run->immediate_exit = 0;
}

// The first entry without the lock, which the main thread has: what it needs was written before there was a thread.
static void begin(struct vcpu *vcpu)
{
	if (vcpu->entered) {
		run_once(vcpu);
		return;
	}
	pthread_mutex_lock(vcpu->vcpus->lock);
	vcpu->parked = false;
}

static void vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vcpus *vcpus = vcpu->vcpus;

	self = vcpu;
	begin(vcpu);
	while (!vcpus->ended) {
		if (vcpus->running) {
			vcpu->entered = true;
			pthread_mutex_unlock(vcpu->vcpus->lock);
			run_once(vcpu);
			continue;
		}
		if (vcpu->entered)
			complete_exit(vcpu);
		vcpu->entered = false;
		park(vcpu);
	}
	vcpu->parked = true;
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(vcpu->vcpus->lock);
}

// ---- control

static void kick(struct vcpu *vcpu)
{
	if (!vcpu->has_thread || vcpu->parked || vcpu == self)
		return;
	// The flag first: a vCPU that is about to enter sees it, also one that has no number yet; one that is inside gets the
	// signal.
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	thread_signal(&vcpu->thread, KICK_SIGNAL);
}

void vcpus_stop(struct vcpus *vcpus)
{
	vcpus->running = false;
	for (unsigned i = 0; i < vcpus->n; i++)
		kick(&vcpus->vcpu[i]);
}

void vcpus_pause(struct vcpus *vcpus)
{
	assert(!self);
	vcpus_stop(vcpus);
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		while (vcpu->has_thread && !vcpu->parked)
			pthread_cond_wait(&vcpus->changed, vcpu->vcpus->lock);
	}
}

void vcpus_resume(struct vcpus *vcpus)
{
	vcpus->running = true;
	pthread_cond_broadcast(&vcpus->changed);
}

void vcpus_forgive_pause(struct vcpus *vcpus)
{
	// Fails in a guest without kvmclock, which has no use for it.
	for (unsigned i = 0; i < vcpus->n; i++)
		(void)ioctl(vcpus->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

static enum vcpus_sample sample(struct vcpu *vcpu)
{
	uint64_t nfaults = kvm_stats_faults(&vcpu->stats).taken;
	// Of one without statistics yet nothing is known.
	bool faulting = nfaults != vcpu->nfaults || !vcpu->stats.is_asked;

	vcpu->nfaults = nfaults;
	if (stall_is_one(&vcpu->stall))
		return stall_is_refused(&vcpu->stall) ? VCPUS_REFUSED : VCPUS_STALLED;
	if (faulting) {
		vcpu->sample_wanted = true;
		kick(vcpu);
	}
	return faulting ? VCPUS_FAULTING : VCPUS_QUIET;
}

enum vcpus_sample vcpus_sample(struct vcpus *vcpus)
{
	enum vcpus_sample worst = VCPUS_QUIET;

	for (unsigned i = 0; i < vcpus->n; i++) {
		enum vcpus_sample seen = sample(&vcpus->vcpu[i]);

		if (seen > worst)
			worst = seen;
	}
	return worst;
}

void vcpus_open_stats(struct vcpus *vcpus)
{
	struct timespec end;

	assert(!self);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += STATS_WAIT_NS;
	if (end.tv_nsec >= NS_PER_S) {
		end.tv_nsec -= NS_PER_S;
		end.tv_sec++;
	}
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		vcpu->stats_wanted = !vcpu->stats.is_asked;
		if (vcpu->stats_wanted)
			kick(vcpu);
	}
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		while (vcpu->stats_wanted && vcpu->has_thread && !vcpu->parked &&
		       pthread_cond_clockwait(&vcpus->changed, vcpus->lock, CLOCK_MONOTONIC, &end) == 0)
			;
		// Nobody is in KVM with a vCPU that is parked.
		if (vcpu->stats_wanted && (!vcpu->has_thread || vcpu->parked))
			open_stats(vcpu);
	}
}

void vcpus_forget_samples(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->n; i++)
		vcpus->vcpu[i].stall.nsamples = 0;
}

// ---- creation

static void on_kick(int signo)
{
	(void)signo;
}

int vcpus_handle_kicks(struct vpmem_error *err)
{
	// Without SA_RESTART: its only effect is that KVM_RUN returns.
	const struct sigaction kick_action = { .sa_handler = on_kick };

	if (sigaction(KICK_SIGNAL, &kick_action, NULL) == 0)
		return 0;
	return error_set(err, -errno, "cannot handle the signal of vCPUs: %s", strerror(errno));
}

static int create_one(struct vcpu *vcpu, struct vpmem_error *err)
{
	struct kvm *kvm = vcpu->vcpus->kvm;
	void *run;

	vcpu->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, vcpu->idx);
	if (vcpu->fd < 0)
		return error_set(err, -errno, "kvm: cannot create vCPU %u: %s", vcpu->idx, strerror(errno));
	run = mmap(NULL, kvm->vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return error_set(err, -errno, "kvm: cannot map vCPU %u: %s", vcpu->idx, strerror(errno));
	vcpu->run = run;
	if (kvm->posted_page && vcpu->idx == 0)
		vcpu->vcpus->posted = (void *)((uint8_t *)run + kvm->posted_page * PAGE_SIZE);
	return 0;
}

static int start_one(struct vcpu *vcpu)
{
	const struct thread_options opts = {
		.kind = THREAD_VCPU, .signo = KICK_SIGNAL, .run = vcpu_main, .opaque = vcpu
	};
	int rc;

	vcpu->entered = vcpu->vcpus->running;
	vcpu->parked = !vcpu->entered;
	rc = thread_start(&vcpu->thread, &opts, "CPU %u/KVM", vcpu->idx);
	vcpu->has_thread = rc == 0;
	return rc;
}

int vcpus_start(struct vcpus *vcpus, struct vpmem_error *err)
{
	int rc = 0;

	// vCPU 0 last: the others wait for it in KVM, so no guest runs while a thread may still be refused.
	for (unsigned i = vcpus->n; i-- > 0 && rc == 0;)
		rc = start_one(&vcpus->vcpu[i]);
	return rc ? error_set(err, rc, "cannot start a vCPU's thread: %s", strerror(-rc)) : 0;
}

int vcpus_create(struct vcpus *vcpus, const struct vcpus_config *cfg, struct vpmem_error *err)
{
	int rc = 0;

	vcpus->kvm = cfg->kvm;
	vcpus->lock = cfg->lock;
	vcpus->pio = cfg->pio;
	vcpus->ops = cfg->ops;
	vcpus->owner = cfg->owner;
	vcpus->vcpu = calloc(cfg->n, sizeof(vcpus->vcpu[0]));
	if (!vcpus->vcpu)
		return error_set(err, -ENOMEM, "kvm: cannot create %u vCPUs: %s", cfg->n, strerror(ENOMEM));
	vcpus->n = cfg->n;
	pthread_cond_init(&vcpus->changed, NULL);
	for (unsigned i = 0; i < vcpus->n; i++)
		vcpus->vcpu[i] =
			(struct vcpu) { .vcpus = vcpus, .idx = i, .fd = -1, .stats = { .fd = -1 }, .parked = true };
	for (unsigned i = 0; i < vcpus->n && rc == 0; i++)
		rc = create_one(&vcpus->vcpu[i], err);
	return rc;
}

static void join_all(struct vcpus *vcpus)
{
	vcpus->ended = true;
	vcpus_stop(vcpus);
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(vcpus->lock);
	for (unsigned i = 0; i < vcpus->n; i++)
		if (vcpus->vcpu[i].has_thread)
			pthread_join(vcpus->vcpu[i].thread.id, NULL);
	pthread_mutex_lock(vcpus->lock);
}

void vcpus_destroy(struct vcpus *vcpus)
{
	if (vcpus->n == 0)
		return;
	join_all(vcpus);
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		if (vcpu->run)
			munmap(vcpu->run, vcpus->kvm->vcpu_mmap_size);
		kvm_stats_close(&vcpu->stats);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
	}
	vcpus->posted = NULL;
	pthread_cond_destroy(&vcpus->changed);
	free(vcpus->vcpu);
	vcpus->vcpu = NULL;
	vcpus->n = 0;
}
