// SPDX-License-Identifier: Apache-2.0
/*
 * transport.h - how a guest reaches its keeper: vsock. The tests have another way.
 */
#ifndef PMVM_OCI_TRANSPORT_H
#define PMVM_OCI_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

struct sockaddr_storage;

struct transport {
	int listener_fd;
	unsigned port;
	uint32_t cid; /* of the guest */
	int vhost_fd; /* /dev/vhost-vsock with that cid, for pmvm */
	/* The port of who has connected to listener_fd. False: it is not the guest. */
	bool (*port_of)(const struct transport *transport, const struct sockaddr_storage *peer, uint32_t *port);
};

/* *transport is set on success, and its descriptors are the caller's. */
typedef int transport_open(struct transport *transport, struct vpmem_error *err);

/* Finds a cid that no other machine of this host has. */
transport_open transport_open_vsock;

#endif
