// SPDX-License-Identifier: Apache-2.0
// The verbs of runc that a virtual machine cannot do.
#include "error.h"
#include "verb.h"

#include <errno.h>

static int refuse(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	(void)cmd;
	(void)argc;
	error_set(err, -ENOTSUP, "%s: not supported", argv[0]);
	error_hint(err, "CRIU saves processes of the host, and those of this container are in a virtual machine");
	return -ENOTSUP;
}

const struct verb verb_checkpoint = {
	.name = "checkpoint",
	.operands = "ID",
	.summary = "not supported",
	.run = refuse,
};

const struct verb verb_restore = {
	.name = "restore",
	.operands = "ID",
	.summary = "not supported",
	.run = refuse,
};
