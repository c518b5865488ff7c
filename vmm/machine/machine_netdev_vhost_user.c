// SPDX-License-Identifier: Apache-2.0
// -netdev vhost-user: another process, on a chardev, has the queues of the card.
#include "error.h"
#include "machine.h"
#include "machine_net.h"
#include "machine_netdev.h"
#include "machine_vhost_user.h"
#include "vhost_user_net.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct netdev_vhost_user {
	struct netdev netdev;
	struct chardev *chr; /* NULL: the netdev was deleted */
	int fd;              /* a peer that came before the connection is made of it; -1: none */
	bool has_peer;
};

// ---- the chardev and its peers

static void send_event(struct netdev_vhost_user *user, enum machine_event_kind kind)
{
	const struct object *obj = &user->netdev.obj;

	machine_event_send(obj->machine, &(struct machine_event) { .kind = kind,
	                                                           .device = obj->cfg->id,
	                                                           .chardev = chardev_id(user->chr) });
}

static void drop_peer(struct netdev_vhost_user *user)
{
	if (user->has_peer)
		chardev_peer_left(user->chr);
	user->has_peer = false;
}

static int take_peer(void *owner, int fd)
{
	struct netdev_vhost_user *user = owner;
	struct netdev *netdev = &user->netdev;

	user->has_peer = true;
	if (!netdev->vhost_user) {
		user->fd = fd;
		return 0;
	}
	// What fails is in the log. The chardev then waits for one that takes its place, but not after one that hung:
	// each of them costs the machine time.
	if (vhost_user_net_connect(netdev->vhost_user, fd) < 0) {
		if (vhost_user_net_was_closed(netdev->vhost_user))
			drop_peer(user);
		return 0;
	}
	netdev->has_ended = false;
	machine_net_peer_back(netdev->obj.machine, &netdev->obj);
	send_event(user, MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED);
	return 0;
}

static void release_chardev(struct netdev_vhost_user *user)
{
	if (!user->chr)
		return;
	chardev_set_acceptor(user->chr, NULL, NULL);
	drop_peer(user);
	chardev_release(user->chr, CHARDEV_DEVICE);
	user->chr = NULL;
}

static int refuse(const char *id, const char *why, struct vpmem_error *err)
{
	error_set(err, -EINVAL, "chardev \"%s\" %s", id, why);
	error_hint(err, "a back end listens on a Unix domain socket: -chardev socket,id=%s,path=PATH", id);
	return -EINVAL;
}

// Of a peer: descriptors can be passed to it.
static bool is_unix(int fd)
{
	int domain = -1;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

static int claim_chardev(struct netdev_vhost_user *user, const char *id, struct vpmem_error *err)
{
	struct chardev *chr = chardev_find(&user->netdev.obj.machine->chardevs, id);
	int rc;

	if (!chr)
		return refuse(id, "not found", err);
	if (chardev_kind(chr) != CHARDEV_SOCKET)
		return refuse(id, "is not reconnectable", err);
	rc = chardev_claim(chr, CHARDEV_DEVICE, err);
	if (rc < 0)
		return rc;
	user->chr = chr;
	chardev_set_acceptor(chr, take_peer, user);
	if (user->fd < 0)
		rc = machine_vhost_user_no_peer(chr, id, err);
	else if (!is_unix(user->fd))
		rc = refuse(id, "does not support FD passing", err);
	if (rc == 0)
		return 0;
	if (user->fd >= 0)
		close(user->fd);
	release_chardev(user);
	return rc;
}

// From one that hangs or sends nonsense, another one is not expected.
static void on_lost(void *owner, bool again)
{
	struct netdev_vhost_user *user = owner;
	struct netdev *netdev = &user->netdev;

	netdev->has_ended = true;
	machine_net_peer_gone(netdev->obj.machine, &netdev->obj);
	send_event(user, MACHINE_EVENT_NETDEV_VHOST_USER_DISCONNECTED);
	if (again)
		drop_peer(user);
}

// ---- the netdev

static int connect_peer(struct netdev_vhost_user *user, const struct netdev_vhost_user_config *cfg,
                        struct vpmem_error *err)
{
	struct machine *m = user->netdev.obj.machine;
	const struct vhost_user_net_options opts = {
		.id = cfg->obj.id, .npairs = cfg->queues, .loop = &m->loop, .lost = on_lost, .owner = user
	};
	struct vhost_user_net *net;
	int rc, fd = user->fd;

	user->fd = -1;
	// It waits for answers of the back end. Nobody else knows of the netdev yet.
	pthread_mutex_unlock(&m->lock);
	rc = vhost_user_net_open(&opts, fd, &net, err);
	pthread_mutex_lock(&m->lock);
	if (rc < 0)
		return rc;
	rc = vhost_user_net_watch(net);
	if (rc < 0) {
		vhost_user_net_close(net);
		return error_set(err, rc, "cannot set up netdev '%s': %s", cfg->obj.id, strerror(-rc));
	}
	user->netdev.vhost_user = net;
	user->netdev.npairs = cfg->queues;
	return 0;
}

// The card has stopped: it has no link any more.
static void user_end(struct netdev *netdev)
{
	vhost_user_net_disconnect(netdev->vhost_user);
	release_chardev((struct netdev_vhost_user *)netdev);
}

static int user_create(struct object *obj, struct vpmem_error *err)
{
	struct netdev_vhost_user *user = (struct netdev_vhost_user *)obj;
	const struct netdev_vhost_user_config *cfg = object_config_as(obj->cfg, &netdev_vhost_user_type);
	int rc = machine_vhost_user_check_ram(obj->machine, err);

	user->fd = -1;
	if (rc == 0)
		rc = claim_chardev(user, cfg->chardev, err);
	if (rc < 0)
		return rc;
	rc = connect_peer(user, cfg, err);
	if (rc < 0) {
		release_chardev(user);
		return rc;
	}
	user->netdev.end = user_end;
	send_event(user, MACHINE_EVENT_NETDEV_VHOST_USER_CONNECTED);
	return 0;
}

static int user_destroy(struct object *obj, struct vpmem_error *err)
{
	struct netdev *netdev = (struct netdev *)obj;

	(void)err;
	vhost_user_net_close(netdev->vhost_user);
	release_chardev((struct netdev_vhost_user *)netdev);
	return 0;
}

const struct object_kind netdev_vhost_user_kind = {
	.type = &netdev_vhost_user_type,
	.size = sizeof(struct netdev_vhost_user),
	.create = user_create,
	.destroy = user_destroy,
};
