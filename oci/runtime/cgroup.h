// SPDX-License-Identifier: Apache-2.0
/*
 * cgroup.h - the control group of a container: the keeper, pmvm and virtiofsd are in it, so that an engine finds there what
 * the machine uses, and delete what is left of it.
 *
 * Only version 2 has limits here. Where the host mounts version 1 with a version 2 tree beside it (hybrid), the processes
 * are grouped in that tree, and a limit is a warning. Where there is no version 2 tree at all, there is no group: `path`
 * stays NULL, and each function does nothing.
 */
#ifndef PMVM_OCI_CGROUP_H
#define PMVM_OCI_CGROUP_H

#include "scope.h"

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

struct json_object;

/*
 * The directory of a container's group: of linux.cgroupsPath, which is a path below the root of all groups, or
 * `SLICE:PREFIX:NAME` as for systemd with is_systemd: then it is the directory that systemd makes. NULL: "/pmvm-oci-ID", or
 * ":pmvm-oci:ID". *path is malloc'ed, or NULL: no version 2. -EINVAL: it is no such path.
 */
int cgroup_path(const char *cgroups_path, bool is_systemd, const char *id, char **path, struct vpmem_error *err);

/* The unit of systemd of `SLICE:PREFIX:NAME`, or of the id where that is missing or empty. -EINVAL: of another form. */
#define CGROUP_UNIT_SIZE 256
struct cgroup_unit {
	char slice[CGROUP_UNIT_SIZE], scope[CGROUP_UNIT_SIZE];
};
int cgroup_unit_of(const char *cgroups_path, const char *id, struct cgroup_unit *unit, struct vpmem_error *err);

/* Makes it and its parents, with their controllers. -EEXIST: it has processes already. */
int cgroup_make(const char *path, struct vpmem_error *err);
/*
 * The limits of linux.resources (may be NULL); the memory limit is `memory_overhead` larger: what the machine itself needs.
 * is_running: a machine is in it, whose RAM stays as large as it is. So its memory limit is raised, and never lowered: the
 * kernel would kill the machine. The limit in the guest is what counts then.
 */
int cgroup_limit(const char *path, struct json_object *resources, uint64_t memory_overhead, bool is_running,
                 struct vpmem_error *err);

/*
 * The same limits as properties of a unit of systemd, which sets those that it knows of, and no others, when it reads its
 * configuration again. Returns their number. Their texts are those of resources.
 */
#define CGROUP_LIMITS_MAX 8
size_t cgroup_properties(const char *path, struct json_object *resources, uint64_t memory_overhead, bool is_running,
                         struct scope_limit properties[CGROUP_LIMITS_MAX]);

/*
 * Where there is no group: -EPERM with the first limit of the resources that needs one, and `why` there is none. The limit of
 * pids does not: it is the guest's alone.
 */
int cgroup_refuse_limits(struct json_object *resources, const char *why, struct vpmem_error *err);
/*
 * cgroup_make for a user who is not root. Where the user may not make the group, or not move processes into it, *path is
 * freed and NULL afterwards; the result is that of cgroup_refuse_limits. So it is where *path is NULL before.
 */
int cgroup_make_rootless(char **path, struct json_object *resources, struct vpmem_error *err);
/* The calling process enters it. */
int cgroup_enter(const char *path, struct vpmem_error *err);
/* true: within this time nothing was in it any more. */
bool cgroup_wait(const char *path, unsigned timeout_ms);
/* SIGKILL to all in it. */
void cgroup_kill(const char *path);
/* Removes it once nothing is in it, which may take a moment. -EBUSY: something stays. Its parents stay. */
int cgroup_remove(const char *path, struct vpmem_error *err);

/* A number of a file of the group, such as "memory.current"; false: none, or "max". */
bool cgroup_read(const char *path, const char *file, uint64_t *val);

#endif
