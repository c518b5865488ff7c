// SPDX-License-Identifier: Apache-2.0
// The kernel's vhost as a back end: the ioctls of /dev/vhost-*.
#include "vhost_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REGIONS_MAX_FILE "/sys/module/vhost/parameters/max_mem_regions"
#define REGIONS_MAX_DEFAULT 64u /* the kernel's */

static int do_ioctl(struct vhost_kernel *vk, const char *name, unsigned long request, void *arg)
{
	if (vk->fd < 0) {
		vk->backend.failed = "the vhost device is closed";
		return -EBADF;
	}
	if (ioctl(vk->fd, request, arg) >= 0)
		return 0;
	vk->backend.failed = name;
	return -errno;
}
#define CALL(vk, request, arg) do_ioctl(vk, #request, request, arg)

/* ---- start and stop -------------------------------------------------------------------------------------- */

static struct vhost_kernel *kernel_of(struct vhost_backend *backend)
{
	return (struct vhost_kernel *)backend;
}

static int set_features(struct vhost_backend *backend, uint64_t features)
{
	struct vhost_kernel *vk = kernel_of(backend);
	int rc = vk->fd < 0 && vk->reopen ? vk->reopen(vk) : 0;

	return rc ? rc : CALL(vk, VHOST_SET_FEATURES, &features);
}

static int set_memory(struct vhost_backend *backend, const struct vm_memory *memory)
{
	struct vhost_memory *table = calloc(1, sizeof(*table) + memory->nregions * sizeof(table->regions[0]));
	int rc;

	if (!table) {
		backend->failed = "the table of memory";
		return -ENOMEM;
	}
	table->nregions = memory->nregions;
	for (unsigned i = 0; i < memory->nregions; i++)
		table->regions[i] = (struct vhost_memory_region) {
			.guest_phys_addr = memory->regions[i].gpa,
			.memory_size = memory->regions[i].size,
			.userspace_addr = (uintptr_t)memory->regions[i].hva,
		};
	rc = CALL(kernel_of(backend), VHOST_SET_MEM_TABLE, table);
	free(table);
	return rc;
}

static int set_ring(struct vhost_backend *backend, const struct vhost_ring *ring)
{
	struct vhost_kernel *vk = kernel_of(backend);
	struct vhost_vring_state size = { .index = ring->idx, .num = ring->size },
				 base = { .index = ring->idx, .num = ring->base };
	struct vhost_vring_addr addr = {
		.index = ring->idx,
		.desc_user_addr = (uintptr_t)ring->desc_hva,
		.avail_user_addr = (uintptr_t)ring->avail_hva,
		.used_user_addr = (uintptr_t)ring->used_hva,
	};
	struct vhost_vring_file kick = { .index = ring->idx, .fd = ring->kick_efd };
	struct vhost_vring_file used = { .index = ring->idx, .fd = ring->call_efd };
	struct vhost_vring_file error = { .index = ring->idx, .fd = ring->error_efd };
	int rc = CALL(vk, VHOST_SET_VRING_NUM, &size);

	if (rc == 0)
		rc = CALL(vk, VHOST_SET_VRING_BASE, &base);
	if (rc == 0)
		rc = CALL(vk, VHOST_SET_VRING_ADDR, &addr);
	if (rc == 0)
		rc = CALL(vk, VHOST_SET_VRING_ERR, &error);
	if (rc == 0)
		rc = CALL(vk, VHOST_SET_VRING_CALL, &used);
	if (rc == 0)
		rc = CALL(vk, VHOST_SET_VRING_KICK, &kick);
	return rc;
}

static int run(struct vhost_backend *backend)
{
	struct vhost_kernel *vk = kernel_of(backend);

	return vk->attach(vk);
}

static void stop(struct vhost_backend *backend)
{
	struct vhost_kernel *vk = kernel_of(backend);

	vk->detach(vk);
}

static int get_base(struct vhost_backend *backend, uint16_t idx, uint16_t *base)
{
	struct vhost_vring_state state = { .index = idx };
	int rc = CALL(kernel_of(backend), VHOST_GET_VRING_BASE, &state);

	if (rc == 0)
		*base = (uint16_t)state.num;
	return rc;
}

const struct vhost_backend_ops vhost_kernel_ops = {
	.set_features = set_features,
	.set_memory = set_memory,
	.set_ring = set_ring,
	.run = run,
	.stop = stop,
	.get_base = get_base,
	.more_regions = "load the module vhost with max_mem_regions=509",
};

/* ---- the ioctls of the kinds --------------------------------------------------------------------------------- */

int vhost_kernel_get_features(struct vhost_kernel *vk, uint64_t *features)
{
	return CALL(vk, VHOST_GET_FEATURES, features);
}

int vhost_kernel_vsock_set_guest_cid(struct vhost_kernel *vk, uint64_t cid)
{
	return CALL(vk, VHOST_VSOCK_SET_GUEST_CID, &cid);
}

int vhost_kernel_vsock_set_running(struct vhost_kernel *vk, bool running)
{
	int start = running;

	return CALL(vk, VHOST_VSOCK_SET_RUNNING, &start);
}

int vhost_kernel_net_set_backend(struct vhost_kernel *vk, unsigned queue_idx, int fd)
{
	struct vhost_vring_file file = { .index = queue_idx, .fd = fd };

	return CALL(vk, VHOST_NET_SET_BACKEND, &file);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static const char *const files[] = { [VHOST_KERNEL_NET] = "/dev/vhost-net", [VHOST_KERNEL_VSOCK] = "/dev/vhost-vsock" };

struct open_in {
	unsigned kind; /* enum vhost_kernel_kind */
};

static int serve_open(struct broker_call *call)
{
	const struct open_in *in = call->in;
	int fd;

	if (in->kind >= sizeof(files) / sizeof(files[0]))
		return -EINVAL;
	fd = open(files[in->kind], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	call->fds[call->nfds++] = fd;
	return 0;
}

const struct broker_op vhost_kernel_open_op = {
	.name = "vhost",
	.in_size = sizeof(struct open_in),
	.serve = serve_open,
};

static int open_file(enum vhost_kernel_kind kind)
{
	const struct open_in in = { .kind = kind };
	struct broker_call call = { .in = &in };
	int rc = broker_call(&vhost_kernel_open_op, &call);

	return rc < 0 ? rc : call.fds[0];
}

int vhost_kernel_open(struct vhost_kernel *vk, enum vhost_kernel_kind kind, int fd)
{
	int rc, own_fd = fd >= 0 ? fd : open_file(kind);

	vk->backend.ops = &vhost_kernel_ops;
	vk->backend.failed = files[kind];
	vk->fd = own_fd >= 0 ? own_fd : -1;
	if (own_fd < 0)
		return own_fd;
	rc = CALL(vk, VHOST_SET_OWNER, NULL);
	/* A descriptor that was passed may have been ours before: a device that is gone had it. */
	if (rc == -EBUSY && fd >= 0 && ioctl(fd, VHOST_RESET_OWNER, NULL) == 0)
		rc = CALL(vk, VHOST_SET_OWNER, NULL);
	if (rc == 0)
		return 0;
	if (fd < 0)
		close(vk->fd);
	vk->fd = -1;
	return rc;
}

void vhost_kernel_close(struct vhost_kernel *vk)
{
	if (vk->fd >= 0)
		close(vk->fd);
	vk->fd = -1;
}

struct regions_out {
	unsigned max;
};

static int serve_regions_max(struct broker_call *call)
{
	struct regions_out *out = call->out;
	char text[32];
	int fd = open(REGIONS_MAX_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned long max = 0;

	if (fd >= 0)
		close(fd);
	if (len > 0) {
		text[len] = '\0';
		max = strtoul(text, NULL, 10);
	}
	out->max = max > 0 && max <= UINT16_MAX ? (unsigned)max : REGIONS_MAX_DEFAULT;
	return 0;
}

const struct broker_op vhost_kernel_regions_max_op = {
	.name = "the limit of vhost",
	.out_size = sizeof(struct regions_out),
	.serve = serve_regions_max,
};

unsigned vhost_kernel_regions_max(void)
{
	struct regions_out out;
	struct broker_call call = { .out = &out };

	return broker_call(&vhost_kernel_regions_max_op, &call) == 0 ? out.max : REGIONS_MAX_DEFAULT;
}
