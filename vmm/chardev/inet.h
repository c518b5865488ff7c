// SPDX-License-Identifier: Apache-2.0
/*
 * inet.h - TCP addresses as numbers, and their sockets. There is no name service: it would wait for other hosts.
 */
#ifndef PMVM_INET_H
#define PMVM_INET_H

#include "broker.h"

#include <stdbool.h>
#include <sys/socket.h>

struct inet_addr {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* The host is an IPv4 or IPv6 address or "localhost"; NULL or "": 127.0.0.1. The port is a number. -EINVAL. */
int inet_parse(const char *host, const char *port, struct inet_addr *out);

/* For an operation: 0; -EINVAL: it is no address of IPv4, IPv6 or the file system; -EACCES: it is not permitted. */
int inet_check(const struct inet_addr *addr);

/* A non-blocking socket that listens, and whose peers get small writes at once, with its port. 0 or -errno. */
int inet_listen(const struct inet_addr *addr, int backlog, int *out_fd, unsigned *port, bool *is_denied);
extern const struct broker_op inet_listen_op;

/*
 * A non-blocking stream socket that is connected to this address, or to one in the file system; TCP sends small writes at
 * once. 0; -EINPROGRESS: it will be; another -errno: there is none. *is_denied: the sandbox does not permit the address.
 */
int inet_connect(const struct inet_addr *addr, int *out_fd, bool *is_denied);
extern const struct broker_op inet_connect_op;

#endif
