// SPDX-License-Identifier: Apache-2.0
/*
 * parts.h - a container's root file system and volumes as a machine has them: images that are pmem devices, shares that
 * virtiofsd serves, and the request that tells the agent what is what.
 */
#ifndef PMVM_OCI_PARTS_H
#define PMVM_OCI_PARTS_H

#include "binds.h"
#include "plan.h"
#include "share_server.h"
#include "vm_args.h"

#include <vpmem.h>

#define PARTS_IMAGES "images" /* directories in state_dir, for the views of pmvm and virtiofsd */
#define PARTS_SHARE "share"

struct json_object;

struct parts {
	char *image_dir, *share_dir; /* absolute */
	struct bind *images;         /* for those of pmem whose file has a name */
	size_t nimages;
	struct vm_pmem *pmem;
	size_t npmem;
	struct bind *shares;
	size_t nshares; /* 0: no virtiofsd */
	struct share_rule *rules;
	size_t nrules;
	char **texts; /* what the others point to */
	size_t ntexts;
	const char *const *addresses; /* of the plan */
	struct json_object *create;   /* the arguments of the request */
};

/* *parts is all zeros; parts_fini is legal afterwards in any case. */
int parts_make(struct parts *parts, const struct machine_plan *plan, struct vpmem_error *err);
void parts_fini(struct parts *parts);

#endif
