// SPDX-License-Identifier: Apache-2.0
/*
 * verb_options.h - the options that create and run have in common.
 */
#ifndef PMVM_OCI_VERB_OPTIONS_H
#define PMVM_OCI_VERB_OPTIONS_H

#include "container.h"
#include "verb.h"

struct create_arguments {
	struct create_options create;
	const char *preserve_fds;
	bool no_pivot, no_new_keyring, no_subreaper; /* of the guest's runtime, or without meaning for a machine */
	bool is_detached, keeps;                     /* run alone: --detach, --keep */
};

/* For `create`, and for `run`, which has two options more. 0, -EINVAL, -ENOTSUP or VERB_HELP. */
int create_arguments_parse(const struct verb *verb, int argc, char **argv, struct create_arguments *args,
                           struct vpmem_error *err);

/* --preserve-fds N: only none can be preserved. */
int preserve_fds_check(const char *text, struct vpmem_error *err);

#endif
