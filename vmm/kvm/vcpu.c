// SPDX-License-Identifier: Apache-2.0
// vCPU threads: run the guest, serve its exits, park.
#include "vcpu.h"

#include "error.h"
#include "log.h"
#include "machine.h"
#include "posted.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1
#define THREAD_STACK_SIZE (64 * 1024)
#define KERNEL_SIGSET_LEN 8u /* the beginning of a sigset_t */
#define PAGE_SIZE 4096u
#define EXITS_MAX 16u /* that a vCPU which parks may have before it */

static _Thread_local struct vcpu *self;

// ---- exits

static void serve_io(struct machine *m, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	// String instructions come as several accesses of one port.
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, data, run->io.size);
			io_write(&m->pio, run->io.port, run->io.size, val);
		} else {
			val = io_read(&m->pio, run->io.port, run->io.size);
			memcpy(data, &val, run->io.size);
		}
	}
}

static void serve_mmio(struct machine *m, struct kvm_run *run)
{
	uint64_t val = 0;
	unsigned width = run->mmio.len;

	if (machine_pmem_at(m, run->mmio.phys_addr)) {
		machine_pmem_access(m, run->mmio.phys_addr, run->mmio.data, width, run->mmio.is_write);
	} else if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, width);
		io_write(&m->mmio, run->mmio.phys_addr, width, val);
	} else {
		val = io_read(&m->mmio, run->mmio.phys_addr, width);
		memcpy(run->mmio.data, &val, width);
	}
}

static void fail(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	log_error("vcpu %u: %s: 0x%" PRIx64 ": rip 0x%" PRIx64, vcpu->idx, what, detail, (uint64_t)regs.rip);
	machine_request(vcpu->machine, REQUEST_FAIL, CAUSE_HOST_ERROR);
}

// Whatever a vCPU left the guest for came after these; and none may be left when the machine is reset.
static void take_posted(struct machine *m)
{
	if (m->vcpus.posted)
		(void)posted_take(m->vcpus.posted, &m->pio);
}

static void serve_exit(struct vcpu *vcpu)
{
	struct machine *m = vcpu->machine;
	struct kvm_run *run = vcpu->run;

	take_posted(m);
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		serve_io(m, run);
		break;
	case KVM_EXIT_MMIO:
		serve_mmio(m, run);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		// A triple fault: a processor would reset the machine.
		log_guest("vcpu %u: triple fault: the machine is reset", vcpu->idx);
		machine_request(m, REQUEST_RESET, CAUSE_GUEST_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		if (run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN)
			machine_request(m, REQUEST_POWER_OFF, CAUSE_GUEST_SHUTDOWN);
		else
			machine_request(m, REQUEST_RESET, CAUSE_GUEST_RESET);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		fail(vcpu, "KVM internal error (1: it could not emulate an instruction)", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fail(vcpu, "the processor refused to enter the guest: hardware reason",
		     run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		fail(vcpu, "unexpected exit from KVM: reason", run->exit_reason);
	}
}

// What vcpus_look asked for.
static void look(struct vcpu *vcpu)
{
	struct kvm_mp_state state;
	struct kvm_regs regs;

	vcpu->look_wanted = false;
	if (vcpu->machine->vcpus.running)
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
	if (ioctl(vcpu->fd, KVM_GET_MP_STATE, &state) < 0 || state.mp_state != KVM_MP_STATE_RUNNABLE ||
	    ioctl(vcpu->fd, KVM_GET_REGS, &regs) < 0)
		return;
	stall_add(&vcpu->stall, kvm_stats_faults(&vcpu->stats), &regs);
}

// Enters the guest once and serves what it left for. The lock is taken then, and held on return.
static void run_once(struct vcpu *vcpu)
{
	int rc = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? errno : 0;

	pthread_mutex_lock(&vcpu->machine->lock);
	if (vcpu->look_wanted)
		look(vcpu);
	if (rc == 0)
		serve_exit(vcpu);
	else if (rc == EFAULT)
		// A page that the host cannot give; the instruction was not executed.
		machine_no_memory(vcpu->machine);
	else if (rc != EINTR && rc != EAGAIN)
		fail(vcpu, "KVM_RUN failed: errno", (uint64_t)rc);
}

/*
 * Lets KVM serve the requests that it keeps for the vCPU's next entry, without executing anything: with a signal that
 * waits it comes to them and leaves. One of them is to halt until a page of the host is there (KVM_REQ_APF_HALT).
 * Left over, it would halt the guest after a reset, for a page that nobody brings any more. True: there is an exit.
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
	pthread_kill(pthread_self(), KICK_SIGNAL);
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
			serve_exit(vcpu);
		if (!serve_kvm_requests(vcpu))
			break;
		serve_exit(vcpu);
	}
	take_posted(vcpu->machine);
}

// ---- parking

static void park(struct vcpu *vcpu)
{
	struct vcpus *vcpus = &vcpu->machine->vcpus;

	vcpu->parked = true;
	pthread_cond_broadcast(&vcpus->changed);
	while (!vcpus->running && !vcpus->ended)
		pthread_cond_wait(&vcpus->changed, &vcpu->machine->lock);
	vcpu->parked = false;
	vcpu->run->immediate_exit = 0;
}

// The first entry, or none. What it needs was written before the gate was opened; for the lock it would wait again.
static void begin(struct vcpu *vcpu)
{
	while (sem_wait(&vcpu->machine->vcpus.gate) < 0)
		assert(errno == EINTR);
	if (vcpu->entered)
		run_once(vcpu);
	else
		pthread_mutex_lock(&vcpu->machine->lock);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vcpus *vcpus = &vcpu->machine->vcpus;
	char name[24];

	self = vcpu;
	vcpu->tid = gettid();
	snprintf(name, sizeof(name), "CPU %u/KVM", vcpu->idx);
	pthread_setname_np(pthread_self(), name);
	begin(vcpu);
	while (!vcpus->ended) {
		if (vcpus->running) {
			vcpu->entered = true;
			pthread_mutex_unlock(&vcpu->machine->lock);
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
	pthread_mutex_unlock(&vcpu->machine->lock);
	return NULL;
}

// ---- control

static void kick(struct vcpu *vcpu)
{
	if (!vcpu->has_thread || vcpu->parked || vcpu == self)
		return;
	// The flag first: a vCPU that is about to enter sees it, one that is inside gets the signal.
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
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
			pthread_cond_wait(&vcpus->changed, &vcpu->machine->lock);
	}
}

// The threads begin: in the guest if it runs, else with their end.
static void open_gate(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->n && !vcpus->begun; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		vcpu->entered = vcpus->running;
		vcpu->parked = false;
		sem_post(&vcpus->gate);
	}
	vcpus->begun = true;
}

void vcpus_resume(struct vcpus *vcpus)
{
	vcpus->running = true;
	open_gate(vcpus);
	pthread_cond_broadcast(&vcpus->changed);
}

void vcpus_forgive_pause(struct vcpus *vcpus)
{
	// Fails in a guest without kvmclock, which has no use for it.
	for (unsigned i = 0; i < vcpus->n; i++)
		(void)ioctl(vcpus->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

static enum vcpus_look look_at(struct vcpu *vcpu)
{
	uint64_t nfaults = kvm_stats_faults(&vcpu->stats);
	bool faulting = nfaults != vcpu->nfaults;

	vcpu->nfaults = nfaults;
	if (stall_is_one(&vcpu->stall))
		return VCPUS_STANDING;
	if (faulting) {
		vcpu->look_wanted = true;
		kick(vcpu);
	}
	return faulting ? VCPUS_FAULTING : VCPUS_QUIET;
}

enum vcpus_look vcpus_look(struct vcpus *vcpus)
{
	enum vcpus_look worst = VCPUS_QUIET;

	for (unsigned i = 0; i < vcpus->n; i++) {
		enum vcpus_look seen = look_at(&vcpus->vcpu[i]);

		if (seen > worst)
			worst = seen;
	}
	return worst;
}

void vcpus_forget_looks(struct vcpus *vcpus)
{
	for (unsigned i = 0; i < vcpus->n; i++)
		vcpus->vcpu[i].stall.nlooks = 0;
}

int vcpus_reset(struct vcpus *vcpus, const struct gmem *gmem, const struct boot_entry *entry)
{
	int rc = 0;

	for (unsigned i = 0; i < vcpus->n && rc == 0 && !vcpus->are_new; i++)
		rc = cpu_reset(vcpus->vcpu[i].fd, i, vcpus->vcpu[i].new_msrs);
	vcpus->are_new = false;
	return rc ? rc : cpu_set_entry(vcpus->vcpu[0].fd, gmem, entry);
}

// ---- creation

static void on_kick(int signo)
{
	(void)signo;
}

static int create_one(struct machine *m, struct vcpu *vcpu, struct vpmem_error *err)
{
	void *run;
	int rc;

	vcpu->fd = ioctl(m->kvm.vm_fd, KVM_CREATE_VCPU, vcpu->idx);
	if (vcpu->fd < 0)
		return error_set(err, -errno, "kvm: cannot create vCPU %u: %s", vcpu->idx, strerror(errno));
	run = mmap(NULL, m->kvm.vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return error_set(err, -errno, "kvm: cannot map vCPU %u: %s", vcpu->idx, strerror(errno));
	vcpu->run = run;
	if (m->kvm.posted_page && vcpu->idx == 0)
		m->vcpus.posted = (void *)((uint8_t *)run + m->kvm.posted_page * PAGE_SIZE);
	// Without them, one kind of full disk goes unnoticed: machine_fault.c.
	(void)kvm_stats_open(&vcpu->stats, vcpu->fd);
	rc = cpu_set_cpuid(m->cpu_host, vcpu->fd, vcpu->idx, m->vcpus.n, err);
	if (rc < 0)
		return rc;
	rc = cpu_msrs_save(m->cpu_host, vcpu->fd, &vcpu->new_msrs);
	if (rc < 0)
		return error_set(err, rc, "kvm: cannot read the MSRs of vCPU %u: %s", vcpu->idx, strerror(-rc));
	cpu_msrs_set_firmware(vcpu->fd, vcpu->new_msrs);
	return 0;
}

int vcpus_start(struct vcpus *vcpus, struct vpmem_error *err)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);
	for (unsigned i = 0; i < vcpus->n && rc == 0; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		rc = pthread_create(&vcpu->thread, &attr, vcpu_main, vcpu);
		vcpu->has_thread = rc == 0;
	}
	pthread_attr_destroy(&attr);
	return rc ? error_set(err, -rc, "cannot start a vCPU's thread: %s", strerror(rc)) : 0;
}

int vcpus_create(struct machine *m, unsigned n, struct vpmem_error *err)
{
	// Without SA_RESTART: its only effect is that KVM_RUN returns.
	struct sigaction kick = { .sa_handler = on_kick };
	int rc = 0;

	sigaction(KICK_SIGNAL, &kick, NULL);
	m->vcpus.n = n;
	m->vcpus.are_new = true;
	pthread_cond_init(&m->vcpus.changed, NULL);
	sem_init(&m->vcpus.gate, 0, 0);
	for (unsigned i = 0; i < n; i++)
		m->vcpus.vcpu[i] =
			(struct vcpu) { .machine = m, .idx = i, .fd = -1, .stats = { .fd = -1 }, .parked = true };
	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = create_one(m, &m->vcpus.vcpu[i], err);
	return rc;
}

void vcpus_destroy(struct machine *m)
{
	struct vcpus *vcpus = &m->vcpus;

	vcpus->ended = true;
	vcpus_stop(vcpus);
	open_gate(vcpus);
	pthread_cond_broadcast(&vcpus->changed);
	pthread_mutex_unlock(&m->lock);
	for (unsigned i = 0; i < vcpus->n; i++)
		if (vcpus->vcpu[i].has_thread)
			pthread_join(vcpus->vcpu[i].thread, NULL);
	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < vcpus->n; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		if (vcpu->run)
			munmap(vcpu->run, m->kvm.vcpu_mmap_size);
		kvm_stats_close(&vcpu->stats);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
		cpu_msrs_free(vcpu->new_msrs);
	}
	vcpus->posted = NULL;
	if (vcpus->n > 0) {
		pthread_cond_destroy(&vcpus->changed);
		sem_destroy(&vcpus->gate);
	}
	vcpus->n = 0;
}
