// SPDX-License-Identifier: Apache-2.0
// pmvm: the life of a virtual machine.
#include "config.h"
#include "log.h"
#include "machine.h"
#include "term.h"

#include <stdlib.h>

static int fail(const struct vpmem_error *err)
{
	log_error("%s", err->text);
	if (err->hint[0])
		log_info("hint: %s", err->hint);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct vpmem_error err = { "", "" };
	struct options opts;
	struct machine *machine;
	int run_error, close_error;

	switch (options_parse(argc, argv, &opts, &err)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_ERROR:
		return fail(&err);
	case OPTIONS_RUN:
		break;
	}
	if (machine_build(&opts, &machine, &err) < 0)
		return fail(&err);

	run_error = machine_run(machine);
	close_error = machine_destroy(machine);

	term_restore();
	options_free(&opts);
	return run_error || close_error ? EXIT_FAILURE : EXIT_SUCCESS;
}
