// SPDX-License-Identifier: Apache-2.0
/*
 * container.h - a container from `create` to `delete`: the order in which its parts are made and removed.
 *
 * The parts are the directory ROOT/ID with state.json and a copy of config.json, the control group, the keeper, and what the
 * keeper holds. Each can be missing, because a command or a keeper may be killed at any moment: container_destroy removes
 * what it finds.
 */
#ifndef PMVM_OCI_CONTAINER_H
#define PMVM_OCI_CONTAINER_H

#include "state.h"
#include "verb.h"

#include <stdbool.h>

struct create_options {
	const char *id, *bundle, *config;      /* config is relative to the bundle */
	const char *pid_file, *console_socket; /* NULL: none */
};

/*
 * Creates it; the program waits for container_start. *keeper is a child of ours: who does not wait for it leaves it to the
 * parent. On failure nothing is left. Holds the lock of the container meanwhile.
 */
int container_create(struct command *cmd, const struct create_options *opts, pid_t *keeper, struct vpmem_error *err);
int container_start(struct command *cmd, const char *id, struct vpmem_error *err);
/*
 * Stops it if it is created, or whatever it does with is_forced, and removes all of it. -ENOENT: there is none.
 * -EBUSY: it runs.
 */
int container_delete(struct command *cmd, const char *id, bool is_forced, struct vpmem_error *err);

/* Ends the keeper and what belongs to it. -EBUSY: a process cannot be ended. */
int container_stop(const struct state *state, struct vpmem_error *err);
/* Removes what is left after that. Tries all, and returns the first error. */
int container_remove(const struct state *state, struct vpmem_error *err);
/* With share-layers=never nobody else uses the images of its layers: removes them. */
void container_drop_layers(struct command *cmd, const char *id);

#endif
