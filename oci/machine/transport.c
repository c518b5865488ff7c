// SPDX-License-Identifier: Apache-2.0
// vsock: a port of the host, and a number for the guest.
#include "transport.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE "/dev/vhost-vsock"
#define CID_MIN 1024u /* below are numbers that people choose */
#define CID_MAX 0x7ffffffeu
#define TRIES 16u
#define BACKLOG \
	128 /* processes of the container can connect as well: until we close them, the agent has to find a place */

// Numbers are random, so that a machine does not get that of another one that has just ended, and its packets.
static int choose_cid(int vhost_fd, uint32_t *cid)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t random;
		uint64_t number;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return -errno;
		*cid = CID_MIN + random % (CID_MAX - CID_MIN);
		number = *cid;
		if (ioctl(vhost_fd, VHOST_VSOCK_SET_GUEST_CID, &number) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

// On a port that the kernel chooses. The descriptor, or -errno.
static int listen_vsock(unsigned *port, struct vpmem_error *err)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY };
	socklen_t len = sizeof(addr);
	int rc, fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)&addr, &len) == 0) {
		*port = addr.svm_port;
		return fd;
	}
	rc = error_set(err, -errno, "vsock: %s", strerror(errno));
	error_hint(err, "load the module: modprobe vhost_vsock");
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool port_of_vsock(const struct transport *transport, const struct sockaddr_storage *peer, uint32_t *port)
{
	struct sockaddr_vm addr;

	memcpy(&addr, peer, sizeof(addr));
	*port = addr.svm_port;
	return addr.svm_family == AF_VSOCK && addr.svm_cid == transport->cid;
}

int transport_open_vsock(struct transport *transport, struct vpmem_error *err)
{
	int rc;

	transport->port_of = port_of_vsock;
	transport->vhost_fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (transport->vhost_fd < 0) {
		rc = -errno;
		// podman takes the system's words for a program that is missing in the image, and its status for 127.
		error_set(err, rc, DEVICE ": %s", rc == -ENOENT ? "the host does not have it" : strerror(-rc));
		error_hint(err, "load the module: modprobe vhost_vsock");
		return rc;
	}
	rc = choose_cid(transport->vhost_fd, &transport->cid);
	if (rc < 0)
		error_set(err, rc, DEVICE ": no number for the guest: %s", strerror(-rc));
	else
		transport->listener_fd = rc = listen_vsock(&transport->port, err);
	if (rc >= 0)
		return 0;
	close(transport->vhost_fd);
	return rc;
}
