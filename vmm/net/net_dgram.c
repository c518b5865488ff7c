// SPDX-License-Identifier: Apache-2.0
// A network back end on a socket of datagrams.
#include "net_dgram.h"

#include "error.h"
#include "file_id.h"
#include "inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct net_dgram {
	struct net_port port;
	int fd;
	struct inet_addr remote;
	char *path; /* of the socket that was made; NULL: none */
	struct file_id path_id;
};

static int unix_address(const char *path, struct inet_addr *out, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, -ENAMETOOLONG, "UNIX socket path '%.200s' is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	memcpy(&out->addr, &addr, sizeof(addr));
	out->len = sizeof(addr);
	return 0;
}

static int address(const struct net_dgram_address *from, struct inet_addr *out, struct vpmem_error *err)
{
	if (from->path)
		return unix_address(from->path, out, err);
	if (inet_parse(from->host, from->port, out) == 0)
		return 0;
	error_set(err, -EINVAL, "address resolution failed for %s:%s: not a number", from->host, from->port);
	error_hint(err, "names of hosts are not looked up: give an IPv4 or IPv6 address");
	return -EINVAL;
}

/* A socket that an earlier program left is replaced, as in QEMU; nothing else is. */
static void remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int bind_local(struct net_dgram *d, const struct net_dgram_address *local, struct vpmem_error *err)
{
	struct inet_addr addr;
	int rc = address(local, &addr, err), on = 1;

	if (rc < 0)
		return rc;
	d->fd = socket(addr.addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return error_set(err, -errno, "can't create datagram socket: %s", strerror(errno));
	if (local->path)
		remove_stale(local->path);
	else
		setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(d->fd, (const struct sockaddr *)&addr.addr, addr.len) < 0) {
		rc = -errno;
		if (local->path)
			return error_set(err, rc, "can't bind unix=%s to socket: %s", local->path, strerror(-rc));
		return error_set(err, rc, "can't bind ip=%s to socket: %s", local->host, strerror(-rc));
	}
	if (!local->path)
		return 0;
	d->path = strdup(local->path);
	rc = d->path ? file_id_at(AT_FDCWD, d->path, &d->path_id) : -ENOMEM;
	return rc ? error_set(err, rc, "%s: %s", local->path, strerror(-rc)) : 0;
}

static int check_remote(const struct net_dgram *d, int family, struct vpmem_error *err)
{
	struct sockaddr_in in4;

	memcpy(&in4, &d->remote.addr, sizeof(in4));
	if (d->remote.addr.ss_family == AF_INET && IN_MULTICAST(ntohl(in4.sin_addr.s_addr))) {
		error_set(err, -ENOTSUP, "a remote address that is a group is not supported");
		error_hint(err, "give the address of one host");
		return -ENOTSUP;
	}
	if (d->remote.addr.ss_family == family)
		return 0;
	return error_set(err, -EINVAL, "local and remote address must be of the same type");
}

static int take_fd(struct net_dgram *d, const char *text, struct vpmem_error *err)
{
	int fd = atoi(text), type = 0, flags = fcntl(fd, F_GETFL);
	socklen_t size = sizeof(type);

	if (flags < 0)
		return error_set(err, -errno, "Can't use file descriptor %d: %s", fd, strerror(errno));
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_DGRAM)
		return error_set(err, -EINVAL, "fd=%d is not a datagram socket", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, -errno, "Can't use file descriptor %d: %s", fd, strerror(errno));
	d->fd = fd;
	return 0;
}

static int open_socket(struct net_dgram *d, const struct net_dgram_options *opts, struct vpmem_error *err)
{
	int rc;

	if (opts->local.fd)
		return take_fd(d, opts->local.fd, err);
	rc = address(&opts->remote, &d->remote, err);
	if (rc == 0)
		rc = bind_local(d, &opts->local, err);
	if (rc == 0) {
		struct sockaddr_storage own = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(own);

		(void)!getsockname(d->fd, (struct sockaddr *)&own, &len);
		rc = check_remote(d, own.ss_family, err);
	}
	d->port.dest_addr = (const struct sockaddr *)&d->remote.addr;
	d->port.dest_len = d->remote.len;
	return rc;
}

int net_dgram_open(const struct net_dgram_options *opts, struct net_dgram **out, struct vpmem_error *err)
{
	struct net_dgram *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return error_set(err, -ENOMEM, "netdev: out of memory");
	d->fd = -1;
	rc = net_port_init(&d->port, NET_PORT_DATAGRAM);
	if (rc < 0) {
		free(d);
		return error_set(err, rc, "cannot set up netdev '%s': %s", opts->id, strerror(-rc));
	}
	rc = open_socket(d, opts, err);
	if (rc < 0) {
		net_dgram_close(d);
		return rc;
	}
	net_port_set_fd(&d->port, d->fd);
	*out = d;
	return 0;
}

void net_dgram_end(struct net_dgram *d)
{
	net_port_set_fd(&d->port, -1);
	if (d->path)
		file_id_unlink(&d->path_id, d->path);
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	d->path = NULL;
	d->fd = -1;
}

void net_dgram_close(struct net_dgram *d)
{
	if (!d)
		return;
	net_dgram_end(d);
	net_port_fini(&d->port);
	free(d);
}

struct net_port *net_dgram_port(struct net_dgram *d)
{
	return &d->port;
}
