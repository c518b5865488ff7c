// SPDX-License-Identifier: Apache-2.0
// Devices whose back end is another process, on a chardev.
#include "machine_vhost_user.h"

#include "error.h"
#include "machine.h"
#include "vhost_user_device.h"
#include "virtio.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <unistd.h>

#define BIT(n) (UINT64_C(1) << (n))
#define BLK_CONFIG_SIZE 60u /* struct virtio_blk_config up to the fields of WRITE_ZEROES */
#define FS_CONFIG_SIZE 40u  /* tag, and the number of request queues */
#define FS_TAG_SIZE 36u

struct user_device {
	struct device dev;
	struct chardev *chr;
	struct vhost_user_device *back; /* NULL: it is not there yet */
	int fd;                         /* a peer that came before; -1: none */
	bool has_peer;
};

// ---- the chardev

static int take_peer(void *owner, int fd)
{
	struct user_device *user = owner;

	user->has_peer = true;
	if (user->back)
		// What fails is reported as the loss of a connection.
		(void)vhost_user_device_connect(user->back, fd);
	else
		user->fd = fd;
	return 0;
}

static void drop_peer(struct user_device *user)
{
	if (user->has_peer)
		chardev_peer_left(user->chr);
	user->has_peer = false;
}

static void release_chardev(struct user_device *user)
{
	chardev_set_acceptor(user->chr, NULL, NULL);
	drop_peer(user);
	chardev_release(user->chr, CHARDEV_DEVICE);
}

static int claim_chardev(struct user_device *user, struct vpmem_error *err)
{
	const struct device_config *cfg = user->dev.cfg;
	const char *id = vhost_user_config_of(user->dev.cfg)->chardev;
	int rc;

	user->chr = chardev_find(&user->dev.machine->chardevs, id);
	if (!user->chr) {
		error_set(err, -EINVAL, "Property '%s.chardev' can't find value '%s'", cfg->model->virtio_name, id);
		error_hint(err, "chardev names a socket: -chardev socket,id=%s,path=PATH", id);
		return -EINVAL;
	}
	if (chardev_kind(user->chr) != CHARDEV_SOCKET) {
		error_set(err, -EINVAL, "chardev '%s' is no socket", id);
		error_hint(err, "a back end listens on a Unix domain socket: -chardev socket,id=%s,path=PATH", id);
		return -EINVAL;
	}
	rc = chardev_claim(user->chr, CHARDEV_DEVICE, err);
	if (rc < 0)
		return rc;
	chardev_set_acceptor(user->chr, take_peer, user);
	if (user->fd >= 0)
		return 0;
	machine_vhost_user_no_peer(user->chr, id, err);
	release_chardev(user);
	return -ENOTCONN;
}

// ---- back ends that come and go

static void send_event(struct user_device *user)
{
	struct vhost_user_state state = vhost_user_device_state(user->back);

	machine_event_send(user->dev.machine, &(struct machine_event) { .kind = MACHINE_EVENT_VHOST_USER_CHANGE,
	                                                                .device = user->dev.cfg->id,
	                                                                .path = user->dev.path,
	                                                                .connected = state.connected,
	                                                                .message = state.why });
}

static void on_changed(void *owner)
{
	struct user_device *user = owner;
	bool connected = vhost_user_device_state(user->back).connected;

	// From one that hangs another one that hangs may be expected, and each costs the machine time.
	if (!connected && !vhost_user_device_was_closed(user->back))
		vhost_user_device_expect(user->back, false);
	else if (!connected)
		drop_peer(user);
	send_event(user);
}

// ---- plugging

static int plug(struct user_device *user, struct vhost_user_options *opts, const struct virtio_pci_config *pci,
                struct vpmem_error *err)
{
	struct machine *m = user->dev.machine;
	const struct device_config *cfg = user->dev.cfg;
	struct vhost_user_device *back;
	int rc, fd = user->fd;

	opts->model = cfg->model->props->name;
	opts->id = cfg->id;
	opts->mem = &m->gmem;
	opts->owner = (struct vhost_user_owner) { .changed = on_changed, .owner = user };
	if (cfg->event_idx)
		opts->features |= BIT(VIRTIO_F_EVENT_IDX);
	if (cfg->indirect_desc)
		opts->features |= BIT(VIRTIO_F_INDIRECT_DESC);
	user->fd = -1;
	// It waits for answers of the back end. Nobody else knows of the device yet.
	pthread_mutex_unlock(&m->lock);
	rc = vhost_user_device_open(opts, fd, &back, err);
	pthread_mutex_lock(&m->lock);
	if (rc < 0)
		return rc;
	vhost_user_device_expect(back, chardev_expects_peers(user->chr));
	rc = vhost_user_device_plug(back, pci, &user->dev.vp, err);
	if (rc == 0)
		user->back = back;
	return rc;
}

static int create(struct device *dev, struct vhost_user_options *opts, const struct virtio_pci_config *pci,
                  struct vpmem_error *err)
{
	struct user_device *user = (struct user_device *)dev;
	int rc = machine_vhost_user_check_ram(dev->machine, err);

	user->fd = -1;
	if (rc == 0)
		rc = claim_chardev(user, err);
	if (rc < 0)
		return rc;
	rc = plug(user, opts, pci, err);
	if (rc < 0)
		release_chardev(user);
	return rc;
}

static void left(struct device *dev)
{
	release_chardev((struct user_device *)dev);
}

// ---- vhost-user-blk-pci

static uint64_t blk_features(const struct vhost_user_config *cfg)
{
	uint64_t features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_GEOMETRY) |
	                    BIT(VIRTIO_BLK_F_RO) | BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
	                    BIT(VIRTIO_BLK_F_TOPOLOGY);

	if (cfg->config_wce)
		features |= BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (cfg->discard)
		features |= BIT(VIRTIO_BLK_F_DISCARD);
	if (cfg->write_zeroes)
		features |= BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	return features;
}

static int blk_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev->cfg);
	unsigned ncpus = dev->machine->opts->ncpus;
	bool any = cfg->nqueues == VHOST_USER_QUEUES_AUTO;
	struct vhost_user_options opts = {
		.device_id = VIRTIO_ID_BLOCK,
		.class_code = 0x010000, // mass storage, SCSI: as QEMU has it
		.nqueues = (uint16_t)cfg->nqueues,
		.fewer_queues = any,
		.queue_size = (uint16_t)cfg->queue_size,
		.features = blk_features(cfg),
		.features_mq = BIT(VIRTIO_BLK_F_MQ),
		.config_size = BLK_CONFIG_SIZE,
		.backend_config = true,
		.nqueues_off = offsetof(struct virtio_blk_config, num_queues),
		.writable_off = offsetof(struct virtio_blk_config, wce),
		.writable_size = 1,
		.writable_feature = VIRTIO_BLK_F_CONFIG_WCE,
		// A request has no state besides the disk's.
		.resumes = true,
	};

	if (any)
		opts.nqueues = (uint16_t)(ncpus < VHOST_USER_QUEUES_MAX ? ncpus : VHOST_USER_QUEUES_MAX);
	return create(dev, &opts, pci, err);
}

const struct device_kind vhost_user_blk_pci_kind = {
	.model = &vhost_user_blk_pci_model,
	.size = sizeof(struct user_device),
	.create = blk_create,
	.left = left,
};

// ---- vhost-user-fs-pci

static int fs_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev->cfg);
	struct vhost_user_options opts = {
		.device_id = VIRTIO_ID_FS,
		.class_code = 0x018000, // mass storage, other
		.nqueues = (uint16_t)(cfg->nqueues + 1),
		.queue_size = (uint16_t)cfg->queue_size,
		.config_size = FS_CONFIG_SIZE,
		.resumes = cfg->repeat,
		.repeats = cfg->repeat,
	};

	memcpy(opts.config, cfg->tag, strnlen(cfg->tag, FS_TAG_SIZE));
	opts.config[FS_TAG_SIZE] = (uint8_t)cfg->nqueues;
	return create(dev, &opts, pci, err);
}

const struct device_kind vhost_user_fs_pci_kind = {
	.model = &vhost_user_fs_pci_model,
	.size = sizeof(struct user_device),
	.create = fs_create,
	.left = left,
};

// ---- vhost-user-device-pci

static int any_create(struct device *dev, struct virtio_pci_config *pci, struct vpmem_error *err)
{
	const struct vhost_user_config *cfg = vhost_user_config_of(dev->cfg);
	struct vhost_user_options opts = {
		.device_id = (uint16_t)cfg->virtio_id,
		.class_code = 0x078000, // communication, other: as QEMU has it
		.nqueues = (uint16_t)cfg->nqueues,
		.queue_size = (uint16_t)cfg->queue_size,
		// The bits of a device's own: the virtio specification, section 2.2.
		.features = (BIT(24) - 1) | ~(BIT(50) - 1),
		.config_size = cfg->config_size,
		.backend_config = cfg->config_size > 0,
		.writable_size = cfg->config_size,
		.always_writable = true,
	};

	return create(dev, &opts, pci, err);
}

const struct device_kind vhost_user_device_pci_kind = {
	.model = &vhost_user_device_pci_model,
	.size = sizeof(struct user_device),
	.create = any_create,
	.left = left,
};

// ---- for the monitor

bool machine_vhost_user_info(const struct device *dev, struct vhost_user_info *info)
{
	const struct user_device *user = (const struct user_device *)dev;
	struct vhost_user_state state;

	if (dev->kind->left != left || dev->unplug == UNPLUG_EJECTED)
		return false;
	state = vhost_user_device_state(user->back);
	*info = (struct vhost_user_info) { .chardev = chardev_id(user->chr),
		                           .connected = state.connected,
		                           .message = state.why };
	info->condition = state.needs_reset ? VHOST_USER_NEEDS_RESET :
	                  state.running     ? VHOST_USER_RUNS :
	                  state.connected   ? VHOST_USER_IDLE :
	                                      VHOST_USER_DISCONNECTED;
	return true;
}
