// SPDX-License-Identifier: Apache-2.0
// The table of memory of a vhost-user back end: whole, or region by region where the back end can do that.
#include "log.h"
#include "vhost_user.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct vhost_user_region region_of(const struct vm_memory_region *region)
{
	return (struct vhost_user_region) {
		.gpa = region->gpa, .size = region->size, .hva = (uintptr_t)region->hva, .fd_off = region->fd_off
	};
}

static bool is_same(const struct vhost_user_region *a, const struct vhost_user_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->hva == b->hva && a->fd_off == b->fd_off;
}

/* Another process can map a file only. */
static bool is_reachable(struct vhost_user *vu, const struct vm_memory_region *region)
{
	if (region->fd >= 0)
		return true;
	if (!vu->warned)
		log_warn("vhost-user: the back end cannot reach the guest's memory at 0x%" PRIx64
		         ": it is read-only, or private to this process (share=off)",
		         region->gpa);
	vu->warned = true;
	return false;
}

/* ---- the whole table ------------------------------------------------------------------------------------------ */

static int send_table(struct vhost_user *vu, const struct vm_memory *memory)
{
	struct vhost_user_memory table = { .nregions = 0 };
	struct vhost_user_message msg = { .request = VHOST_USER_SET_MEM_TABLE, .payload = &table };
	int fds[VHOST_USER_FDS_MAX];
	uint64_t features;
	int rc;

	for (unsigned i = 0; i < memory->nregions; i++) {
		if (!is_reachable(vu, &memory->regions[i]))
			continue;
		if (table.nregions == VHOST_USER_FDS_MAX)
			return -E2BIG;
		fds[table.nregions] = memory->regions[i].fd;
		table.regions[table.nregions++] = region_of(&memory->regions[i]);
	}
	msg.fds = fds;
	msg.nfds = table.nregions;
	msg.size = (uint32_t)(offsetof(struct vhost_user_memory, regions) + table.nregions * sizeof(table.regions[0]));
	rc = vhost_user_call(vu, &msg);
	if (rc || vhost_user_has(vu, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return rc;
	/* Requests are served in their order: when this one is answered, what was taken away is out of reach. */
	msg = (struct vhost_user_message) { .request = VHOST_USER_GET_FEATURES };
	rc = vhost_user_ask(&vu->link, &msg, &features, sizeof(features), sizeof(features));
	return rc < 0 ? rc : 0;
}

/* ---- one region after the other ----------------------------------------------------------------------------------- */

static int send_region(struct vhost_user *vu, enum vhost_user_request request, const struct vhost_user_region *region,
                       int fd)
{
	const struct vhost_user_one_region one = { .region = *region };

	return vhost_user_call(vu, &(struct vhost_user_message) { .request = request,
	                                                          .payload = &one,
	                                                          .size = sizeof(one),
	                                                          .fds = &fd,
	                                                          .nfds = fd >= 0 ? 1 : 0 });
}

static bool is_in_table(const struct vm_memory *memory, const struct vhost_user_region *sent)
{
	for (unsigned i = 0; i < memory->nregions; i++) {
		struct vhost_user_region region = region_of(&memory->regions[i]);

		if (memory->regions[i].fd >= 0 && is_same(&region, sent))
			return true;
	}
	return false;
}

static bool is_sent(const struct vhost_user *vu, const struct vhost_user_region *region)
{
	for (unsigned i = 0; i < vu->nsent; i++)
		if (is_same(&vu->sent[i], region))
			return true;
	return false;
}

static int remove_old(struct vhost_user *vu, const struct vm_memory *memory)
{
	unsigned i = 0;

	while (i < vu->nsent) {
		int rc;

		if (is_in_table(memory, &vu->sent[i])) {
			i++;
			continue;
		}
		rc = send_region(vu, VHOST_USER_REM_MEM_REG, &vu->sent[i], -1);
		if (rc)
			return rc;
		vu->sent[i] = vu->sent[--vu->nsent];
	}
	return 0;
}

static int send_changes(struct vhost_user *vu, const struct vm_memory *memory)
{
	int rc;

	if (!vu->sent)
		vu->sent = calloc(VM_MEMORY_REGIONS_MAX, sizeof(vu->sent[0]));
	if (!vu->sent)
		return -ENOMEM;
	rc = remove_old(vu, memory);
	for (unsigned i = 0; i < memory->nregions && rc == 0; i++) {
		struct vhost_user_region region = region_of(&memory->regions[i]);

		if (!is_reachable(vu, &memory->regions[i]) || is_sent(vu, &region))
			continue;
		rc = send_region(vu, VHOST_USER_ADD_MEM_REG, &region, memory->regions[i].fd);
		if (rc == 0)
			vu->sent[vu->nsent++] = region;
	}
	return rc;
}

int vhost_user_set_memory(struct vhost_backend *backend, const struct vm_memory *memory)
{
	struct vhost_user *vu = (struct vhost_user *)backend;

	backend->failed = "the table of memory";
	/* While it runs: a change on its own. */
	if (!vu->starting)
		vhost_user_link_begin(&vu->link, VHOST_USER_TIMEOUT_MS);
	return vhost_user_has(vu, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) ? send_changes(vu, memory) :
	                                                                       send_table(vu, memory);
}
