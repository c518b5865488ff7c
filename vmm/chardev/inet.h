// SPDX-License-Identifier: Apache-2.0
/*
 * inet.h - TCP addresses as numbers, and their sockets. There is no name service: it would wait for other hosts.
 */
#ifndef PMVM_INET_H
#define PMVM_INET_H

#include <sys/socket.h>

struct inet_addr {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* The host is an IPv4 or IPv6 address or "localhost"; NULL or "": 127.0.0.1. The port is a number. -EINVAL. */
int inet_parse(const char *host, const char *port, struct inet_addr *out);

/* A non-blocking socket for this address, or for one in the file system; TCP sends small writes at once. Or -errno. */
int inet_socket(const struct inet_addr *addr);

/* A non-blocking socket that listens, and whose peers also get small writes at once. 0 or -errno. */
int inet_listen(const struct inet_addr *addr, int backlog, int *out_fd);

/* The port of a socket that listens. */
unsigned inet_port(int fd);

#endif
