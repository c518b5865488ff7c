// SPDX-License-Identifier: Apache-2.0
/*
 * nics.h - the network interfaces of a machine whose container has a network namespace of its own.
 *
 *     network namespace of the container
 *     +-------------------------------------------+
 *     |  eth0  --- all frames, both directions ---> pmvm-tap0 -- descriptor --> pmvm: a NIC of the guest
 *     +-------------------------------------------+
 *
 * A *link* is an interface that the engine put into the namespace: eth0, with addresses, routes, a hardware address. It keeps
 * them, so that the engine sees what it made. A *tap* is ours, in the same namespace. A *mirror* is a pair of filters of
 * the traffic control (ingress, u32, mirred redirect): each frame that the link receives leaves by the tap, and each frame
 * that the guest sends leaves by the link. The host's own protocols get none, ARP included, so the guest alone answers
 * for the addresses.
 *
 * An engine may fill the namespace after create and before start (rootless engines do): nics_make makes taps for the
 * links that are there, and one if there is none; nics_join reads the namespace at start.
 *
 * One machine can be in a namespace, as two cannot answer for one address: nics_make locks the namespace until nics_fini,
 * or the end of the process. What a machine leaves that was killed is removed by the next one, or by nics_clean.
 *
 * All functions are called from one thread. What they do in the namespace is done by another one that ends with the call.
 * They return 0 or -errno, with the text in err.
 */
#ifndef PMVM_OCI_NICS_H
#define PMVM_OCI_NICS_H

#include <vpmem.h>

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

#define NICS_MAX 8u

/*
 * The descriptors are ours (O_CLOEXEC), for "-netdev tap,id=ID,fd=FD[,vhost=on,vhostfd=FD]" with
 * "-device virtio-net-pci,netdev=ID,mac=GUEST_MAC": a child that gets them inherits them by fcntl or dup2. The tap lives as
 * long as one copy is open: nics_release closes ours when pmvm has its own.
 */
struct nic {
	int tap_fd;               /* IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
	int vhost_fd;             /* -1: /dev/vhost-net is not there, or may not be opened */
	char tap_name[IFNAMSIZ];  /* in the namespace */
	char link_name[IFNAMSIZ]; /* "": none yet */
	int link_idx;             /* interface index of the link; 0: none yet */
	uint8_t guest_mac[6];     /* for mac= of the device */
};

/* Zeros, netns_fd -1: as nics_init leaves it, and what nics_fini and nics_release accept. */
struct nics {
	struct nic nics[NICS_MAX];
	size_t n;
	int netns_fd; /* locked; -1: no network */
};

void nics_init(struct nics *nics);

/*
 * At create, for a namespace that has no path yet: makes it, with one tap for what the engine puts into it. The engine finds
 * the namespace as that of the keeper, which has to enter it. On failure *nics is as after nics_init.
 */
int nics_make_namespace(struct nics *nics, struct vpmem_error *err);

/*
 * At create. netns_path NULL: no network, n is 0. Refused: our own namespace, which is the host's network; one that holds a
 * machine that lives (-EBUSY, the text names netns_path and says "not supported"); more than NICS_MAX links. On failure
 * *nics is as after nics_init.
 */
int nics_make(const char *netns_path, struct nics *nics, struct vpmem_error *err);

/*
 * At start. Makes the mirrors, and *network, which the caller owns: what the agent needs to configure the guest's NICs.
 *
 *     {"interfaces": [{"name": "eth0", "mac": GUEST_MAC, "hwaddr": "52:54:...", "mtu": 1500, "up": true,
 *                      "sysctl": {"accept_ra": "0", ...},          of net/ipv6/conf/NAME; absent without IPv6
 *                      "addresses": [{"address": "10.88.0.2", "prefix": 16, ...}]}],
 *      "unused": [GUEST_MAC, ...],
 *      "routes": [{"to": "0.0.0.0/0", "nexthops": [{"via": "10.88.0.1", "interface": "eth0"}], ...}],
 *      "neighbours": [{"address": "10.88.0.1", "hwaddr": "02:...", "interface": "eth0"}]}
 *
 * agent_net.h has the whole list. Without network *network has empty lists. Refused: more links than taps; a link
 * that is up and has no Ethernet frames; a link upon another one of the namespace (VLAN, macvlan). On failure no mirror is left.
 */
int nics_join(struct nics *nics, struct json_object **network, struct vpmem_error *err);

/* Closes our copies of the descriptors, in the process that gave them to pmvm, or that does not need them. Keeps the mirrors. */
void nics_release(struct nics *nics);

/* Removes the mirrors, closes everything, and unlocks the namespace. */
void nics_fini(struct nics *nics);

/*
 * At delete, after a machine that was killed: removes its mirrors from the namespace. 0 also where the namespace is gone,
 * NULL, or has a machine that lives.
 */
int nics_clean(const char *netns_path, struct vpmem_error *err);

#endif
