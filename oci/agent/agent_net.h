// SPDX-License-Identifier: Apache-2.0
/*
 * agent_net.h - the guest's network: it becomes what the container's network namespace is on the host.
 *
 *     {"interfaces": [{"name": "eth0",                 as it is called in the container
 *                      "mac": "52:54:00:12:34:56",     which NIC it is: the hardware address that the device has
 *                      "hwaddr": "02:42:...",          which it gets
 *                      "mtu": 1500, "up": true,
 *                      "sysctl": {"accept_ra": "0"},   of net/ipv6/conf/NAME
 *                      "addresses": [{"address": "10.88.0.2", "prefix": 16, "scope": 0,
 *                                     "peer": "...", "broadcast": "...", "label": "eth0:1", "noprefixroute": true,
 *                                     "valid": 3600, "preferred": 1800}]}],
 *      "unused": ["52:54:00:12:34:57"],                NICs that the container does not see
 *      "routes": [{"to": "0.0.0.0/0", "type": 1, "scope": 0, "protocol": 3, "priority": 100, "tos": 0,
 *                  "metrics": {"2": 1400}, "src": "...",
 *                  "nexthops": [{"interface": "eth0", "via": "10.88.0.1", "weight": 1, "onlink": true}]}],
 *      "neighbours": [{"address": "10.88.0.1", "hwaddr": "02:...", "interface": "eth0"}]}
 *
 * Numbers are those of linux/rtnetlink.h. What an entry does not say is absent: it has the kernel's default.
 */
#ifndef PMVM_OCI_AGENT_NET_H
#define PMVM_OCI_AGENT_NET_H

#include <vpmem.h>

struct json_object;

/*
 * Brings lo up and configures the NICs as network says; NULL: lo alone. /proc and /sys are mounted, the driver is loaded.
 * 0, or -errno with a text that names the entry. What was configured until then stays.
 */
int agent_net_configure(struct json_object *network, struct vpmem_error *err);

#endif
