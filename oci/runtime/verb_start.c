// SPDX-License-Identifier: Apache-2.0
// start: releases the program of a created container.
#include "container.h"
#include "verb.h"

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const struct verb_operands operands = { .min = 1, .max = 1 };
	int first = verb_parse(&verb_start, argc, argv, &operands, err);

	return first < 0 ? first : container_start(cmd, argv[first], err);
}

const struct verb verb_start = {
	.name = "start",
	.operands = "ID",
	.summary = "start the program of a created container",
	.run = run,
};
