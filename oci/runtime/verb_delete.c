// SPDX-License-Identifier: Apache-2.0
// delete: removes a container and all that belongs to it.
#include "container.h"
#include "verb.h"

#include <errno.h>

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	bool is_forced = false;
	const struct argument table[] = {
		ARGUMENT("force", 'f', FLAG, &is_forced,
		         "end the container first; one that does not exist is no error"),
	};
	const struct verb_operands operands = { .table = table, .n = 1, .min = 1, .max = 1 };
	int rc = verb_parse(&verb_delete, argc, argv, &operands, err);

	if (rc < 0)
		return rc;
	rc = container_delete(cmd, argv[rc], is_forced, err);
	return rc == -ENOENT && is_forced ? 0 : rc;
}

const struct verb verb_delete = {
	.name = "delete",
	.operands = "ID",
	.summary = "remove a container that has stopped or was never started",
	.run = run,
};
