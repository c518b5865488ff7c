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
	struct inet_addr dest;
	struct net_remote remote; /* of a path */
	char *path;               /* of the socket that was made; NULL: none */
	struct file_id path_id;
};

static int unix_address(const char *path, struct inet_addr *out, struct vpmem_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, -ENAMETOOLONG, "UNIX socket path '%.200s' is too long", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	*out = (struct inet_addr) { .len = sizeof(addr) };
	memcpy(&out->addr, &addr, sizeof(addr));
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

enum bind_step { BIND_SOCKET, BIND_ADDRESS, BIND_PATH };

struct bind_out {
	struct file_id path_id;
	enum bind_step step; /* on failure: which one failed */
};

static int bind_address(int fd, const struct inet_addr *addr, struct bind_out *out)
{
	struct sockaddr_un un;
	int on = 1;

	memcpy(&un, &addr->addr, sizeof(un));
	out->step = BIND_ADDRESS;
	if (un.sun_family == AF_UNIX)
		remove_stale(un.sun_path);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&addr->addr, addr->len) < 0)
		return -errno;
	out->step = BIND_PATH;
	return un.sun_family == AF_UNIX ? file_id_at(AT_FDCWD, un.sun_path, &out->path_id) : 0;
}

static int add_socket(const struct inet_addr *addr, struct broker_call *call)
{
	struct bind_out *out = call->out;
	int rc, fd = socket(addr->addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	out->step = BIND_SOCKET;
	if (fd < 0)
		return -errno;
	rc = bind_address(fd, addr, out);
	if (rc < 0)
		close(fd);
	else
		call->fds[call->nfds++] = fd;
	return rc;
}

static int serve_bind(struct broker_call *call)
{
	const struct inet_addr *addr = call->in;
	struct bind_out *out = call->out;
	int rc = inet_check(addr);

	if (rc < 0) {
		out->step = BIND_ADDRESS;
		return rc;
	}
	rc = add_socket(addr, call);
	// The second one takes the path of the first one, which keeps the name.
	if (rc == 0 && addr->addr.ss_family == AF_UNIX) {
		rc = add_socket(addr, call);
		if (rc < 0)
			close(call->fds[--call->nfds]);
	}
	return rc;
}

const struct broker_op net_dgram_bind_op = {
	.name = "bind",
	.in_size = sizeof(struct inet_addr),
	.out_size = sizeof(struct bind_out),
	.serve = serve_bind,
};

static int bind_error(int rc, const struct net_dgram_address *local, enum bind_step step, struct vpmem_error *err)
{
	if (step == BIND_SOCKET)
		return error_set(err, rc, "can't create datagram socket: %s", strerror(-rc));
	if (step == BIND_PATH)
		return error_set(err, rc, "%s: %s", local->path, strerror(-rc));
	if (local->path)
		return error_set(err, rc, "can't bind unix=%s to socket: %s", local->path, strerror(-rc));
	return error_set(err, rc, "can't bind ip=%s to socket: %s", local->host, strerror(-rc));
}

static int bind_local(struct net_dgram *d, const struct net_dgram_address *local, int *family, struct vpmem_error *err)
{
	struct inet_addr addr;
	struct bind_out out = { .step = BIND_SOCKET };
	struct broker_call call = { .in = &addr, .out = &out };
	int rc = address(local, &addr, err);

	if (rc < 0)
		return rc;
	*family = addr.addr.ss_family;
	rc = broker_call(&net_dgram_bind_op, &call);
	if (rc < 0) {
		bind_error(rc, local, out.step, err);
		broker_hint(&call, local->path, err);
		return rc;
	}
	d->fd = call.fds[call.nfds - 1];
	d->remote.fd = call.nfds > 1 ? call.fds[0] : -1;
	d->path_id = out.path_id;
	d->path = local->path ? strdup(local->path) : NULL;
	if (!local->path || d->path)
		return 0;
	file_id_unlink(&d->path_id, local->path);
	return error_set(err, -ENOMEM, "%s: %s", local->path, strerror(ENOMEM));
}

static int check_remote(const struct net_dgram *d, int family, struct vpmem_error *err)
{
	struct sockaddr_in in4;

	memcpy(&in4, &d->dest.addr, sizeof(in4));
	if (d->dest.addr.ss_family == AF_INET && IN_MULTICAST(ntohl(in4.sin_addr.s_addr))) {
		error_set(err, -ENOTSUP, "a remote address that is a group is not supported");
		error_hint(err, "give the address of one host");
		return -ENOTSUP;
	}
	if (d->dest.addr.ss_family == family)
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

static int open_remote(struct net_dgram *d, const char *path, struct vpmem_error *err)
{
	struct broker_call call;
	int rc = net_remote_open(&d->remote, &d->dest, d->remote.fd, d->fd, &call);

	if (rc < 0) {
		error_set(err, rc, "can't connect socket to unix=%s: %s", path, strerror(-rc));
		broker_hint(&call, path, err);
		return rc;
	}
	d->port.remote = &d->remote;
	return 0;
}

static int open_socket(struct net_dgram *d, const struct net_dgram_options *opts, struct vpmem_error *err)
{
	int rc, family;

	if (opts->local.fd)
		return take_fd(d, opts->local.fd, err);
	rc = address(&opts->remote, &d->dest, err);
	if (rc == 0)
		rc = bind_local(d, &opts->local, &family, err);
	if (rc == 0)
		rc = check_remote(d, family, err);
	if (rc == 0 && opts->remote.path)
		return open_remote(d, opts->remote.path, err);
	d->port.dest_addr = (const struct sockaddr *)&d->dest.addr;
	d->port.dest_len = d->dest.len;
	return rc;
}

int net_dgram_open(const struct net_dgram_options *opts, struct net_dgram **out, struct vpmem_error *err)
{
	struct net_dgram *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return error_set(err, -ENOMEM, "netdev: out of memory");
	d->fd = d->remote.fd = -1;
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
	net_remote_close(&d->remote);
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
