// SPDX-License-Identifier: Apache-2.0
/* machine_net.h - virtio-net-pci: the network cards of the machine. */
#ifndef PMVM_MACHINE_NET_H
#define PMVM_MACHINE_NET_H

struct machine;
struct object;

/* The netdev that a card has was deleted, or has ended: the card has no link from now on. */
void machine_net_peer_gone(struct machine *m, const struct object *netdev);

#endif
