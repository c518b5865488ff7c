// SPDX-License-Identifier: Apache-2.0
// Network back ends of the machine: added, deleted, and used by one card at a time.
#include "machine_netdev.h"

#include "array.h"
#include "device_list.h"
#include "error.h"
#include "log.h"
#include "machine.h"
#include "machine_memdev.h"
#include "machine_net.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- kinds

#define NETDEV(name, ...) &name##_kind,
static const struct object_kind *const kinds[] = { NETDEV_LIST(NETDEV) NULL };

static const struct object_kind *kind_of(const struct object_config *cfg)
{
	unsigned i = 0;

	while (kinds[i] && kinds[i]->type != cfg->type)
		i++;
	assert(kinds[i]);
	return kinds[i];
}

// ---- the list

struct object *machine_find_netdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->nnetdevs; i++)
		if (strcmp(m->netdevs[i]->cfg->id, id) == 0)
			return m->netdevs[i];
	return NULL;
}

int machine_netdev_add(struct machine *m, struct object_config **cfg, struct vpmem_error *err)
{
	const struct object_kind *kind = kind_of(*cfg);
	struct object *netdev;
	int rc;

	if (machine_find_netdev(m, (*cfg)->id))
		return error_set(err, -EEXIST, "Duplicate ID '%s'", (*cfg)->id);
	if (m->nnetdevs == NETDEVS_MAX)
		return error_set(err, -ENOSPC, "too many netdevs: at most %u", NETDEVS_MAX);
	netdev = calloc(1, kind->size);
	if (!netdev || array_room(&m->netdevs, m->nnetdevs, sizeof(m->netdevs[0])) < 0) {
		free(netdev);
		return error_set(err, -ENOMEM, "cannot set up netdev '%s': %s", (*cfg)->id, strerror(ENOMEM));
	}
	*netdev = (struct object) { .kind = kind, .machine = m, .cfg = *cfg };
	rc = kind->create(netdev, err);
	if (rc < 0) {
		machine_hint_limit(rc, err);
		free(netdev);
		return rc;
	}
	*cfg = NULL;
	m->netdevs[m->nnetdevs++] = netdev;
	return 0;
}

int machine_add_netdevs(struct machine *m, struct vpmem_error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < m->opts->nnetdevs && rc == 0; i++)
		rc = machine_netdev_add(m, &m->opts->netdevs[i], err);
	return rc;
}

static void destroy(struct object *netdev)
{
	netdev->kind->destroy(netdev, NULL);
	object_config_free(netdev->cfg);
	free(netdev);
}

int machine_netdev_del(struct machine *m, const char *id, struct vpmem_error *err)
{
	struct object *netdev = machine_find_netdev(m, id);
	unsigned i = 0;

	if (!netdev)
		return error_set(err, -ENODEV, "Device '%s' not found", id);
	while (m->netdevs[i] != netdev)
		i++;
	array_remove(m->netdevs, &m->nnetdevs, sizeof(m->netdevs[0]), i);
	if (!netdev->in_use) {
		destroy(netdev);
		return 0;
	}
	machine_net_peer_gone(m, netdev);
	if (((struct netdev *)netdev)->end)
		((struct netdev *)netdev)->end((struct netdev *)netdev);
	return 0;
}

void machine_drop_netdevs(struct machine *m)
{
	while (m->nnetdevs > 0)
		destroy(m->netdevs[--m->nnetdevs]);
	free(m->netdevs);
	m->netdevs = NULL;
}

// ---- cards

void machine_netdev_use(struct object *netdev)
{
	assert(!netdev->in_use);
	netdev->in_use = true;
}

void machine_netdev_release(struct object *netdev)
{
	struct machine *m = netdev->machine;

	netdev->in_use = false;
	for (unsigned i = 0; i < m->nnetdevs; i++)
		if (m->netdevs[i] == netdev)
			return;
	destroy(netdev);
}
