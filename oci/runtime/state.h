// SPDX-License-Identifier: Apache-2.0
/*
 * state.h - what is known of a container between two commands: ROOT/ID/state.json, and what is beside it.
 *
 * The file is replaced as a whole, so a reader needs no lock. Its writers are `create` until the keeper answers that the
 * container is created, and the keeper from then on. The status is what the last of them wrote, or "stopped" where the
 * process is gone: a keeper that was killed cannot write that.
 */
#ifndef PMVM_OCI_STATE_H
#define PMVM_OCI_STATE_H

#include "process_id.h"

#include <limits.h>
#include <vpmem.h>

#define STATE_ROOT "/run/pmvm-oci"
#define STATE_ID_MAX 200u               /* bytes of an id: names of files are made of it */
#define STATE_DIR_SIZE (PATH_MAX - 32u) /* there is room for the names of what is in it */
#define STATE_SPEC "1.0.2"

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };
extern const char *const status_names[]; /* as the specification has them */

struct json_object;

struct state {
	char dir[STATE_DIR_SIZE];                /* ROOT/ID */
	const char *id;                          /* in dir */
	char *bundle, *rootfs, *created, *owner; /* absolute paths, a time, a user */
	char *cgroup, *netns;                    /* absolute paths; NULL: none */
	char *scope;                             /* the unit of systemd that the group is; NULL: none */
	char *sandbox;                   /* id of the container whose machine it is in; NULL: it has one of its own */
	struct json_object *annotations; /* NULL: none */
	struct json_object *layers;      /* paths of the images in the cache, the topmost first; NULL: none */
	struct process_id process;       /* the keeper, or the command that creates */
	enum status status;              /* as written; see state_status */
};

/* The characters that runc allows, and no '.' in front: names that begin so are ours. */
int state_id_check(const char *id, struct vpmem_error *err);
/* Sets dir and id of a container that may not exist. */
int state_name(const char *root, const char *id, struct state *state, struct vpmem_error *err);
/* -ENOENT: there is none, in the words that engines know. state_fini is legal after a failure. */
int state_load(const char *root, const char *id, struct state *state, struct vpmem_error *err);
int state_save(const struct state *state, struct vpmem_error *err);
void state_fini(struct state *state);

/* The directory of the keeper that serves it: its own, or that of its sandbox. */
void state_control_dir(const struct state *state, char dir[STATE_DIR_SIZE]);

/* What it is now. */
enum status state_status(const struct state *state);
/* "created or running": for the text of an error. */
const char *state_status_name(const struct state *state);
/* The state of the specification, with what runc and crun add. The caller owns it. */
struct json_object *state_json(const struct state *state);

/* Calls fn for each container of the root, in the order of their ids. An absent root has none. 0 or the first error of fn. */
typedef int state_fn(void *owner, const struct state *state);
int state_each(const char *root, state_fn *fn, void *owner, struct vpmem_error *err);

/*
 * One command at a time for each container: waits for the other one, with a bound. *fd is the lock; the process that
 * has it open keeps it. -EBUSY: the other one did not end; the text names it.
 */
int state_lock(const char *root, const char *id, const char *verb, int *fd, struct vpmem_error *err);
/* Removes also the lock's file where the container is gone. */
void state_unlock(const char *root, const char *id, int *fd);

#endif
