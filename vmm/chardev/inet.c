// SPDX-License-Identifier: Apache-2.0
// TCP addresses as numbers, and sockets that listen there or connect.
#include "inet.h"

#include "permit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int parse_port(const char *text, in_port_t *port)
{
	unsigned num = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		num = num * 10 + (unsigned)(*text - '0');
		if (num > UINT16_MAX)
			return -EINVAL;
	}
	*port = htons((uint16_t)num);
	return 0;
}

int inet_parse(const char *host, const char *port, struct inet_addr *out)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	in_port_t num;

	if (!host || !*host || strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (parse_port(port, &num) < 0)
		return -EINVAL;
	*out = (struct inet_addr) { .len = 0 };
	in4.sin_port = in6.sin6_port = num;
	if (inet_pton(AF_INET, host, &in4.sin_addr) == 1) {
		memcpy(&out->addr, &in4, sizeof(in4));
		out->len = sizeof(in4);
	} else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		memcpy(&out->addr, &in6, sizeof(in6));
		out->len = sizeof(in6);
	}
	return out->len > 0 ? 0 : -EINVAL;
}

int inet_check(const struct inet_addr *addr)
{
	const sa_family_t family = addr->addr.ss_family;
	socklen_t len = family == AF_INET  ? sizeof(struct sockaddr_in) :
	                family == AF_INET6 ? sizeof(struct sockaddr_in6) :
	                family == AF_UNIX  ? sizeof(struct sockaddr_un) :
	                                     0;
	struct sockaddr_un un;

	memcpy(&un, &addr->addr, sizeof(un));
	if (len == 0 || addr->len != len || (family == AF_UNIX && !memchr(un.sun_path, '\0', sizeof(un.sun_path))))
		return -EINVAL;
	if (family == AF_UNIX && un.sun_path[0])
		return permit_check(un.sun_path);
	return permit_address((const struct sockaddr *)&addr->addr, addr->len) ? 0 : -EACCES;
}

static int make_socket(const struct inet_addr *addr)
{
	int on = 1, fd = socket(addr->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && addr->addr.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd < 0 ? -errno : fd;
}

// ---- listening

struct listen_in {
	struct inet_addr addr;
	int backlog;
};

struct listen_out {
	unsigned port;
};

static unsigned port_of(int fd)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	(void)!getsockname(fd, (struct sockaddr *)&addr, &len);
	memcpy(&in4, &addr, sizeof(in4));
	memcpy(&in6, &addr, sizeof(in6));
	return ntohs(addr.ss_family == AF_INET6 ? in6.sin6_port : in4.sin_port);
}

static int serve_listen(struct broker_call *call)
{
	const struct listen_in *in = call->in;
	struct listen_out *out = call->out;
	int on = 1, fd, rc = inet_check(&in->addr);

	if (rc == 0 && (in->addr.addr.ss_family == AF_UNIX || in->backlog < 0 || in->backlog > SOMAXCONN))
		rc = -EINVAL;
	if (rc < 0)
		return rc;
	fd = make_socket(&in->addr);
	if (fd < 0)
		return fd;
	// The port of a program that has just ended is free at once.
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&in->addr.addr, in->addr.len) < 0 || listen(fd, in->backlog) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	out->port = port_of(fd);
	call->fds[call->nfds++] = fd;
	return 0;
}

const struct broker_op inet_listen_op = {
	.name = "listen on a port",
	.in_size = sizeof(struct listen_in),
	.out_size = sizeof(struct listen_out),
	.serve = serve_listen,
};

int inet_listen(const struct inet_addr *addr, int backlog, int *out_fd, unsigned *port, bool *is_denied)
{
	const struct listen_in in = { .addr = *addr, .backlog = backlog };
	struct listen_out out;
	struct broker_call call = { .in = &in, .out = &out };
	int rc = broker_call(&inet_listen_op, &call);

	*is_denied = call.is_denied;
	if (rc == 0) {
		*out_fd = call.fds[0];
		*port = out.port;
	}
	return rc;
}

// ---- connecting

struct connect_out {
	bool in_progress;
};

static int serve_connect(struct broker_call *call)
{
	const struct inet_addr *addr = call->in;
	struct connect_out *out = call->out;
	int fd, rc = inet_check(addr);

	if (rc < 0)
		return rc;
	fd = make_socket(addr);
	if (fd < 0)
		return fd;
	rc = connect(fd, (const struct sockaddr *)&addr->addr, addr->len) < 0 ? -errno : 0;
	if (rc < 0 && rc != -EINPROGRESS) {
		close(fd);
		return rc;
	}
	out->in_progress = rc < 0;
	call->fds[call->nfds++] = fd;
	return 0;
}

const struct broker_op inet_connect_op = {
	.name = "connect",
	.in_size = sizeof(struct inet_addr),
	.out_size = sizeof(struct connect_out),
	.serve = serve_connect,
};

int inet_connect(const struct inet_addr *addr, int *out_fd, bool *is_denied)
{
	struct connect_out out;
	struct broker_call call = { .in = addr, .out = &out };
	int rc = broker_call(&inet_connect_op, &call);

	*is_denied = call.is_denied;
	if (rc < 0)
		return rc;
	*out_fd = call.fds[0];
	return out.in_progress ? -EINPROGRESS : 0;
}
