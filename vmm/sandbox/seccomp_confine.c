// SPDX-License-Identifier: Apache-2.0
// Installs the seccomp programs of the kinds of threads, and reports a forbidden call.
#include "seccomp_confine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PROGRAM_MAX 512u /* instructions */
#define SECCOMP_SIGNAL 1 /* SYS_SECCOMP of si_code */
#define PARTS_MAX 8u     /* of a last message of the C library */
#define ABORT_MAX_S 30   /* the main thread may be in a call that no signal interrupts */

struct program {
	const struct sock_filter *insns;
	unsigned ninsns;
	struct seccomp_info info;
};
#include "seccomp_programs.h"
static_assert(sizeof(programs) / sizeof(programs[0]) == THREAD_KINDS, "one for each kind");

static struct {
	enum seccomp_mode mode;
	void (*before_end)(void);
	int abort_fd; /* what is written into it gives this process SIGABRT */
} setup = { .abort_fd = -1 };

// For the message. What asks the kernel for it may be forbidden by then.
static _Thread_local char thread_name[THREAD_NAME_SIZE];

const char *seccomp_missing(void)
{
	return HAVE_SANITIZER ? "a sanitizer makes system calls of its own" : NULL;
}

enum seccomp_mode seccomp_get_mode(void)
{
	return setup.mode;
}

const struct seccomp_info *seccomp_get_info(enum thread_kind kind)
{
	return &programs[kind].info;
}

// ---- a forbidden call

struct line {
	char text[256];
	size_t len;
};

static void add_text(struct line *line, const char *text)
{
	while (*text && line->len < sizeof(line->text))
		line->text[line->len++] = *text++;
}

static void add_number(struct line *line, uint64_t val, unsigned base)
{
	char digits[20];
	unsigned n = 0;

	do
		digits[n++] = "0123456789abcdef"[val % base];
	while ((val /= base) > 0);
	while (n > 0 && line->len < sizeof(line->text))
		line->text[line->len++] = digits[--n];
}

// How the C library ends a process: by a message, and abort, which sends SIGABRT to its thread. A new thread asks for its
// number only before it is confined.
static bool is_abort(long nr, const greg_t *regs)
{
	return nr == SYS_gettid || nr == SYS_tkill || (nr == SYS_tgkill && regs[REG_RDX] == SIGABRT) ||
	       (nr == SYS_writev && regs[REG_RDI] == STDERR_FILENO);
}

static void write_parts(const struct iovec *parts, size_t nparts)
{
	for (size_t i = 0; i < nparts && i < PARTS_MAX; i++)
		(void)!write(STDERR_FILENO, parts[i].iov_base, parts[i].iov_len);
}

static void report_abort(long nr, const greg_t *regs)
{
	struct line line = { .len = 0 };

	if (nr == SYS_writev)
		write_parts((const struct iovec *)regs[REG_RSI], (size_t)regs[REG_RDX]);
	add_text(&line, "pmvm: thread ");
	add_text(&line, thread_name);
	add_text(&line, " aborts, in the system call ");
	add_number(&line, (uint64_t)nr, 10);
	add_text(&line, ": a fault of pmvm, or damaged memory: the process ends\n");
	(void)!write(STDERR_FILENO, line.text, line.len);
}

static void report_forbidden(long nr, const greg_t *regs)
{
	static const int args[] = { REG_RDI, REG_RSI, REG_RDX };
	struct line line = { .len = 0 };

	add_text(&line, "pmvm: sandbox: thread ");
	add_text(&line, thread_name);
	add_text(&line, " made the forbidden system call ");
	add_number(&line, (uint64_t)nr, 10);
	for (unsigned i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		add_text(&line, i == 0 ? " (0x" : ", 0x");
		add_number(&line, (uint64_t)regs[args[i]], 16);
	}
	add_text(&line, "): the process ends\n");
	(void)!write(STDERR_FILENO, line.text, line.len);
}

// The kernel sends the signal to the process, and the main thread has it. Returns if that takes too long.
static void end_by_abort(void)
{
	static const struct timespec limit = { .tv_sec = ABORT_MAX_S };
	static int never;

	if (write(setup.abort_fd, "", 1) == 1)
		(void)syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
}

// In the thread that made it. Only what a signal handler may call, and what all kinds may: write, and to wait by futex.
static void on_forbidden(int signo, siginfo_t *info, void *context)
{
	const greg_t *regs = ((const ucontext_t *)context)->uc_mcontext.gregs;
	bool is_call = info->si_code == SECCOMP_SIGNAL, aborts = is_call && is_abort(info->si_syscall, regs);

	(void)signo;
	if (aborts)
		report_abort(info->si_syscall, regs);
	else if (is_call)
		report_forbidden(info->si_syscall, regs);
	if (setup.before_end)
		setup.before_end();
	if (aborts)
		end_by_abort();
	// The programs answer this one by the end of the process.
	for (;;)
		(void)syscall(LAST_CALL);
}

// With it, no kind has to be allowed to send a signal to abort. No program allows to direct it to another process.
static int open_abort_pipe(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	setup.abort_fd = fds[1];
	if (fcntl(fds[0], F_SETOWN, getpid()) < 0 || fcntl(fds[0], F_SETSIG, SIGABRT) < 0 ||
	    fcntl(fds[0], F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		return -errno;
	return 0;
}

int seccomp_set_up(enum seccomp_mode mode, void (*before_end)(void))
{
	struct sigaction action = { .sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO };

	if (seccomp_missing())
		return -ENOSYS;
	setup.mode = mode;
	setup.before_end = before_end;
	thread_set_confine(mode == SECCOMP_OFF ? NULL : seccomp_confine);
	if (mode != SECCOMP_KILL)
		return 0;
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGABRT);
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : open_abort_pipe();
}

// ---- installing

// What is known only now.
static void patch(struct sock_filter *insn)
{
	if (BPF_CLASS(insn->code) == BPF_JMP && insn->k == OWN_PID)
		insn->k = (uint32_t)thread_process_id();
	if (setup.mode == SECCOMP_LOG && BPF_CLASS(insn->code) == BPF_RET &&
	    (insn->k == SECCOMP_RET_TRAP || insn->k == SECCOMP_RET_KILL_PROCESS))
		insn->k = SECCOMP_RET_LOG;
}

int seccomp_confine(enum thread_kind kind)
{
	const struct program *program = &programs[kind];
	struct sock_filter insns[PROGRAM_MAX];
	const struct sock_fprog fprog = { .len = (unsigned short)program->ninsns, .filter = insns };

	static_assert(sizeof(main_program) <= sizeof(insns) && sizeof(broker_program) <= sizeof(insns),
	              "all others are parts of that of main");
	if (setup.mode == SECCOMP_OFF)
		return 0;
	memcpy(insns, program->insns, program->ninsns * sizeof(insns[0]));
	for (unsigned i = 0; i < program->ninsns; i++)
		patch(&insns[i]);
	if (pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name)) != 0)
		strcpy(thread_name, program->info.name);
	// Speculation stays as it is: kernels before 5.16 would make this thread, and its guest, slower.
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &fprog) < 0)
		return -errno;
	return 0;
}
