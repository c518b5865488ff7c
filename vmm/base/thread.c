// SPDX-License-Identifier: Apache-2.0
// How pmvm's threads begin: stack, name, and what confines them.
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_SIZE (64u << 10)

static thread_confine *confine;
static pid_t process_id; // 0: nobody is confined, the kernel may be asked

void thread_set_confine(thread_confine *how)
{
	confine = how;
	process_id = how ? getpid() : 0;
}

thread_confine *thread_get_confine(void)
{
	return confine;
}

static sigset_t blocked_signals(const struct thread_options *opts)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	if (opts->signo)
		sigdelset(&set, opts->signo);
	return set;
}

// The new thread begins with this mask: by its attributes where the C library can (glibc 2.32), or by a call of its own.
static int set_signals(pthread_attr_t *attr, const struct thread_options *opts)
{
#if HAVE_PTHREAD_ATTR_SETSIGMASK_NP
	sigset_t blocked = blocked_signals(opts);

	return pthread_attr_setsigmask_np(attr, &blocked);
#else
	(void)attr, (void)opts;
	return 0;
#endif
}

static void block_signals(const struct thread_options *opts)
{
	sigset_t blocked = blocked_signals(opts);

	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
}

// Once the starter has the result, *t may be gone.
static void *thread_main(void *opaque)
{
	struct thread *t = opaque;
	struct thread_options opts = t->opts;
	int rc = 0;

	if (!HAVE_PTHREAD_ATTR_SETSIGMASK_NP)
		block_signals(&opts);
	t->tid = gettid();
	pthread_setname_np(pthread_self(), t->name);
	if (confine) {
		rc = t->rc = confine(opts.kind);
		sem_post(&t->begun);
	}
	if (rc == 0)
		opts.run(opts.opaque);
	return NULL;
}

static int create(struct thread *t)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (rc == 0 && t->opts.detached)
		rc = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (rc == 0)
		rc = set_signals(&attr, &t->opts);
	if (rc == 0)
		rc = pthread_create(&t->id, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	return -rc;
}

static int wait_until_confined(struct thread *t)
{
	while (sem_wait(&t->begun) < 0 && errno == EINTR)
		;
	if (t->rc && !t->opts.detached)
		pthread_join(t->id, NULL);
	return t->rc;
}

int thread_start(struct thread *t, const struct thread_options *opts, const char *name, ...)
{
	va_list args;
	int rc;

	*t = (struct thread) { .opts = *opts };
	va_start(args, name);
	vsnprintf(t->name, sizeof(t->name), name, args);
	va_end(args);
	sem_init(&t->begun, 0, 0);
	rc = create(t);
	return rc == 0 && confine ? wait_until_confined(t) : rc;
}

pid_t thread_process_id(void)
{
	return process_id ? process_id : getpid();
}

void thread_signal(const struct thread *t, int signo)
{
	pid_t tid = t->tid;

	if (tid != 0)
		(void)syscall(SYS_tgkill, thread_process_id(), tid, signo);
}
