// SPDX-License-Identifier: Apache-2.0
// A disk of a fake vhost-user back end on the rig of vhost devices.
#include "user_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void on_changed(void *owner)
{
	((struct rig_user *)owner)->nchanges++;
}

struct vhost_user_options user_options(struct rig_user *u)
{
	return (struct vhost_user_options) {
		.model = "vhost-user-blk-pci",
		.id = "v1",
		.device_id = 2,
		.class_code = 0x010000,
		.nqueues = NQUEUES,
		.queue_size = 128,
		.features = F_EVENT_IDX | F_WCE | 0xff,
		.features_mq = F_MQ,
		.config_size = CONFIG_SIZE,
		.backend_config = true,
		.nqueues_off = NQUEUES_OFF,
		.writable_off = WCE_OFF,
		.writable_size = 1,
		.writable_feature = 11,
		.resumes = true,
		.owner = { .changed = on_changed, .owner = u },
		.mem = &u->r->mem,
	};
}

int open_with(struct rig_user *u, const struct vhost_user_options *opts)
{
	return vhost_user_device_open(opts, fake_user_start(&u->fake), &u->dev, &u->err);
}

int open_device(struct rig_user *u)
{
	struct vhost_user_options opts = user_options(u);

	return open_with(u, &opts);
}

void plug_device(struct rig_user *u)
{
	struct virtio_pci_config place = vhost_rig_place(u->r);

	assert_int_equal(vhost_user_device_plug(u->dev, &place, &u->r->vp, &u->err), 0);
	probe(u->r);
}

void plug_new(struct rig_user *u)
{
	assert_int_equal(open_device(u), 0);
	plug_device(u);
}

void remove_device(struct rig_user *u)
{
	virtio_pci_destroy(u->r->vp);
	u->r->vp = NULL;
	fake_user_end(&u->fake);
}

int user_rig_setup(void **state)
{
	struct rig_user *u = calloc(1, sizeof(*u));

	u->r = vhost_rig_new();
	u->ram_fd = vhost_rig_share_ram(u->r, 0x2000);
	fake_user_init(&u->fake);
	*state = u;
	return 0;
}

int user_rig_teardown(void **state)
{
	struct rig_user *u = *state;

	/* What is left of a front end must not wait for an answer. */
	fake_user_end(&u->fake);
	close(u->ram_fd);
	vhost_rig_free(u->r);
	free(u);
	return 0;
}

struct vhost_user_state state_of(struct rig_user *u)
{
	return vhost_user_device_state(u->dev);
}

bool needs_reset(struct rig_user *u)
{
	return status(u->r) & NEEDS_RESET;
}

void turn_until_lost(struct rig_user *u)
{
	for (unsigned i = 0; i < LIMIT && state_of(u).connected; i++)
		loop_turn(u->r);
	assert_false(state_of(u).connected);
}

void start_driver(struct rig_user *u)
{
	start(u->r, F_EVENT_IDX, NQUEUES);
}

void add_other(struct rig_user *u, int fd)
{
	const struct vm_memory_region region = { .gpa = OTHER_GPA, .size = 4096, .hva = u->r->window, .fd = fd };

	assert_int_equal(vm_memory_add_region(&u->r->rig.fake.vm, &region, false), 0);
}

void del_other(struct rig_user *u)
{
	vm_memory_del(&u->r->rig.fake.vm, OTHER_GPA, 4096);
}

void request_of_back_end(struct rig_user *u, uint32_t request, uint32_t flags, uint32_t size)
{
	const struct vhost_user_header header = { .request = request, .flags = flags, .size = size };

	assert_int_equal(send(u->fake.channel_fd, &header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
}

int another_back_end(struct rig_user *u)
{
	fake_user_end(&u->fake);
	return vhost_user_device_connect(u->dev, fake_user_start(&u->fake));
}
