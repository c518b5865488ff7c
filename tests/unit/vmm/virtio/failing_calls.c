// SPDX-License-Identifier: Apache-2.0
// What the host may refuse, refused on request.
#include "failing_calls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

static unsigned countdown;
static bool has_failed;
static int sendmsg_error;

void fail_call(unsigned nth)
{
	countdown = nth;
	has_failed = false;
}

bool call_has_failed(void)
{
	countdown = 0;
	return has_failed;
}

void fail_sendmsg(int error)
{
	sendmsg_error = error;
}

/* Sets errno. */
static bool fails(int error)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	has_failed = true;
	errno = error;
	return true;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails(ENOMEM) ? NULL : __real_calloc(n, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return fails(ENOMEM) ? NULL : __real_strdup(text);
}

int __real_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags)
{
	return fails(EMFILE) ? -1 : __real_eventfd(count, flags);
}

int __real_socketpair(int domain, int type, int protocol, int *fds);
int __wrap_socketpair(int domain, int type, int protocol, int *fds);
int __wrap_socketpair(int domain, int type, int protocol, int *fds)
{
	return fails(EMFILE) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return fails(ENOMEM) ? MAP_FAILED : __real_mmap64(addr, len, prot, flags, fd, off);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *), void *opaque)
{
	return fails(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attr, entry, opaque);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (sendmsg_error == 0)
		return __real_sendmsg(fd, msg, flags);
	errno = sendmsg_error;
	return -1;
}
