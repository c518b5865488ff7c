// SPDX-License-Identifier: Apache-2.0
/*
 * agent_container.h - containers, by crun. Each has a number, `container`, which the host has chosen: 0 is the first. Each function starts crun and returns; the answer to the request is sent when
 * crun has ended. An error is one that is known before.
 */
#ifndef PMVM_OCI_AGENT_CONTAINER_H
#define PMVM_OCI_AGENT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <vpmem.h>

struct agent;
struct json_object;
struct rootfs_spec;

enum { CONTAINER_NUMBER_MAX = 99999999, CGROUP_MAX = 255 };

/* Changes config, which is an object with the object "process". -EEXIST; -EBUSY: there are too many. */
int container_create(struct agent *agent, int64_t id, unsigned container, struct json_object *config,
                     const struct rootfs_spec *rootfs, struct vpmem_error *err);
int container_start(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err);
/* name is well-formed, spec an OCI process object, cgroup a path below that of the container, or NULL. */
int container_exec(struct agent *agent, int64_t id, unsigned container, const char *name, struct json_object *spec,
                   const char *cgroup, struct vpmem_error *err);
int container_signal_all(struct agent *agent, int64_t id, unsigned container, int signo, struct vpmem_error *err);
int container_ps(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err);
int container_update(struct agent *agent, int64_t id, unsigned container, struct json_object *resources,
                     struct vpmem_error *err);
/* All its processes stop, or go on. One that is killed ends in any case. */
int container_pause(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err);
int container_resume(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err);
/* Ends it with all its processes, and unmounts what it has. Legal if there is none. */
int container_remove(struct agent *agent, int64_t id, unsigned container, struct vpmem_error *err);
/* Ends container 0, unmounts, and powers off after the answer. */
int container_shutdown(struct agent *agent, int64_t id, struct vpmem_error *err);

#endif
