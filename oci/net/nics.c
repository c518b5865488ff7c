// SPDX-License-Identifier: Apache-2.0
// The network interfaces of a machine whose container has a network namespace of its own.
#include "nics.h"

#include "error.h"
#include "links.h"
#include "mirror.h"
#include "netns.h"
#include "network.h"
#include "network_json.h"
#include "rtnl.h"
#include "tap.h"

#include <errno.h>
#include <json-c/json.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void nics_init(struct nics *nics)
{
	memset(nics, 0, sizeof(*nics));
	nics->netns_fd = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void nics_release(struct nics *nics)
{
	for (size_t i = 0; i < nics->n; i++) {
		close_fd(&nics->nics[i].tap_fd);
		close_fd(&nics->nics[i].vhost_fd);
	}
}

/* ---- what is done inside the namespace ------------------------------------------------------------------------- */

struct visit {
	/* sock belongs to the namespace. */
	int (*fn)(struct visit *visit, struct nl_sock *sock, struct vpmem_error *err);
	struct nics *nics;
	struct json_object **network;
};

static int visit_inside(void *owner, struct vpmem_error *err)
{
	struct visit *visit = owner;
	struct nl_sock *sock = rtnl_open(err);
	int rc;

	if (!sock)
		return -EIO;
	rc = visit->fn(visit, sock, err);
	nl_socket_free(sock);
	return rc;
}

/* ---- at create ---------------------------------------------------------------------------------------------------- */

/* The link's own, so that the guest does not need to change it, or a local one that nobody has. */
static void choose_mac(struct nic *nic, const struct link *link)
{
	if (link) {
		memcpy(nic->guest_mac, link->hwaddr, sizeof(nic->guest_mac));
		return;
	}
	(void)!getrandom(nic->guest_mac, sizeof(nic->guest_mac), 0); /* 256 bytes and less are never short */
	nic->guest_mac[0] = 0x02;
}

static int make_taps(struct nics *nics, const struct link *links, size_t nlinks, struct vpmem_error *err)
{
	size_t ntaps = nlinks ? nlinks : 1;
	int rc = 0;

	for (size_t i = 0; i < ntaps && rc == 0; i++) {
		const struct link *link = i < nlinks ? &links[i] : NULL;
		struct nic *nic = &nics->nics[i];

		*nic = (struct nic) { .tap_fd = -1, .vhost_fd = -1, .link_idx = link ? link->idx : 0 };
		nics->n = i + 1;
		choose_mac(nic, link);
		if (link)
			strcpy(nic->link_name, link->name);
		rc = tap_make(nic, err);
	}
	return rc;
}

static int make_inside(struct visit *visit, struct nl_sock *sock, struct vpmem_error *err)
{
	struct link links[NICS_MAX];
	size_t nlinks;
	int rc = links_read(sock, links, &nlinks, err);

	return rc ? rc : make_taps(visit->nics, links, nlinks, err);
}

static int lock(int netns_fd, const char *path, struct vpmem_error *err)
{
	int rc = netns_lock(netns_fd, path, err);

	if (rc == -EBUSY) {
		error_set(err, rc,
		          "network namespace %s: not supported: it is the network of another container, "
		          "whose machine has its addresses",
		          path);
		error_hint(err, "give each container a network of its own; containers of a pod must share one machine, "
		                "or use another runtime for them");
	}
	return rc;
}

// Drops everything after an error.
static int made(struct nics *nics, int rc)
{
	if (rc) {
		nics_release(nics);
		close(nics->netns_fd);
		nics_init(nics);
	}
	return rc;
}

int nics_make_namespace(struct nics *nics, struct vpmem_error *err)
{
	struct visit visit = { .fn = make_inside, .nics = nics };
	int fd = netns_make(err);

	nics_init(nics);
	if (fd < 0)
		return fd;
	nics->netns_fd = fd;
	return made(nics, netns_run(fd, visit_inside, &visit, err));
}

int nics_make(const char *netns_path, struct nics *nics, struct vpmem_error *err)
{
	struct visit visit = { .fn = make_inside, .nics = nics };
	int rc;

	nics_init(nics);
	if (!netns_path)
		return 0;
	nics->netns_fd = netns_open(netns_path, err);
	if (nics->netns_fd < 0) {
		rc = nics->netns_fd;
		nics->netns_fd = -1;
		return rc;
	}
	rc = lock(nics->netns_fd, netns_path, err);
	if (rc == 0)
		rc = netns_run(nics->netns_fd, visit_inside, &visit, err);
	return made(nics, rc);
}

/* ---- at start ------------------------------------------------------------------------------------------------------- */

static struct nic *nic_of(struct nics *nics, int link_idx)
{
	for (size_t i = 0; i < nics->n; i++)
		if (nics->nics[i].link_idx == link_idx)
			return &nics->nics[i];
	return NULL;
}

static const struct link *link_of(const struct link *links, size_t nlinks, int link_idx)
{
	for (size_t i = 0; i < nlinks; i++)
		if (links[i].idx == link_idx)
			return &links[i];
	return NULL;
}

/* Links that were there at create keep their NIC. Others get one that has none, or whose link is gone. */
static int assign(struct nics *nics, struct link *links, size_t nlinks, struct vpmem_error *err)
{
	for (size_t i = 0; i < nics->n; i++)
		if (!link_of(links, nlinks, nics->nics[i].link_idx))
			nics->nics[i].link_idx = 0;
	for (size_t i = 0; i < nlinks; i++) {
		struct nic *nic = nic_of(nics, links[i].idx);

		if (!nic)
			nic = nic_of(nics, 0);
		if (!nic) {
			error_set(err, -EOPNOTSUPP, "interface %s: the machine was created with %zu network interfaces",
			          links[i].name, nics->n);
			error_hint(err, "connect the network before the container is created, or create it again");
			return -EOPNOTSUPP;
		}
		nic->link_idx = links[i].idx;
		strcpy(nic->link_name, links[i].name);
		memcpy(links[i].guest_mac, nic->guest_mac, sizeof(links[i].guest_mac));
	}
	return 0;
}

/* The tap comes up last: before, the host's protocols would answer the guest. */
static int connect_link(const struct nic *nic, const struct link *link, struct nl_sock *sock, struct vpmem_error *err)
{
	int idx = tap_idx(nic, sock, err), rc;

	if (idx < 0)
		return idx;
	rc = mirror_add(sock, nic->tap_name, idx, link->idx, err);
	if (rc == 0)
		rc = mirror_add(sock, link->name, link->idx, idx, err);
	if (rc == 0)
		rc = tap_up(nic, sock, link->mtu, err);
	return rc;
}

static struct json_object *unused_json(const struct nics *nics)
{
	struct json_object *list = json_object_new_array();
	int rc = 0;

	for (size_t i = 0; i < nics->n; i++)
		if (nics->nics[i].link_idx == 0)
			rc |= network_append(list, network_mac(nics->nics[i].guest_mac));
	return network_whole(list, rc);
}

static int join_inside(struct visit *visit, struct nl_sock *sock, struct vpmem_error *err)
{
	struct nics *nics = visit->nics;
	struct json_object **network = visit->network;
	struct link links[NICS_MAX];
	size_t nlinks;
	int rc = links_read(sock, links, &nlinks, err);

	if (rc == 0)
		rc = assign(nics, links, nlinks, err);
	/* Read before the mirrors: what the host's protocols still do changes nothing in it afterwards. */
	if (rc == 0)
		rc = network_read(sock, links, nlinks, network, err);
	for (size_t i = 0; i < nlinks && rc == 0; i++)
		rc = connect_link(nic_of(nics, links[i].idx), &links[i], sock, err);
	if (rc == 0 && network_put(*network, "unused", unused_json(nics)) < 0)
		rc = error_set(err, -ENOMEM, "network: out of memory");
	if (rc == 0)
		return 0;
	for (size_t i = 0; i < nlinks; i++)
		(void)mirror_remove(sock, links[i].name, links[i].idx, NULL);
	json_object_put(*network);
	*network = NULL;
	return rc;
}

int nics_join(struct nics *nics, struct json_object **network, struct vpmem_error *err)
{
	struct visit visit = { .fn = join_inside, .nics = nics, .network = network };

	*network = NULL;
	if (nics->netns_fd < 0) {
		*network = json_tokener_parse("{\"interfaces\":[],\"unused\":[],\"routes\":[],\"neighbours\":[]}");
		return *network ? 0 : error_set(err, -ENOMEM, "network: out of memory");
	}
	return netns_run(nics->netns_fd, visit_inside, &visit, err);
}

/* ---- at the end ------------------------------------------------------------------------------------------------------- */

/* All links of the namespace: a mirror is recognised by itself. */
static int remove_inside(struct visit *visit, struct nl_sock *sock, struct vpmem_error *err)
{
	struct link links[NICS_MAX];
	size_t nlinks;
	int rc = links_read(sock, links, &nlinks, err);

	(void)visit;
	for (size_t i = 0; i < nlinks; i++) {
		int failed = mirror_remove(sock, links[i].name, links[i].idx, rc ? NULL : err);

		rc = rc ? rc : failed;
	}
	return rc;
}

static int remove_mirrors(int netns_fd, struct vpmem_error *err)
{
	struct visit visit = { .fn = remove_inside };

	return netns_run(netns_fd, visit_inside, &visit, err);
}

void nics_fini(struct nics *nics)
{
	nics_release(nics);
	if (nics->netns_fd >= 0) {
		(void)remove_mirrors(nics->netns_fd, NULL);
		close(nics->netns_fd);
	}
	nics_init(nics);
}

int nics_clean(const char *netns_path, struct vpmem_error *err)
{
	int fd = netns_path ? netns_open(netns_path, NULL) : -1, rc;

	/* Gone, or never one of ours. */
	if (fd < 0)
		return 0;
	rc = netns_lock(fd, netns_path, err);
	if (rc == 0)
		rc = remove_mirrors(fd, err);
	close(fd);
	return rc == -EBUSY ? 0 : rc;
}
