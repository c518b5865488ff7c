// SPDX-License-Identifier: Apache-2.0
/*
 * links.h - the interfaces of a network namespace that a machine gets: those with Ethernet frames that the engine made.
 *
 * Left out: loopback, our taps, ports of a bridge or bond of the namespace (the bridge itself is one of them), and what the
 * kernel puts into each namespace by itself (sit0, tunl0: down, without Ethernet frames).
 */
#ifndef PMVM_OCI_LINKS_H
#define PMVM_OCI_LINKS_H

#include "nics.h"

#include <stdbool.h>

#define TAP_NAME "pmvm-tap" /* of each of our taps, a number follows */

struct nl_sock;

struct link {
	int idx;
	char name[IFNAMSIZ]; /* printable ASCII without blanks */
	uint8_t hwaddr[6];
	unsigned mtu;
	bool is_up;
	uint8_t guest_mac[6]; /* of the NIC that it is joined with; the caller's */
};

/* In the order of their indices. Refuses what cannot be joined, by name; more than NICS_MAX are one such thing. */
int links_read(struct nl_sock *sock, struct link links[NICS_MAX], size_t *nlinks, struct vpmem_error *err);

/* NULL: none of them has this index. */
const char *link_name(const struct link *links, size_t nlinks, int link_idx);

#endif
