// SPDX-License-Identifier: Apache-2.0
// The life of vCPU threads, on a KVM that is fake: a vCPU is in the guest until somebody wants it out of there.
#include "vcpu.h"

#include "kvm.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit_test.h"

#define NCPUS 3u
#define BOUND_S 300u /* for a test */
#define TURN_US 1000u
#define STEPS 100u
#define WRONG 1000u

// ---- KVM, and threads

int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *arg), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *arg), void *arg);

static struct {
	int fds[NCPUS];
	atomic_uint nruns[NCPUS]; /* entries */
	unsigned nthreads;        /* that may be created */
	atomic_uint nstats;       /* requests of statistics by the vCPU's thread; WRONG for each by another one */
	atomic_uint nparked;      /* the same by another one, while the vCPU was parked */
	atomic_bool is_stuck;     /* vCPU 1 is at a page that the host cannot read: no signal gets it out */
} fake;
static struct kvm kvm;
static struct vcpus vcpus;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned idx_of(int fd)
{
	unsigned idx = 0;

	while (idx < NCPUS && fake.fds[idx] != fd)
		idx++;
	assert_true(idx < NCPUS);
	return idx;
}

static int create_vcpu(unsigned idx)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)kvm.vcpu_mmap_size), 0);
	fake.fds[idx] = fd;
	return fd;
}

static bool is_kicked(const struct kvm_run *run)
{
	sigset_t pending;

	return __atomic_load_n(&run->immediate_exit, __ATOMIC_ACQUIRE) ||
	       (sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
}

static int run_guest(unsigned idx)
{
	fake.nruns[idx]++;
	while (!is_kicked(vcpus.vcpu[idx].run) || (idx == 1 && fake.is_stuck))
		usleep(TURN_US);
	errno = EINTR;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case KVM_CREATE_VCPU:
		return create_vcpu((unsigned)(uintptr_t)arg);
	case KVM_RUN:
		return run_guest(idx_of(fd));
	case KVM_GET_STATS_FD:
		if (pthread_equal(pthread_self(), vcpus.vcpu[idx_of(fd)].thread.id))
			fake.nstats++;
		else if (vcpus.vcpu[idx_of(fd)].parked)
			fake.nparked++;
		else
			fake.nstats += WRONG;
		errno = ENOTTY;
		return -1;
	case KVM_SET_SIGNAL_MASK:
		return 0;
	default:
		errno = ENOTTY;
		return -1;
	}
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *arg), void *arg)
{
	if (fake.nthreads == 0)
		return EAGAIN;
	fake.nthreads--;
	return __real_pthread_create(thread, attr, start, arg);
}

// ---- the fixture: with the lock held, as the machine has it while it is built

static int setup(void **state)
{
	const struct vcpus_config cfg = { .kvm = &kvm, .lock = &lock, .n = NCPUS };

	(void)state;
	alarm(BOUND_S);
	memset(&fake, 0, sizeof(fake));
	fake.nthreads = NCPUS;
	kvm = (struct kvm) { .fd = -1, .vm_fd = -1, .vcpu_mmap_size = 4096 };
	vcpus = (struct vcpus) { .n = 0 };
	pthread_mutex_lock(&lock);
	assert_int_equal(vcpus_handle_kicks(NULL), 0);
	return vcpus_create(&vcpus, &cfg, NULL);
}

static int teardown(void **state)
{
	(void)state;
	vcpus_destroy(&vcpus);
	pthread_mutex_unlock(&lock);
	alarm(0);
	return 0;
}

static void turn(void)
{
	pthread_mutex_unlock(&lock);
	usleep(TURN_US);
	pthread_mutex_lock(&lock);
}

static void wait_until_all_ran(void)
{
	for (unsigned i = 0; i < NCPUS; i++)
		while (fake.nruns[i] == 0)
			turn();
}

static void all_are_parked(void)
{
	for (unsigned i = 0; i < NCPUS; i++)
		assert_true(vcpus.vcpu[i].parked);
}

// ---- the tests

/* The main thread has the lock until the machine is built: nobody waits for that. */
static void a_guest_begins_while_the_lock_is_held(void **state)
{
	(void)state;
	vcpus_resume(&vcpus);
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	for (unsigned i = 0; i < NCPUS; i++)
		while (fake.nruns[i] == 0)
			usleep(TURN_US);
	vcpus_pause(&vcpus);
	all_are_parked();
}

static void a_stopped_guest_is_not_entered(void **state)
{
	(void)state;
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	all_are_parked();
	vcpus_pause(&vcpus);
	for (unsigned i = 0; i < STEPS; i++)
		turn();
	all_are_parked();
	for (unsigned i = 0; i < NCPUS; i++)
		assert_int_equal(fake.nruns[i], 0);
	vcpus_resume(&vcpus);
	wait_until_all_ran();
	vcpus_pause(&vcpus);
	all_are_parked();
}

/* Whether the threads are there already or not. */
static void each_pause_finds_all_parked(void **state)
{
	(void)state;
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		vcpus_resume(&vcpus);
		if (i % 2)
			turn();
		vcpus_pause(&vcpus);
		all_are_parked();
	}
	vcpus_resume(&vcpus);
	wait_until_all_ran();
}

static void a_start_may_be_followed_by_the_end(void **state)
{
	(void)state;
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
}

/* The others of a new guest wait in KVM for vCPU 0. */
static void vcpu_0_has_not_run_when_a_thread_is_refused(void **state)
{
	struct vpmem_error err = { "", "" };

	(void)state;
	fake.nthreads = NCPUS - 1;
	vcpus_resume(&vcpus);
	assert_int_equal(vcpus_start(&vcpus, &err), -EAGAIN);
	assert_string_equal(err.text, "cannot start a vCPU's thread: Resource temporarily unavailable");
	for (unsigned i = 0; i < STEPS; i++)
		turn();
	assert_int_equal(fake.nruns[0], 0);
}

/* By the vCPU's thread: in any other one, the request would wait until the guest leaves the processor. */
static void statistics_are_requested_once_by_the_first_sample(void **state)
{
	(void)state;
	vcpus_resume(&vcpus);
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	wait_until_all_ran();
	assert_int_equal(fake.nstats, 0);
	while (vcpus_sample(&vcpus) == VCPUS_FAULTING)
		turn();
	assert_int_equal(fake.nstats, NCPUS);
	assert_int_equal(vcpus_sample(&vcpus), VCPUS_QUIET);
	turn();
	assert_int_equal(fake.nstats, NCPUS);
}

static void statistics_of_vcpus_that_run_are_opened(void **state)
{
	(void)state;
	vcpus_resume(&vcpus);
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	wait_until_all_ran();
	// In a tenth of a second, which a busy machine may not have.
	while (fake.nstats < NCPUS)
		vcpus_open_stats(&vcpus);
	vcpus_open_stats(&vcpus);
	assert_int_equal(fake.nstats, NCPUS);
	assert_int_equal(fake.nparked, 0);
	for (unsigned i = 0; i < NCPUS; i++) {
		unsigned before = fake.nruns[i];

		// It is in the guest again.
		while (fake.nruns[i] == before && vcpus.vcpu[i].run->immediate_exit)
			turn();
	}
}

static void statistics_of_parked_vcpus_are_opened(void **state)
{
	(void)state;
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	vcpus_open_stats(&vcpus);
	assert_int_equal(fake.nparked, NCPUS);
	assert_int_equal(fake.nstats, 0);
}

/* The monitor does not wait for it. */
static void a_vcpu_that_cannot_leave_the_guest_stays_without(void **state)
{
	(void)state;
	fake.is_stuck = true;
	vcpus_resume(&vcpus);
	assert_int_equal(vcpus_start(&vcpus, NULL), 0);
	wait_until_all_ran();
	while (fake.nstats < NCPUS - 1)
		vcpus_open_stats(&vcpus);
	vcpus_open_stats(&vcpus);
	assert_false(vcpus.vcpu[1].stats.is_asked);
	fake.is_stuck = false;
	while (!vcpus.vcpu[1].stats.is_asked)
		vcpus_open_stats(&vcpus);
	assert_int_equal(fake.nstats, NCPUS);
}

static int setup_running(void **state)
{
	int rc = setup(state);

	vcpus_resume(&vcpus);
	return rc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_begins_while_the_lock_is_held),
		TEST(a_stopped_guest_is_not_entered),
		TEST(each_pause_finds_all_parked),
		TEST(a_start_may_be_followed_by_the_end),
		cmocka_unit_test_setup_teardown(a_start_may_be_followed_by_the_end, setup_running, teardown),
		TEST(vcpu_0_has_not_run_when_a_thread_is_refused),
		TEST(statistics_are_requested_once_by_the_first_sample),
		TEST(statistics_of_vcpus_that_run_are_opened),
		TEST(statistics_of_parked_vcpus_are_opened),
		TEST(a_vcpu_that_cannot_leave_the_guest_stays_without),
	};

	return cmocka_run_group_tests_name("vcpu", tests, NULL, NULL);
}
