// SPDX-License-Identifier: Apache-2.0
// A broker for tests, in a process of its own.
#include "forked_broker.h"

#include "permit.h"
#include "unit_test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pid;
static unsigned *ncalls; // shared with it

static void __attribute__((noreturn)) serve(int fd, const struct broker_op *const *ops, size_t nops)
{
	while (broker_serve(fd, ops, nops) == 0)
		++*ncalls;
	_exit(0);
}

void forked_broker_start(const struct broker_op *const *ops, size_t nops, void (*permit)(void))
{
	int fds[2];

	ncalls = mmap(NULL, sizeof(*ncalls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ncalls, MAP_FAILED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		permit_begin();
		if (permit)
			permit();
		serve(fds[1], ops, nops);
	}
	close(fds[1]);
	broker_connect(fds[0], ops, nops);
}

unsigned forked_broker_stop(void)
{
	unsigned n;
	int status;

	broker_connect(-1, NULL, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	n = *ncalls;
	munmap(ncalls, sizeof(*ncalls));
	return n;
}
