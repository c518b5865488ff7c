// SPDX-License-Identifier: Apache-2.0
// The kernel's side of /dev/vhost-*, for tests: linked with --wrap of open64, close and ioctl.
#include "fake_vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

struct fake_vhost fake_vhost;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

/* ---- descriptors ----------------------------------------------------------------------------------------- */

int fake_vhost_open(void)
{
	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++) {
		struct fake_vhost_device *dev = &fake_vhost.devices[i];

		if (dev->used)
			continue;
		*dev = (struct fake_vhost_device) { .used = true, .fd = eventfd(0, EFD_CLOEXEC) };
		for (unsigned q = 0; q < FAKE_VHOST_QUEUES; q++)
			dev->queues[q] = (struct fake_vhost_queue) {
				.kick_efd = -1, .call_efd = -1, .err_efd = -1, .backend_fd = -1
			};
		assert_true(dev->fd >= 0);
		fake_vhost.ndevices++;
		fake_vhost.nopened++;
		return dev->fd;
	}
	fail_msg("too many vhost devices are open");
	return -1;
}

int __wrap_open64(const char *path, int flags, ...)
{
	if (strncmp(path, "/sys/module/vhost/", 18) == 0) {
		errno = ENOENT; /* the default is taken */
		return -1;
	}
	if (strncmp(path, "/dev/vhost-", 11) != 0)
		return __real_open64(path, flags);
	assert_true(flags & O_CLOEXEC);
	if (fake_vhost.open_error == 0)
		return fake_vhost_open();
	errno = -fake_vhost.open_error;
	return -1;
}

static struct fake_vhost_device *find(int fd)
{
	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++)
		if (fake_vhost.devices[i].used && fake_vhost.devices[i].fd == fd)
			return &fake_vhost.devices[i];
	return NULL;
}

int __wrap_close(int fd)
{
	struct fake_vhost_device *dev = find(fd);

	if (dev) {
		dev->used = false;
		fake_vhost.ndevices--;
	}
	return __real_close(fd);
}

struct fake_vhost_device *fake_vhost_one(void)
{
	assert_int_equal(fake_vhost.ndevices, 1);
	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++)
		if (fake_vhost.devices[i].used)
			return &fake_vhost.devices[i];
	return NULL;
}

/* ---- ioctls: what Linux checks ------------------------------------------------------------------------------ */

static bool is_active(const struct fake_vhost_device *dev, const struct fake_vhost_queue *q)
{
	return dev->running || q->backend_fd >= 0;
}

static int set_mem_table(struct fake_vhost_device *dev, const struct vhost_memory *table)
{
	if (table->padding)
		return -EOPNOTSUPP;
	if (table->nregions > FAKE_VHOST_REGIONS)
		return -E2BIG;
	dev->nregions = table->nregions;
	for (unsigned i = 0; i < table->nregions; i++) {
		dev->regions[i].gpa = table->regions[i].guest_phys_addr;
		dev->regions[i].size = table->regions[i].memory_size;
		dev->regions[i].hva = table->regions[i].userspace_addr;
	}
	return 0;
}

static int set_num(struct fake_vhost_device *dev, struct fake_vhost_queue *q, const struct vhost_vring_state *state)
{
	if (is_active(dev, q))
		return -EBUSY;
	if (state->num == 0 || state->num > 0xffff || state->num & (state->num - 1))
		return -EINVAL;
	q->num = state->num;
	return 0;
}

static int set_base(struct fake_vhost_device *dev, struct fake_vhost_queue *q, const struct vhost_vring_state *state)
{
	if (is_active(dev, q))
		return -EBUSY;
	if (state->num > 0xffff)
		return -EINVAL;
	q->base = state->num;
	return 0;
}

static int set_addr(struct fake_vhost_queue *q, const struct vhost_vring_addr *addr)
{
	if (addr->flags)
		return -EOPNOTSUPP;
	if (addr->avail_user_addr & 1 || addr->used_user_addr & 3 || addr->log_guest_addr & 3)
		return -EINVAL;
	q->desc = addr->desc_user_addr;
	q->avail = addr->avail_user_addr;
	q->used = addr->used_user_addr;
	return 0;
}

/* The kernel can access all of the rings. */
static bool rings_ok(const struct fake_vhost_device *dev)
{
	for (unsigned i = 0; i < FAKE_VHOST_QUEUES; i++)
		if (dev->queues[i].num == 0 || !dev->queues[i].desc || !dev->queues[i].avail || !dev->queues[i].used)
			return false;
	return dev->nregions > 0;
}

static int set_running(struct fake_vhost_device *dev, bool running)
{
	if (running && !rings_ok(dev))
		return -EFAULT;
	dev->running = running;
	return 0;
}

static int set_cid(struct fake_vhost_device *dev, uint64_t cid)
{
	if (cid <= 2 || cid >= UINT32_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < FAKE_VHOST_DEVICES; i++)
		if (&fake_vhost.devices[i] != dev && fake_vhost.devices[i].used && fake_vhost.devices[i].cid == cid)
			return -EADDRINUSE;
	if (cid == fake_vhost.taken_cid)
		return -EADDRINUSE;
	dev->cid = cid;
	return 0;
}

static int set_backend(struct fake_vhost_device *dev, struct fake_vhost_queue *q, int fd)
{
	if (fd >= 0 && (q->num == 0 || !q->desc || !q->avail || !q->used || dev->nregions == 0))
		return -EFAULT;
	q->backend_fd = fd;
	return 0;
}

static int device_ioctl(struct fake_vhost_device *dev, unsigned long request, void *arg)
{
	switch (request) {
	case VHOST_SET_OWNER:
		if (dev->owned)
			return -EBUSY;
		dev->owned = true;
		return 0;
	case VHOST_RESET_OWNER:
		if (!fake_vhost.can_reset_owner)
			return -ENOTTY; /* vhost_vsock has none */
		dev->owned = false;
		return 0;
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = fake_vhost.features;
		return 0;
	case VHOST_SET_FEATURES:
		if (*(uint64_t *)arg & ~fake_vhost.features)
			return -EOPNOTSUPP;
		dev->features = *(uint64_t *)arg;
		return 0;
	case VHOST_VSOCK_SET_GUEST_CID:
		return set_cid(dev, *(uint64_t *)arg);
	case VHOST_VSOCK_SET_RUNNING:
		return dev->owned ? set_running(dev, *(int *)arg) : -EPERM;
	case VHOST_SET_MEM_TABLE:
		return dev->owned ? set_mem_table(dev, arg) : -EPERM;
	default:
		return -ENOTTY;
	}
}

static int queue_ioctl(struct fake_vhost_device *dev, struct fake_vhost_queue *q, unsigned long request, void *arg)
{
	const struct vhost_vring_file *file = arg;

	switch (request) {
	case VHOST_SET_VRING_NUM:
		return set_num(dev, q, arg);
	case VHOST_SET_VRING_BASE:
		return set_base(dev, q, arg);
	case VHOST_GET_VRING_BASE:
		((struct vhost_vring_state *)arg)->num = q->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		return set_addr(q, arg);
	case VHOST_SET_VRING_KICK:
		q->kick_efd = file->fd;
		return fcntl(file->fd, F_GETFD) < 0 ? -EBADF : 0;
	case VHOST_SET_VRING_CALL:
		q->call_efd = file->fd;
		return fcntl(file->fd, F_GETFD) < 0 ? -EBADF : 0;
	case VHOST_SET_VRING_ERR:
		q->err_efd = file->fd;
		return fcntl(file->fd, F_GETFD) < 0 ? -EBADF : 0;
	case VHOST_NET_SET_BACKEND:
		return set_backend(dev, q, file->fd);
	default:
		return -ENOTTY;
	}
}

static const struct {
	const char *name;
	unsigned long request;
	bool queue;
} names[] = {
#define DEVICE(request)                  \
	{                                \
#request, request, false \
	}
#define QUEUE(request)                  \
	{                               \
#request, request, true \
	}
	DEVICE(VHOST_SET_OWNER),         DEVICE(VHOST_RESET_OWNER),    DEVICE(VHOST_GET_FEATURES),
	DEVICE(VHOST_SET_FEATURES),      DEVICE(VHOST_SET_MEM_TABLE),  DEVICE(VHOST_VSOCK_SET_GUEST_CID),
	DEVICE(VHOST_VSOCK_SET_RUNNING), QUEUE(VHOST_SET_VRING_NUM),   QUEUE(VHOST_SET_VRING_BASE),
	QUEUE(VHOST_SET_VRING_ADDR),     QUEUE(VHOST_SET_VRING_KICK),  QUEUE(VHOST_SET_VRING_CALL),
	QUEUE(VHOST_SET_VRING_ERR),      QUEUE(VHOST_NET_SET_BACKEND), QUEUE(VHOST_GET_VRING_BASE),
};

static int serve(struct fake_vhost_device *dev, unsigned long request, void *arg)
{
	unsigned i = 0;

	while (i < sizeof(names) / sizeof(names[0]) && names[i].request != request)
		i++;
	assert_true(i < sizeof(names) / sizeof(names[0]));
	if (fake_vhost.nlog < FAKE_VHOST_LOG)
		fake_vhost.log[fake_vhost.nlog++] = names[i].name;
	if (fake_vhost.fail && strcmp(fake_vhost.fail, names[i].name) == 0 && fake_vhost.fail_after-- == 0) {
		fake_vhost.fail = NULL;
		return fake_vhost.fail_error;
	}
	if (!names[i].queue)
		return device_ioctl(dev, request, arg);
	/* Each of these begins with the index. */
	if (!dev->owned)
		return -EPERM;
	if (*(unsigned *)arg >= FAKE_VHOST_QUEUES)
		return -ENOBUFS;
	return queue_ioctl(dev, &dev->queues[*(unsigned *)arg], request, arg);
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_vhost_device *dev = find(fd);
	int rc;

	if (!dev)
		return __real_ioctl(fd, request, arg);
	rc = serve(dev, request, arg);
	if (rc == 0)
		return 0;
	errno = -rc;
	return -1;
}

/* ---- what a test asks ------------------------------------------------------------------------------------------ */

void fake_vhost_init(void)
{
	assert_int_equal(fake_vhost.ndevices, 0);
	memset(&fake_vhost, 0, sizeof(fake_vhost));
	/* VERSION_1, EVENT_IDX, INDIRECT_DESC, LOG_ALL, NOTIFY_ON_EMPTY, ANY_LAYOUT, ACCESS_PLATFORM, and bit 1. */
	fake_vhost.features = UINT64_C(0x33d000002);
}

void fake_vhost_clear_log(void)
{
	fake_vhost.nlog = 0;
}

bool fake_vhost_logged(const char *first, ...)
{
	const char *expected[FAKE_VHOST_LOG];
	unsigned n = 0;
	bool same = true;
	va_list args;

	va_start(args, first);
	for (const char *name = first; name && n < FAKE_VHOST_LOG; name = va_arg(args, const char *))
		expected[n++] = name;
	va_end(args);
	if (n > fake_vhost.nlog)
		return false;
	for (unsigned i = 0; i < n; i++)
		same &= strcmp(fake_vhost.log[fake_vhost.nlog - n + i], expected[i]) == 0;
	return same;
}
