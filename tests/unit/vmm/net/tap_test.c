// SPDX-License-Identifier: Apache-2.0
// A tap on a fake /dev/net/tun: how it is opened and configured, what it can do, and what is said when it cannot.
#include "tap.h"

#include "forked_broker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define BIT(n) (UINT64_C(1) << (n))
#define QUEUES 4u

/* One interface, with a few queues. */
static struct {
	int fds[QUEUES];
	unsigned nfds;
	short flags;
	char name[IFNAMSIZ];
	bool detached[QUEUES];
	int header_size;
	unsigned long offloads, offloads_known;
	unsigned noffload_calls;
	int open_error, iff_error, queue_error;
} tun;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

static int refuse(int error)
{
	errno = -error;
	return -1;
}

static int tun_open(void)
{
	assert_true(tun.nfds < QUEUES);
	return tun.fds[tun.nfds++] = eventfd(0, EFD_CLOEXEC);
}

int __wrap_open64(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/net/tun") != 0)
		return __real_open64(path, flags);
	assert_true(flags & O_CLOEXEC && flags & O_NONBLOCK);
	return tun.open_error ? refuse(tun.open_error) : tun_open();
}

static int set_iff(const struct ifreq *ifr, struct ifreq *out)
{
	if (tun.iff_error)
		return refuse(tun.iff_error);
	tun.flags = ifr->ifr_flags;
	strcpy(tun.name, *ifr->ifr_name ? ifr->ifr_name : "tap7");
	strcpy(out->ifr_name, tun.name);
	return 0;
}

static int set_queue(unsigned idx, short flags)
{
	if (tun.queue_error)
		return refuse(tun.queue_error);
	/* The kernel refuses what is so already. */
	if (tun.detached[idx] == (flags == IFF_DETACH_QUEUE))
		return refuse(-EINVAL);
	tun.detached[idx] = flags == IFF_DETACH_QUEUE;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct ifreq *ifr = arg;
	unsigned idx = 0;

	while (idx < tun.nfds && tun.fds[idx] != fd)
		idx++;
	if (idx == tun.nfds)
		return __real_ioctl(fd, request, arg);
	switch (request) {
	case TUNSETIFF:
		return set_iff(ifr, ifr);
	case TUNGETIFF:
		ifr->ifr_flags = tun.flags;
		strcpy(ifr->ifr_name, tun.name);
		return 0;
	case TUNSETVNETHDRSZ:
		tun.header_size = *(int *)arg;
		return 0;
	case TUNSETOFFLOAD:
		tun.noffload_calls++;
		if ((unsigned long)(uintptr_t)arg & ~tun.offloads_known)
			return refuse(-EINVAL);
		tun.offloads = (unsigned long)(uintptr_t)arg;
		return 0;
	case TUNSETQUEUE:
		return set_queue(idx, ifr->ifr_flags);
	default:
		return refuse(-ENOTTY);
	}
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned nfds_before;

static int setup(void **state)
{
	(void)state;
	memset(&tun, 0, sizeof(tun));
	tun.offloads_known = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	nfds_before = count_fds();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(count_fds(), nfds_before);
	return 0;
}

static void it_is_opened_by_name(void **state)
{
	const struct tap_options opts = { .ifname = "vm0", .nqueues = 1 };
	struct tap *tap;

	(void)state;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_string_equal(tap_ifname(tap), "vm0");
	assert_int_equal(tap_nqueues(tap), 1);
	assert_int_equal(tap_fd(tap, 0), tun.fds[0]);
	assert_int_equal(tun.flags, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	assert_true(tap_has_header(tap));
	assert_int_equal(tun.header_size, 12);
	assert_int_equal(tap_offloads(tap), BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
	                                            BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN));
	assert_int_equal(tun.offloads, 0);
	tap_close(tap);
}

static void the_kernel_may_choose_the_name(void **state)
{
	const struct tap_options opts = { .nqueues = 3 };
	struct tap *tap;

	(void)state;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_string_equal(tap_ifname(tap), "tap7");
	assert_int_equal(tun.nfds, 3);
	assert_int_equal(tun.flags, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
	tap_close(tap);
}

static void offloads_are_what_the_tap_knows(void **state)
{
	const struct tap_options opts = { .nqueues = 1 };
	struct tap *tap;

	(void)state;
	tun.offloads_known = TUN_F_CSUM | TUN_F_TSO4;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_int_equal(tap_offloads(tap), BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
	tun.noffload_calls = 0;
	assert_int_equal(tap_set_offloads(tap, tap_offloads(tap)), 0);
	assert_int_equal(tun.offloads, TUN_F_CSUM | TUN_F_TSO4);
	assert_int_equal(tap_set_offloads(tap, tap_offloads(tap)), 0);
	assert_int_equal(tun.noffload_calls, 1);
	/* Without checksums, nothing: the kernel refuses it. */
	assert_int_equal(tap_set_offloads(tap, BIT(VIRTIO_NET_F_GUEST_TSO4)), 0);
	assert_int_equal(tun.offloads, 0);
	tun.offloads_known = 0;
	assert_int_equal(tap_set_offloads(tap, BIT(VIRTIO_NET_F_GUEST_CSUM)), -EINVAL);
	tap_close(tap);
}

static void without_headers_there_are_no_offloads(void **state)
{
	const struct tap_options opts = { .nqueues = 1, .no_header = true };
	struct tap *tap;

	(void)state;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_int_equal(tun.flags, IFF_TAP | IFF_NO_PI);
	assert_false(tap_has_header(tap));
	assert_int_equal(tap_offloads(tap), 0);
	assert_int_equal(tun.noffload_calls, 0);
	tap_close(tap);
}

static void queues_are_attached_as_many_as_are_used(void **state)
{
	const struct tap_options opts = { .nqueues = 4 };
	struct tap *tap;

	(void)state;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_int_equal(tap_set_queues(tap, 1), 0);
	assert_true(!tun.detached[0] && tun.detached[1] && tun.detached[2] && tun.detached[3]);
	assert_int_equal(tap_set_queues(tap, 3), 0);
	assert_true(!tun.detached[1] && !tun.detached[2] && tun.detached[3]);
	assert_int_equal(tap_set_queues(tap, 3), 0);
	tun.queue_error = -EBUSY;
	assert_int_equal(tap_set_queues(tap, 4), -EBUSY);
	assert_int_equal(tap_set_queues(tap, 1), -EBUSY);
	tun.queue_error = 0;
	assert_int_equal(tap_set_queues(tap, 4), 0);
	tap_close(tap);
}

static void descriptors_of_the_user_are_taken(void **state)
{
	int fds[2] = { tun_open(), tun_open() };
	const struct tap_options opts = { .fds = fds, .nqueues = 2 };
	struct vpmem_error err;
	struct tap *tap;

	(void)state;
	strcpy(tun.name, "vm1");
	tun.flags = IFF_TUN | IFF_NO_PI;
	assert_int_equal(tap_open(&opts, &tap, &err), -EINVAL);
	assert_non_null(strstr(err.text, "vm1 is no tap without packet information"));
	tun.flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_string_equal(tap_ifname(tap), "vm1");
	assert_int_equal(tap_fd(tap, 1), fds[1]);
	assert_true(tap_has_header(tap));
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	tap_close(tap);
}

static void a_descriptor_that_is_no_tap_stays_the_caller_s(void **state)
{
	int fds[1] = { eventfd(0, 0) }, closed[1] = { 9999 };
	struct tap_options opts = { .fds = fds, .nqueues = 1 };
	struct vpmem_error err;
	struct tap *tap;

	(void)state;
	assert_true(tap_open(&opts, &tap, &err) < 0);
	assert_non_null(strstr(err.text, "TUNGETIFF ioctl() failed: "));
	assert_int_equal(close(fds[0]), 0);
	opts.fds = closed;
	assert_int_equal(tap_open(&opts, &tap, &err), -EBADF);
	assert_string_equal(err.text, "fd=9999: TUNGETIFF ioctl() failed: Bad file descriptor");
}

static void check_error(const struct tap_options *opts, int rc, const char *text, const char *hint)
{
	struct vpmem_error err = { 0 };
	struct tap *tap;

	assert_int_equal(tap_open(opts, &tap, &err), rc);
	assert_string_equal(err.text, text);
	assert_non_null(strstr(err.hint, hint));
	assert_int_equal(count_fds(), nfds_before);
	tun.nfds = 0;
}

static void what_cannot_be_opened_says_why(void **state)
{
	struct tap_options opts = { .ifname = "vm0", .nqueues = 2 };

	(void)state;
	tun.open_error = -ENOENT;
	check_error(&opts, -ENOENT, "could not open /dev/net/tun: No such file or directory", "modprobe tun");
	tun.open_error = 0;
	tun.iff_error = -EPERM;
	check_error(&opts, -EPERM, "could not configure /dev/net/tun (vm0): Operation not permitted",
	            "ip tuntap add dev vm0 mode tap user $USER multi_queue");
	tun.iff_error = -EBUSY;
	check_error(&opts, -EBUSY, "could not configure /dev/net/tun (vm0): Device or resource busy",
	            "another program");
	tun.iff_error = -EINVAL;
	check_error(&opts, -EINVAL, "could not configure /dev/net/tun (vm0): Invalid argument", "needs multi_queue");
	opts.ifname = "sixteen-letters!";
	check_error(&opts, -EINVAL, "ifname 'sixteen-letters!' is too long: at most 15 characters", "");
}

/* The fake of that process is another one than here. */
static void the_broker_opens_it(void **state)
{
	static const struct broker_op *const ops[] = { &tap_queue_op };
	struct tap_options opts = { .ifname = "vm0", .nqueues = 2, .no_header = true };
	char nonsense[64], out[64];
	struct broker_call call = { .in = nonsense, .out = out };
	struct vpmem_error err = { 0 };
	struct tap *tap;

	(void)state;
	forked_broker_start(ops, 1, NULL);
	assert_int_equal(tap_open(&opts, &tap, NULL), 0);
	assert_string_equal(tap_ifname(tap), "vm0");
	assert_int_equal(tun.nfds, 0);
	assert_true(fcntl(tap_fd(tap, 1), F_GETFD) & FD_CLOEXEC);
	tap_close(tap);
	/* A name without an end. */
	memset(nonsense, 'x', sizeof(nonsense));
	assert_int_equal(broker_call(&tap_queue_op, &call), -EINVAL);
	assert_int_equal(forked_broker_stop(), 3);

	tun.iff_error = -EBUSY;
	forked_broker_start(ops, 1, NULL);
	assert_int_equal(tap_open(&opts, &tap, &err), -EBUSY);
	assert_string_equal(err.text, "could not configure /dev/net/tun (vm0): Device or resource busy");
	assert_int_equal(forked_broker_stop(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_is_opened_by_name),
		TEST(the_kernel_may_choose_the_name),
		TEST(offloads_are_what_the_tap_knows),
		TEST(without_headers_there_are_no_offloads),
		TEST(queues_are_attached_as_many_as_are_used),
		TEST(descriptors_of_the_user_are_taken),
		TEST(a_descriptor_that_is_no_tap_stays_the_caller_s),
		TEST(what_cannot_be_opened_says_why),
		TEST(the_broker_opens_it),
	};

	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
