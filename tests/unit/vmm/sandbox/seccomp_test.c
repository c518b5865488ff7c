// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp_test.c - every system call from every kind of thread: exactly those of seccomp_list.h pass.
 *
 * In a child process, a first filter answers everything with an error of its own, so that no call has an effect. Then
 * the programs of main and of the kind are installed as in pmvm: a call that they allow gets the first filter's error.
 */
#include "confined.h"
#include "seccomp_confine.h"
#include "seccomp_rules.h"
#include "unit_test.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NCALLS 1024
#define PASSED 4000 /* the errno of the first filter, which no call returns */
#define TRAPPED 1
#define URETPROBE 335
#define UPROBE 336
#define FLUSH_CALLS_MAX 8u
#define VCPU_CALLS_MAX 15u
#define ALL_CALLS_MAX 45u
#define BROKER_CALLS_MAX 45u

// What the child process found.
static struct {
	unsigned ntried, npassed, nwrong, nforbidden;
	int wrong_nr; /* the first */
	long wrong_result, wrong_expected;
	uint64_t wrong_args[6];
	bool came_back;
} * shared;

static pid_t own_pid;
static jmp_buf trapped;

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(shared, sizeof(*shared));
}

// ---- what the list says of a call

static bool holds(const struct seccomp_condition *c, const uint64_t *args)
{
	uint64_t value = c->value == SECCOMP_OWN_PID ? (uint64_t)own_pid : c->value;

	return (args[c->arg] & c->mask) == value;
}

static bool matches(const struct seccomp_rule *rule, const uint64_t *args)
{
	for (unsigned i = 0; i < rule->nconditions; i++)
		if (!holds(&rule->conditions[i], args))
			return false;
	return true;
}

static long expected_of_program(enum thread_kind kind, int nr, const uint64_t *args)
{
	for (unsigned i = 0; i < NSECCOMP_RULES; i++) {
		const struct seccomp_rule *rule = &seccomp_rules[i];

		if (rule->nr != nr)
			continue;
		if (seccomp_rule_allows(rule, kind) && matches(rule, args))
			return -PASSED;
		if (seccomp_rule_answers(rule, kind))
			return -rule->error;
	}
	return TRAPPED;
}

// Of two programs the stricter one decides. The broker has one.
static long expected(enum thread_kind kind, int nr, const uint64_t *args)
{
	if (kind != THREAD_BROKER && expected_of_program(THREAD_MAIN, nr, args) == TRAPPED)
		return TRAPPED;
	return expected_of_program(kind, nr, args);
}

// ---- what the programs do

static void on_trap(int signo)
{
	(void)signo;
	longjmp(trapped, 1);
}

static long make_call(int nr, const uint64_t *args)
{
	register uint64_t r10 __asm__("r10") = args[3];
	register uint64_t r8 __asm__("r8") = args[4];
	register uint64_t r9 __asm__("r9") = args[5];
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"((long)nr), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}

static long attempt(int nr, const uint64_t *args)
{
	return setjmp(trapped) == 0 ? make_call(nr, args) : TRAPPED;
}

static long try_one(enum thread_kind kind, int nr, const uint64_t *args)
{
	long result = attempt(nr, args), want = expected(kind, nr, args);

	shared->ntried++;
	shared->npassed += result == -PASSED;
	if (result != want && shared->nwrong++ == 0) {
		shared->wrong_nr = nr;
		shared->wrong_result = result;
		shared->wrong_expected = want;
		memcpy(shared->wrong_args, args, sizeof(shared->wrong_args));
	}
	return want;
}

static void satisfy(const struct seccomp_rule *rule, uint64_t *args)
{
	memset(args, 0, 6 * sizeof(*args));
	for (unsigned i = 0; i < rule->nconditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];

		args[c->arg] = c->value == SECCOMP_OWN_PID ? (uint64_t)own_pid : c->value;
	}
}

// Each bit of each argument that counts, turned around; and the argument with something above its 32 bits.
static void try_rule(enum thread_kind kind, const struct seccomp_rule *rule)
{
	uint64_t args[6];
	bool forbidden = rule->nconditions == 0;

	satisfy(rule, args);
	try_one(kind, rule->nr, args);
	for (unsigned i = 0; i < rule->nconditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];

		for (unsigned bit = 0; bit < 64; bit++) {
			satisfy(rule, args);
			args[c->arg] ^= UINT64_C(1) << bit;
			forbidden |= try_one(kind, rule->nr, args) == TRAPPED;
		}
	}
	shared->nforbidden += forbidden;
}

// Everything but the installation of more filters gets the error PASSED.
static int install_first(void)
{
	static struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | PASSED),
	};
	const struct sock_fprog fprog = { .len = COUNT(insns), .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog);
}

// The handler comes back by a jump, because not every kind may return from a signal.
static int confine_child(enum thread_kind kind)
{
	struct sigaction action = { .sa_handler = on_trap, .sa_flags = SA_NODEFER };

	own_pid = getpid();
	if (seccomp_set_up(SECCOMP_KILL, NULL) != 0 || sigaction(SIGSYS, &action, NULL) < 0 || install_first() < 0 ||
	    (kind != THREAD_BROKER && seccomp_confine(THREAD_MAIN) != 0))
		return -1;
	return kind == THREAD_MAIN ? 0 : seccomp_confine(kind);
}

// The kernel lets its own trampolines pass by seccomp, and ends a process that makes their calls.
static bool is_left_out(int nr)
{
	return nr == SECCOMP_LAST_CALL || nr == SYS_seccomp || nr == URETPROBE || nr == UPROBE;
}

static int try_all(void *arg)
{
	enum thread_kind kind = *(enum thread_kind *)arg;
	uint64_t zeros[6] = { 0 }, ones[6];

	memset(ones, 0xff, sizeof(ones));
	if (confine_child(kind) != 0)
		return 1;
	for (int nr = 0; nr < NCALLS; nr++) {
		if (is_left_out(nr))
			continue;
		try_one(kind, nr, zeros);
		try_one(kind, nr, ones);
	}
	for (unsigned i = 0; i < NSECCOMP_RULES; i++)
		if (seccomp_rule_allows(&seccomp_rules[i], kind) && seccomp_rules[i].nr != SYS_seccomp)
			try_rule(kind, &seccomp_rules[i]);
		else
			shared->nforbidden++;
	make_call(SECCOMP_LAST_CALL, zeros);
	shared->came_back = true;
	for (;;)
		;
}

static void exactly_the_list_passes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_KINDS; kind++) {
		enum thread_kind arg = (enum thread_kind)kind;
		const char *name = seccomp_get_info(arg)->name;

		memset(shared, 0, sizeof(*shared));
		// Its last call ends it.
		assert_int_equal(run_confined(try_all, &arg), -SIGSYS);
		assert_false(shared->came_back);
		if (shared->nwrong > 0)
			fail_msg("%s: call %d (0x%lx, 0x%lx, 0x%lx, 0x%lx): %ld, but the list says %ld", name,
			         shared->wrong_nr, shared->wrong_args[0], shared->wrong_args[1], shared->wrong_args[2],
			         shared->wrong_args[3], shared->wrong_result, shared->wrong_expected);
		assert_true(shared->ntried >= 2 * (NCALLS - 4));
		assert_true(shared->npassed >= seccomp_get_info(arg)->ncalls - 1);
		// Some argument is refused for each line that names one.
		assert_int_equal(shared->nforbidden, NSECCOMP_RULES);
	}
}

// ---- what no list may have

static void there_are_few_calls(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_KINDS; kind++) {
		unsigned n = 0;

		for (int nr = 0; nr < NCALLS; nr++)
			n += seccomp_allows_some(nr, (enum thread_kind)kind);
		assert_int_equal(n, seccomp_get_info((enum thread_kind)kind)->ncalls);
		print_message("%s: %u calls\n", seccomp_get_info((enum thread_kind)kind)->name, n);
	}
	assert_true(seccomp_get_info(THREAD_FLUSH)->ncalls <= FLUSH_CALLS_MAX);
	assert_true(seccomp_get_info(THREAD_VCPU)->ncalls <= VCPU_CALLS_MAX);
	assert_true(seccomp_get_info(THREAD_MAIN)->ncalls <= ALL_CALLS_MAX);
	assert_true(seccomp_get_info(THREAD_BROKER)->ncalls <= BROKER_CALLS_MAX);
}

static void assert_none_may(const int *calls, size_t n, unsigned nkinds)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned kind = 0; kind < nkinds; kind++)
			if (seccomp_allows_some(calls[i], (enum thread_kind)kind))
				fail_msg("%s may make call %d", seccomp_get_info((enum thread_kind)kind)->name,
				         calls[i]);
}

static void no_thread_starts_opens_or_reaches_anything(void **state)
{
	static const int never[] = {
		SYS_execve,
		SYS_execveat,
		SYS_fork,
		SYS_vfork,
		SYS_clone3,
		SYS_open,
		SYS_openat2,
		SYS_creat,
		SYS_open_by_handle_at,
		SYS_name_to_handle_at,
		SYS_rename,
		SYS_link,
		SYS_symlink,
		SYS_symlinkat,
		SYS_mkdir,
		SYS_mkdirat,
		SYS_rmdir,
		SYS_mknod,
		SYS_mknodat,
		SYS_chmod,
		SYS_fchmodat,
		SYS_chown,
		SYS_lchown,
		SYS_fchownat,
		SYS_truncate,
		SYS_chdir,
		SYS_fchdir,
		SYS_chroot,
		SYS_pivot_root,
		SYS_mount,
		SYS_umount2,
		SYS_unshare,
		SYS_setns,
		SYS_accept,
		SYS_kill,
		SYS_tkill,
		SYS_rt_sigqueueinfo,
		SYS_rt_tgsigqueueinfo,
		SYS_pidfd_open,
		SYS_pidfd_getfd,
		SYS_ptrace,
		SYS_process_vm_readv,
		SYS_process_vm_writev,
		SYS_process_madvise,
		SYS_kcmp,
		SYS_io_uring_setup,
		SYS_io_uring_enter,
		SYS_io_uring_register,
		SYS_io_setup,
		SYS_userfaultfd,
		SYS_bpf,
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_perf_event_open,
		SYS_memfd_secret,
		SYS_modify_ldt,
		SYS_personality,
		SYS_setuid,
		SYS_setresuid,
		SYS_capset,
		SYS_iopl,
		SYS_ioperm,
		SYS_init_module,
		SYS_finit_module,
		SYS_kexec_load,
		SYS_reboot,
		SYS_shmat,
		SYS_remap_file_pages,
		SYS_pkey_mprotect,
		SYS_sched_setscheduler,
		SYS_sched_setaffinity,
	};

	static const int broker_only[] = {
		SYS_openat, SYS_unlink, SYS_unlinkat, SYS_renameat, SYS_renameat2,
		SYS_linkat, SYS_socket, SYS_connect,  SYS_bind,     SYS_listen,
	};

	(void)state;
	assert_none_may(never, COUNT(never), THREAD_KINDS);
	assert_none_may(broker_only, COUNT(broker_only), THREAD_BROKER);
}

static int use_x32(void *arg)
{
	uint64_t args[6] = { 0 };

	(void)arg;
	if (confine_child(THREAD_MAIN) != 0)
		return 1;
	attempt(0x40000000 | SYS_read, args);
	shared->came_back = true;
	return 0;
}

static void call_i386(void)
{
	long result = 3; /* read */

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
}

static int probe_i386(void *arg)
{
	(void)arg;
	signal(SIGSEGV, SIG_DFL);
	call_i386();
	return 0;
}

static int use_i386(void *arg)
{
	(void)arg;
	if (confine_child(THREAD_MAIN) != 0)
		return 1;
	call_i386();
	shared->came_back = true;
	return 0;
}

static void calls_of_x32_end_the_process(void **state)
{
	(void)state;
	memset(shared, 0, sizeof(*shared));
	assert_int_equal(run_confined(use_x32, NULL), -SIGSYS);
	assert_false(shared->came_back);
}

static void calls_of_i386_end_the_process(void **state)
{
	(void)state;
	if (run_confined(probe_i386, NULL) == -SIGSEGV) {
		print_message("# this machine has no 32-bit system calls\n");
		skip();
	}
	memset(shared, 0, sizeof(*shared));
	assert_int_equal(run_confined(use_i386, NULL), -SIGSYS);
	assert_false(shared->came_back);
}

// ---- real threads

static int efd;

static void work(void *opaque)
{
	uint64_t count = 1;
	struct timespec now;

	if (write(efd, &count, sizeof(count)) == sizeof(count) &&
	    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0)
		*(bool *)opaque = true;
}

static int confine_process(enum seccomp_mode mode, void (*before_end)(void))
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_set_up(mode, before_end) != 0 ||
	       seccomp_confine(THREAD_MAIN) != 0;
}

static int run_each_kind(void *arg)
{
	(void)arg;
	efd = eventfd(0, EFD_CLOEXEC);
	if (confine_process(SECCOMP_KILL, NULL) != 0)
		return 1;
	for (unsigned kind = THREAD_VCPU; kind < THREAD_BROKER; kind++) {
		bool worked = false;
		const struct thread_options opts = { .kind = (enum thread_kind)kind, .run = work, .opaque = &worked };
		struct thread t;

		if (thread_start(&t, &opts, "kind %u", kind) != 0)
			return 2;
		pthread_join(t.id, NULL);
		if (!worked)
			return 3;
	}
	return 0;
}

static void threads_of_each_kind_begin_work_and_end(void **state)
{
	(void)state;
	assert_int_equal(run_confined(run_each_kind, NULL), 0);
}

static void break_rule(void *opaque)
{
	*(bool *)opaque = syscall(SYS_getppid, 0x12, 0x345, 0) > 0;
}

static void before_end(void)
{
	(void)!write(STDERR_FILENO, "before the end\n", 15);
}

static int break_rule_in_flush_worker(void *arg)
{
	bool came_back = false;
	const struct thread_options opts = { .kind = THREAD_FLUSH, .run = break_rule, .opaque = &came_back };
	enum seccomp_mode mode = *(enum seccomp_mode *)arg;
	struct thread t;

	if (confine_process(mode, before_end) != 0 || thread_start(&t, &opts, "flush/%s", "nv1") != 0)
		return 1;
	pthread_join(t.id, NULL);
	return came_back ? 0 : 2;
}

static int with_stderr_in(void *arg)
{
	dup2(efd, STDERR_FILENO);
	return break_rule_in_flush_worker(arg);
}

static void a_forbidden_call_is_named_and_ends_the_process(void **state)
{
	enum seccomp_mode mode = SECCOMP_KILL;
	char text[256] = "", wanted[256];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	efd = fds[1];
	assert_int_equal(run_confined(with_stderr_in, &mode), -SIGSYS);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	snprintf(wanted, sizeof(wanted),
	         "pmvm: sandbox: thread flush/nv1 made the forbidden system call %d (0x12, 0x345, 0x0): "
	         "the process ends\nbefore the end\n",
	         SYS_getppid);
	assert_string_equal(text, wanted);
	close(fds[0]);
	close(fds[1]);
}

// ---- abort of the C library

// Of glibc: what assert and the protection of the stack call.
_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function);
void __stack_chk_fail(void);

static void break_stack(void)
{
	__stack_chk_fail();
}

static void break_heap(void)
{
	static char none[64];
	char *volatile part = none + 16;

	free(part);
}

static void fail_assertion(void)
{
	__assert_fail("what holds", "file.c", 7, "function");
}

struct end {
	enum thread_kind kind;
	void (*cause)(void);
};

static void cause_end(void *opaque)
{
	((const struct end *)opaque)->cause();
}

static int end_in_thread(void *arg)
{
	const struct end *end = arg;
	const struct thread_options opts = { .kind = end->kind, .run = cause_end, .opaque = arg };
	struct thread t;

	dup2(efd, STDERR_FILENO);
	signal(SIGABRT, SIG_DFL); // cmocka has set it
	mallopt(M_ARENA_MAX, 1);  // as pmvm does
	if (confine_process(SECCOMP_KILL, before_end) != 0)
		return 1;
	if (end->kind == THREAD_MAIN)
		end->cause();
	else if (thread_start(&t, &opts, "kind %u", end->kind) == 0)
		pthread_join(t.id, NULL);
	return 2;
}

static void assert_aborts(enum thread_kind kind, void (*cause)(void), const char *message)
{
	struct end end = { kind, cause };
	char text[1024] = "", wanted[64];
	int fds[2], status;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	efd = fds[1];
	status = run_confined(end_in_thread, &end);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	if (status != -SIGABRT)
		fail_msg("kind %u ends with status %d: %s", kind, status, text);
	snprintf(wanted, sizeof(wanted), "pmvm: thread kind %u aborts, in the system call ", kind);
	assert_non_null(strstr(text, kind == THREAD_MAIN ? " aborts, in the system call " : wanted));
	assert_non_null(strstr(text, "the process ends\nbefore the end\n"));
	if (!strstr(text, message))
		fail_msg("kind %u: '%s' is not in: %s", kind, message, text);
	close(fds[0]);
	close(fds[1]);
}

static void abort_of_each_kind_is_an_abort(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_BROKER; kind++)
		assert_aborts((enum thread_kind)kind, abort, "");
}

static void a_failed_assertion_is_named(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_BROKER; kind++)
		assert_aborts((enum thread_kind)kind, fail_assertion, "Assertion `what holds' failed");
}

static void damage_of_the_stack_is_named(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_BROKER; kind++)
		assert_aborts((enum thread_kind)kind, break_stack, "stack smashing detected");
}

static void damage_of_the_heap_is_named(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < THREAD_BROKER; kind++)
		assert_aborts((enum thread_kind)kind, break_heap, "free(): invalid");
}

static void end_otherwise(void)
{
	syscall(SYS_tgkill, getpid(), 1, SIGKILL);
}

static void a_signal_to_others_is_no_abort(void **state)
{
	struct end end = { THREAD_MAIN, end_otherwise };

	(void)state;
	efd = STDERR_FILENO;
	assert_int_equal(run_confined(end_in_thread, &end), -SIGSYS);
}

static void to_log_it_is_to_make_it(void **state)
{
	enum seccomp_mode mode = SECCOMP_LOG;

	(void)state;
	assert_int_equal(run_confined(break_rule_in_flush_worker, &mode), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_the_list_passes),
		cmocka_unit_test(there_are_few_calls),
		cmocka_unit_test(no_thread_starts_opens_or_reaches_anything),
		cmocka_unit_test(calls_of_x32_end_the_process),
		cmocka_unit_test(calls_of_i386_end_the_process),
		cmocka_unit_test(threads_of_each_kind_begin_work_and_end),
		cmocka_unit_test(a_forbidden_call_is_named_and_ends_the_process),
		cmocka_unit_test(abort_of_each_kind_is_an_abort),
		cmocka_unit_test(a_failed_assertion_is_named),
		cmocka_unit_test(damage_of_the_stack_is_named),
		cmocka_unit_test(damage_of_the_heap_is_named),
		cmocka_unit_test(a_signal_to_others_is_no_abort),
		cmocka_unit_test(to_log_it_is_to_make_it),
	};

	if (seccomp_missing()) {
		printf("1..0 # SKIP %s\n", seccomp_missing());
		return 77;
	}
	return cmocka_run_group_tests_name("seccomp", tests, setup, teardown);
}
