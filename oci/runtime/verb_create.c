// SPDX-License-Identifier: Apache-2.0
// create: the machine is up, and the program waits for `start`.
#include "container.h"
#include "verb.h"
#include "verb_options.h"

#include <stdlib.h>

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	struct create_arguments args = { 0 };
	pid_t keeper;
	int rc = create_arguments_parse(&verb_create, argc, argv, &args, err);

	if (rc == 0)
		rc = container_create(cmd, &args.create, &keeper, err);
	return rc;
}

const struct verb verb_create = {
	.name = "create",
	.operands = "ID",
	.summary = "create a container from the bundle: its machine is up, and its program waits for start",
	.run = run,
};
