// SPDX-License-Identifier: Apache-2.0
/*
 * agent_rootfs_spec.h - what the host wants mounted, out of its request `create` (docs/containers-protocol.md).
 */
#ifndef PMVM_OCI_AGENT_ROOTFS_SPEC_H
#define PMVM_OCI_AGENT_ROOTFS_SPEC_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

enum { LAYERS_MAX = 248, PMEM_MOUNTS_MAX = 64, MEMORY_MOUNTS_MAX = 64 };

struct json_object;

/* All texts are borrowed from the request. Those that are paths are below the share: relative, without "..". */
struct rootfs_spec {
	const char *share; /* a tag of virtio-fs; NULL: there is none */
	const char *path;  /* the root is this directory of the share; NULL: it has layers */
	const char *layers[LAYERS_MAX];
	unsigned nlayers;
	enum { UPPER_NONE, UPPER_SHARE, UPPER_PMEM } upper;
	const char *upper_path, *work_path; /* UPPER_SHARE */
	const char *upper_pci;              /* UPPER_PMEM */
	char options[64];                   /* of overlayfs, each with a comma before it */
	struct pmem_mount {
		const char *pci, *filesystem;
		bool readonly;
	} mounts[PMEM_MOUNTS_MAX];
	unsigned nmounts;
	/* Volumes of memory, which the containers of a guest share by their names. */
	struct memory_mount {
		const char *name; /* of a file */
		int64_t size;     /* bytes; 0: half of the RAM */
		unsigned mode, uid, gid;
	} memory[MEMORY_MOUNTS_MAX];
	unsigned nmemory;
};

int rootfs_spec_parse(struct json_object *request, struct rootfs_spec *spec, struct vpmem_error *err);

#endif
