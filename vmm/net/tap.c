// SPDX-License-Identifier: Apache-2.0
// A tap: a network interface of the host, whose frames a program sends and receives.
#include "tap.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICE_FILE "/dev/net/tun"
#define HEADER_SIZE ((int)sizeof(struct virtio_net_hdr_mrg_rxbuf)) /* of a device with VIRTIO_F_VERSION_1 */
#define BIT(n) (UINT64_C(1) << (n))

struct tap {
	char ifname[IFNAMSIZ];
	unsigned nqueues;
	int fds[TAP_QUEUES_MAX];
	bool has_header;
	uint64_t offloads;  /* that it can do */
	unsigned tun_flags; /* TUN_F_*, as set */
	unsigned nattached; /* queues that get frames */
};

static const struct {
	uint64_t feature;
	unsigned tun;
} offloads[] = {
	{ BIT(VIRTIO_NET_F_GUEST_CSUM), TUN_F_CSUM },
	{ BIT(VIRTIO_NET_F_GUEST_TSO4), TUN_F_TSO4 },
	{ BIT(VIRTIO_NET_F_GUEST_TSO6), TUN_F_TSO6 },
	{ BIT(VIRTIO_NET_F_GUEST_ECN), TUN_F_TSO_ECN },
};
#define NOFFLOADS (sizeof(offloads) / sizeof(offloads[0]))

/* ---- opening ---------------------------------------------------------------------------------------------- */

static int configure_error(int rc, const struct tap_options *opts, struct vpmem_error *err)
{
	const char *ifname = opts->ifname ? opts->ifname : "tap%d";
	const char *multi = opts->nqueues > 1 ? " multi_queue" : "";

	error_set(err, rc, "could not configure " DEVICE_FILE " (%s): %s", ifname, strerror(-rc));
	if (rc == -EPERM || rc == -EACCES)
		error_hint(err, "let root make it for you before: ip tuntap add dev %s mode tap user $USER%s",
		           opts->ifname ? opts->ifname : "tap0", multi);
	else if (rc == -EBUSY)
		error_hint(err, "another program has it: give this machine an interface of its own");
	else if (rc == -EINVAL)
		error_hint(err, "an interface of this name exists, and is no tap with %s",
		           *multi ? "several queues: it "
		                    "needs multi_queue" :
		                    "one queue: it was made with multi_queue, or as a tun");
	return rc;
}

struct queue_in {
	char ifname[IFNAMSIZ];                  /* "": the kernel chooses the name */
	unsigned has_header, is_one_of_several; /* 0 or 1 */
};

struct queue_out {
	char ifname[IFNAMSIZ];
	bool is_open; /* the device's file; on failure it is closed again */
};

static int serve_queue(struct broker_call *call)
{
	const struct queue_in *in = call->in;
	struct queue_out *out = call->out;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd, rc;

	if (!memchr(in->ifname, '\0', sizeof(in->ifname)))
		return -EINVAL;
	fd = open(DEVICE_FILE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	out->is_open = true;
	if (in->has_header)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (in->is_one_of_several)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	strcpy(ifr.ifr_name, in->ifname);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	memcpy(out->ifname, ifr.ifr_name, IFNAMSIZ);
	call->fds[call->nfds++] = fd;
	return 0;
}

const struct broker_op tap_queue_op = {
	.name = "tap",
	.in_size = sizeof(struct queue_in),
	.out_size = sizeof(struct queue_out),
	.serve = serve_queue,
};

static int open_error(int rc, struct vpmem_error *err)
{
	error_set(err, rc, "could not open " DEVICE_FILE ": %s", strerror(-rc));
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		error_hint(err, "load the module: sudo modprobe tun");
	else if (rc == -EACCES)
		error_hint(err, "its user needs access, and with -sandbox it has to be there when the machine starts");
	return rc;
}

static int open_queue(struct tap *tap, const struct tap_options *opts, unsigned idx, struct vpmem_error *err)
{
	struct queue_in in = { .has_header = tap->has_header, .is_one_of_several = tap->nqueues > 1 };
	struct queue_out out = { .is_open = false };
	struct broker_call call = { .in = &in, .out = &out };
	int rc;

	/* The first queue has chosen the name for all. */
	if (idx > 0)
		strcpy(in.ifname, tap->ifname);
	else if (opts->ifname)
		strcpy(in.ifname, opts->ifname);
	rc = broker_call(&tap_queue_op, &call);
	if (rc < 0)
		return out.is_open ? configure_error(rc, opts, err) : open_error(rc, err);
	tap->fds[idx] = call.fds[0];
	memcpy(tap->ifname, out.ifname, IFNAMSIZ);
	return 0;
}

/* A descriptor that the user opened and configured. */
static int take_queue(struct tap *tap, const struct tap_options *opts, unsigned idx, struct vpmem_error *err)
{
	int fd = opts->fds[idx], flags = fcntl(fd, F_GETFL), rc;
	struct ifreq ifr = { .ifr_flags = 0 };
	bool has_header;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    ioctl(fd, TUNGETIFF, &ifr) < 0) {
		rc = -errno;
		error_set(err, rc, "fd=%d: TUNGETIFF ioctl() failed: %s", fd, strerror(-rc));
		error_hint(err, "it must be a descriptor of a tap that this process inherited");
		return rc;
	}
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return error_set(err, -EINVAL, "fd=%d: %.15s is no tap without packet information (IFF_TAP, IFF_NO_PI)",
		                 fd, ifr.ifr_name);
	has_header = ifr.ifr_flags & IFF_VNET_HDR;
	if (idx > 0 && (has_header != tap->has_header || strncmp(tap->ifname, ifr.ifr_name, IFNAMSIZ) != 0)) {
		error_set(err, -EINVAL, "fd=%d: not a queue of the same tap", fd);
		error_hint(err, "all descriptors of fds must be of one tap, with or without IFF_VNET_HDR");
		return -EINVAL;
	}
	tap->fds[idx] = fd;
	tap->has_header = has_header;
	memcpy(tap->ifname, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

/* The largest set that this kernel knows: it takes all of what it is given, or nothing. */
static void probe_offloads(struct tap *tap)
{
	unsigned flags = 0;

	for (unsigned i = 0; i < NOFFLOADS; i++) {
		if (ioctl(tap->fds[0], TUNSETOFFLOAD, (unsigned long)(flags | offloads[i].tun)) < 0)
			continue;
		flags |= offloads[i].tun;
		tap->offloads |= offloads[i].feature;
	}
	(void)ioctl(tap->fds[0], TUNSETOFFLOAD, 0ul);
}

static int set_header(const struct tap *tap, struct vpmem_error *err)
{
	int size = HEADER_SIZE;

	for (unsigned i = 0; i < tap->nqueues; i++)
		if (ioctl(tap->fds[i], TUNSETVNETHDRSZ, &size) < 0)
			return error_set(err, -errno, "%s: TUNSETVNETHDRSZ ioctl() failed: %s", tap->ifname,
			                 strerror(errno));
	return 0;
}

static void tap_free(struct tap *tap, unsigned nowned)
{
	for (unsigned i = 0; i < nowned; i++)
		if (tap->fds[i] >= 0)
			close(tap->fds[i]);
	free(tap);
}

int tap_open(const struct tap_options *opts, struct tap **out, struct vpmem_error *err)
{
	struct tap *tap;
	int rc = 0;

	if (opts->ifname && strlen(opts->ifname) >= IFNAMSIZ)
		return error_set(err, -EINVAL, "ifname '%.64s' is too long: at most %d characters", opts->ifname,
		                 IFNAMSIZ - 1);
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return error_set(err, -ENOMEM, "tap: out of memory");
	for (unsigned i = 0; i < TAP_QUEUES_MAX; i++)
		tap->fds[i] = -1;
	tap->nqueues = tap->nattached = opts->nqueues;
	tap->has_header = !opts->no_header;
	for (unsigned i = 0; i < opts->nqueues && rc == 0; i++)
		rc = opts->fds ? take_queue(tap, opts, i, err) : open_queue(tap, opts, i, err);
	if (rc == 0 && tap->has_header)
		rc = set_header(tap, err);
	if (rc) {
		tap_free(tap, opts->fds ? 0 : opts->nqueues);
		return rc;
	}
	if (tap->has_header)
		probe_offloads(tap);
	*out = tap;
	return 0;
}

void tap_close(struct tap *tap)
{
	if (tap)
		tap_free(tap, tap->nqueues);
}

/* ---- what it is, and what it does ------------------------------------------------------------------------------ */

const char *tap_ifname(const struct tap *tap)
{
	return tap->ifname;
}

unsigned tap_nqueues(const struct tap *tap)
{
	return tap->nqueues;
}

bool tap_has_header(const struct tap *tap)
{
	return tap->has_header;
}

int tap_fd(const struct tap *tap, unsigned idx)
{
	return tap->fds[idx];
}

uint64_t tap_offloads(const struct tap *tap)
{
	return tap->offloads;
}

int tap_set_offloads(struct tap *tap, uint64_t features)
{
	unsigned flags = 0;

	for (unsigned i = 0; i < NOFFLOADS; i++)
		if (features & offloads[i].feature)
			flags |= offloads[i].tun;
	if (!(flags & TUN_F_CSUM))
		flags = 0; /* a large frame has no checksum yet */
	if (flags == tap->tun_flags)
		return 0;
	/* It is a setting of the interface, not of the queue. */
	if (ioctl(tap->fds[0], TUNSETOFFLOAD, (unsigned long)flags) < 0)
		return -errno;
	tap->tun_flags = flags;
	return 0;
}

static int set_queue(const struct tap *tap, unsigned idx, bool attached)
{
	struct ifreq ifr = { .ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(tap->fds[idx], TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

int tap_set_queues(struct tap *tap, unsigned n)
{
	int rc = 0;

	while (rc == 0 && tap->nattached < n)
		if ((rc = set_queue(tap, tap->nattached, true)) == 0)
			tap->nattached++;
	while (rc == 0 && tap->nattached > n)
		if ((rc = set_queue(tap, tap->nattached - 1, false)) == 0)
			tap->nattached--;
	return rc;
}
