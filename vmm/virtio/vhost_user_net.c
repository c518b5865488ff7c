// SPDX-License-Identifier: Apache-2.0
// Another process as the back end of a network card: its connection, and the next one.
#include "vhost_user_net.h"

#include "error.h"
#include "log.h"
#include "vhost_net.h"
#include "vhost_user.h"
#include "virtio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vhost_user_net {
	struct vhost_user user;
	char *id;
	unsigned npairs;
	uint64_t features;            /* of the first back end: a guest may use them */
	unsigned regions_max;         /* the same */
	struct vhost_backend_ops ops; /* those of vhost_user.h, with what a card has besides */
	uint16_t mtu;                 /* 0: the driver has negotiated none */
	uint8_t mac[MAC_SIZE];
	bool announces; /* the next start */
	void (*lost)(void *owner, bool again);
	void *owner;
};

#define BIT(n) (UINT64_C(1) << (n))

/* ---- start --------------------------------------------------------------------------------------------------------- */

static int set_features(struct vhost_backend *backend, uint64_t features)
{
	struct vhost_user_net *net = (struct vhost_user_net *)backend;
	int rc = vhost_user_ops.set_features(backend, features);

	if (rc == 0 && net->mtu > 0 && vhost_user_has(&net->user, VHOST_USER_PROTOCOL_F_NET_MTU))
		rc = vhost_user_set_u64(&net->user, VHOST_USER_NET_SET_MTU, net->mtu);
	return rc;
}

static int run(struct vhost_backend *backend)
{
	struct vhost_user_net *net = (struct vhost_user_net *)backend;
	uint64_t mac = 0;
	int rc = vhost_user_ops.run(backend);

	if (rc || !net->announces || !vhost_user_has(&net->user, VHOST_USER_PROTOCOL_F_RARP))
		return rc;
	net->announces = false;
	memcpy(&mac, net->mac, MAC_SIZE);
	rc = vhost_user_set_u64(&net->user, VHOST_USER_SEND_RARP, mac);
	/* The network learns of the card by its first frame as well. */
	return rc == -EREMOTEIO ? 0 : rc;
}

void vhost_user_net_describe(struct vhost_user_net *net, uint16_t mtu, const uint8_t *mac)
{
	net->mtu = mtu;
	memcpy(net->mac, mac, MAC_SIZE);
}

/* ---- a connection ---------------------------------------------------------------------------------------------------- */

static void on_lost(struct vhost_user *vu)
{
	struct vhost_user_net *net = (struct vhost_user_net *)vu;
	bool again = vu->link.end == VHOST_USER_CLOSED;

	log_warn("netdev %s: %s: the guest has no link", net->id, vu->link.why);
	vhost_user_disconnect(vu);
	net->lost(net->owner, again);
}

/* It has no configuration, and so no channel of its own to report a change. */
static void on_config_changed(struct vhost_user *vu)
{
	(void)vu;
}

/* Without the protocol feature MQ there is one pair. With it, GET_QUEUE_NUM of a network back end counts pairs. */
static uint64_t pairs_max(const struct vhost_user *vu)
{
	return vhost_user_has(vu, VHOST_USER_PROTOCOL_F_MQ) ? vu->queues_max : 1;
}

/* -errno; what: in words, for a message. */
static int connect_backend(struct vhost_user_net *net, int fd, char *what, size_t size)
{
	struct vhost_user *vu = &net->user;
	int rc = vhost_user_connect(vu, fd, NULL, 0);

	if (rc) {
		snprintf(what, size, "%s: %s", vu->backend.failed, vu->link.why[0] ? vu->link.why : strerror(-rc));
		return rc;
	}
	if (!(vu->features & BIT(VIRTIO_F_VERSION_1)))
		snprintf(what, size, "the back end is too old: no VIRTIO_F_VERSION_1");
	else if (net->npairs > pairs_max(vu))
		snprintf(what, size, "you are asking more queues than supported: %" PRIu64, pairs_max(vu));
	else if (net->features & ~vu->features)
		snprintf(what, size, "the back end lacks features of the former one: 0x%" PRIx64,
		         net->features & ~vu->features);
	else if (vu->regions_max < net->regions_max)
		snprintf(what, size, "the back end can have %u regions of memory, the former one %u", vu->regions_max,
		         net->regions_max);
	else
		return 0;
	return -EPROTO;
}

int vhost_user_net_open(const struct vhost_user_net_options *opts, int fd, struct vhost_user_net **out,
                        struct vpmem_error *err)
{
	struct vhost_user_net *net = calloc(1, sizeof(*net));
	char what[192];
	int rc;

	if (net)
		net->id = strdup(opts->id);
	if (!net || !net->id) {
		close(fd);
		free(net);
		return error_set(err, -ENOMEM, "netdev: out of memory");
	}
	vhost_user_init(&net->user);
	net->ops = vhost_user_ops;
	net->ops.set_features = set_features;
	net->ops.run = run;
	net->user.backend.ops = &net->ops;
	net->user.own_protocol_features = BIT(VHOST_USER_PROTOCOL_F_RARP) | BIT(VHOST_USER_PROTOCOL_F_NET_MTU);
	net->user.loop = opts->loop;
	net->user.lost = on_lost;
	net->user.config_changed = on_config_changed;
	net->npairs = opts->npairs;
	net->lost = opts->lost;
	net->owner = opts->owner;
	rc = connect_backend(net, fd, what, sizeof(what));
	if (rc < 0) {
		error_set(err, rc, "failed to init vhost_net for queue 0: %s", what);
		error_hint(err, "a vhost-user back end of a network card must listen there, with no other client");
		vhost_user_net_close(net);
		return rc;
	}
	net->features = net->user.features & vhost_net_backend_features();
	net->regions_max = net->user.regions_max;
	*out = net;
	return 0;
}

int vhost_user_net_watch(struct vhost_user_net *net)
{
	return vhost_user_watch(&net->user);
}

int vhost_user_net_connect(struct vhost_user_net *net, int fd)
{
	char what[192] = "the event loop is full";
	int rc = connect_backend(net, fd, what, sizeof(what));

	if (rc == 0)
		rc = vhost_user_watch(&net->user);
	if (rc < 0) {
		log_guest("netdev %s: cannot use the new back end: %s", net->id, what);
		vhost_user_disconnect(&net->user);
		return rc;
	}
	log_info("netdev %s: the back end is connected again", net->id);
	net->announces = true;
	return 0;
}

bool vhost_user_net_was_closed(const struct vhost_user_net *net)
{
	return net->user.link.end == VHOST_USER_CLOSED;
}

void vhost_user_net_disconnect(struct vhost_user_net *net)
{
	vhost_user_disconnect(&net->user);
}

void vhost_user_net_close(struct vhost_user_net *net)
{
	if (!net)
		return;
	vhost_user_disconnect(&net->user);
	free(net->id);
	free(net);
}

struct vhost_backend *vhost_user_net_backend(struct vhost_user_net *net)
{
	return &net->user.backend;
}

uint64_t vhost_user_net_features(const struct vhost_user_net *net)
{
	return net->features;
}

unsigned vhost_user_net_regions_max(const struct vhost_user_net *net)
{
	return net->regions_max;
}

int vhost_user_net_set_pairs(struct vhost_user_net *net, unsigned npairs)
{
	return vhost_user_enable_rings(&net->user, 2 * npairs);
}
