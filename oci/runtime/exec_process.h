// SPDX-License-Identifier: Apache-2.0
/*
 * exec_process.h - the OCI process of an exec: a file, or that of the container with what the options change.
 */
#ifndef PMVM_OCI_EXEC_PROCESS_H
#define PMVM_OCI_EXEC_PROCESS_H

#include "arguments.h"

struct json_object;

struct exec_arguments {
	const char *file;       /* --process; then of the others only has_terminal counts */
	char **command;         /* ends with NULL */
	const char *cwd, *user; /* NULL: as the container */
	struct argument_list env, gids, caps;
	bool has_terminal; /* set also where the file has it */
	bool has_no_new_privs;
};

/* state_dir has the container's config.json. The caller owns *process. -EINVAL: an option or the file is wrong. */
int exec_process_make(struct exec_arguments *args, const char *state_dir, struct json_object **process,
                      struct vpmem_error *err);

#endif
