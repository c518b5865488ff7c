// SPDX-License-Identifier: Apache-2.0
/*
 * bundle_parts.h - the parts of bundle_load, each with the members that it reads from config.json.
 *
 * Each sets its fields of *bundle, whose config, dir and annotations are set. -EINVAL, -ENOTSUP, -ENOMEM, or -errno of
 * a path.
 */
#ifndef PMVM_OCI_BUNDLE_PARTS_H
#define PMVM_OCI_BUNDLE_PARTS_H

#include "bundle.h"

/* annotations io.pmvm.*, and then those of a pod */
int bundle_take_annotations(struct bundle *bundle, struct vpmem_error *err);
int bundle_take_pod(struct bundle *bundle, struct vpmem_error *err);
/* hooks */
int bundle_take_hooks(struct bundle *bundle, struct vpmem_error *err);
/* linux.namespaces */
int bundle_take_namespaces(struct bundle *bundle, struct json_object *linux_object, struct vpmem_error *err);
/* linux.resources, linux.devices, and what of linux cannot be done */
int bundle_take_linux(struct bundle *bundle, struct json_object *linux_object, struct vpmem_error *err);
/* mounts: shares and guest_mounts. After the annotations, whose volumes become mounts. */
int bundle_take_mounts(struct bundle *bundle, struct vpmem_error *err);

/*
 * Engines without root bind the /sys of the host, as buildah does, because root of a user namespace may not mount a sysfs. In
 * a guest it may: the mount becomes that of a sysfs, read-only. -ENOMEM.
 */
bool bundle_is_engines_sys(const char *source, const char *target);
int bundle_make_sysfs(struct json_object *mount);

/* The CPUs that this process may use. */
unsigned bundle_host_cpus(void);
void bundle_hooks_fini(struct hooks hooks[HOOK_POINTS]);

/* Adds val, which becomes part of the object; val may be NULL: out of memory, as every failure. */
int json_add(struct json_object *object, const char *name, struct json_object *val);
int json_append(struct json_object *array, struct json_object *val);

#endif
