// SPDX-License-Identifier: Apache-2.0
// TCP addresses as numbers, and sockets that listen there.
#include "inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
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

int inet_socket(const struct inet_addr *addr)
{
	int on = 1, fd = socket(addr->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && addr->addr.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd < 0 ? -errno : fd;
}

int inet_listen(const struct inet_addr *addr, int backlog, int *out_fd)
{
	int on = 1, rc = 0, fd = inet_socket(addr);

	if (fd < 0)
		return fd;
	// The port of a program that has just ended is free at once.
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&addr->addr, addr->len) < 0 || listen(fd, backlog) < 0) {
		rc = -errno;
		close(fd);
	} else {
		*out_fd = fd;
	}
	return rc;
}

unsigned inet_port(int fd)
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
