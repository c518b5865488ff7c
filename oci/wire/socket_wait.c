// SPDX-License-Identifier: Apache-2.0
// poll(2) of one descriptor until a deadline; a signal does not end the wait.
#include "socket_wait.h"

#include "monotonic.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

int64_t socket_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : (int64_t)monotonic_ms() + timeout_ms;
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms < 0)
		return -1;
	left = deadline_ms - (int64_t)monotonic_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int socket_wait(int fd, short events, int64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&pfd, 1, left_ms(deadline_ms));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}
