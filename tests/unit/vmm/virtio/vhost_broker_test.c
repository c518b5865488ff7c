// SPDX-License-Identifier: Apache-2.0
// What vhost asks of the broker: device files by their kind, the limit of a module, a pair of sockets.
#include "forked_broker.h"
#include "unit_test.h"
#include "vhost_kernel.h"
#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct broker_op *const ops[] = {
	&vhost_kernel_open_op,
	&vhost_kernel_regions_max_op,
	&vhost_user_channel_op,
};

// ---- the broker's files: which of them was opened is the value of the eventfd

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	int fds[2];

	if (strcmp(path, "/sys/module/vhost/parameters/max_mem_regions") == 0) {
		assert_int_equal(pipe(fds), 0);
		dprintf(fds[1], "509\n");
		close(fds[1]);
		return fds[0];
	}
	if (strncmp(path, "/dev/vhost-", 11) != 0)
		return __real_open64(path, flags);
	return strcmp(path, "/dev/vhost-net") == 0 ? eventfd(1, EFD_CLOEXEC) : eventfd(2, EFD_CLOEXEC);
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)request;
	(void)arg;
	return 0;
}

// ----

static int setup(void **state)
{
	(void)state;
	forked_broker_start(ops, COUNT(ops), NULL);
	return 0;
}

static void opens(enum vhost_kernel_kind kind, eventfd_t value)
{
	struct vhost_kernel vk = { .fd = -1 };
	eventfd_t got = 0;

	assert_int_equal(vhost_kernel_open(&vk, kind, -1), 0);
	assert_int_equal(eventfd_read(vk.fd, &got), 0);
	assert_int_equal(got, value);
	vhost_kernel_close(&vk);
}

static void test_device_files_by_their_kind(void **state)
{
	unsigned kind = VHOST_KERNEL_VSOCK + 1;
	struct broker_call call = { .in = &kind };

	(void)state;
	opens(VHOST_KERNEL_NET, 1);
	opens(VHOST_KERNEL_VSOCK, 2);
	assert_int_equal(broker_call(&vhost_kernel_open_op, &call), -EINVAL);
	kind = UINT32_MAX;
	assert_int_equal(broker_call(&vhost_kernel_open_op, &call), -EINVAL);
	assert_int_equal(forked_broker_stop(), 4);
}

static void test_a_descriptor_that_was_passed(void **state)
{
	struct vhost_kernel vk = { .fd = -1 };
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(vhost_kernel_open(&vk, VHOST_KERNEL_NET, fd), 0);
	assert_int_equal(vk.fd, fd);
	vhost_kernel_close(&vk);
	assert_int_equal(forked_broker_stop(), 0);
}

static void test_the_limit_of_the_module(void **state)
{
	(void)state;
	assert_int_equal(vhost_kernel_regions_max(), 509);
	assert_int_equal(forked_broker_stop(), 1);
}

static void test_a_pair_of_sockets(void **state)
{
	struct broker_call call = { .in = NULL };
	char byte = 0;

	(void)state;
	assert_int_equal(broker_call(&vhost_user_channel_op, &call), 0);
	assert_int_equal(forked_broker_stop(), 1);
	assert_int_equal(call.nfds, 2);
	assert_int_equal(send(call.fds[0], "x", 1, 0), 1);
	assert_int_equal(recv(call.fds[1], &byte, 1, MSG_DONTWAIT), 1);
	assert_int_equal(byte, 'x');
	for (unsigned i = 0; i < 2; i++) {
		assert_true(fcntl(call.fds[i], F_GETFD) & FD_CLOEXEC);
		close(call.fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_device_files_by_their_kind, setup),
		cmocka_unit_test_setup(test_a_descriptor_that_was_passed, setup),
		cmocka_unit_test_setup(test_the_limit_of_the_module, setup),
		cmocka_unit_test_setup(test_a_pair_of_sockets, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
