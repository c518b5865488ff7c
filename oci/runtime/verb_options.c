// SPDX-License-Identifier: Apache-2.0
// The options that create and run have in common.
#include "verb_options.h"

#include "bundle.h"
#include "error.h"

#include <errno.h>
#include <string.h>

int preserve_fds_check(const char *text, struct vpmem_error *err)
{
	if (!text || strcmp(text, "0") == 0)
		return 0;
	error_set(err, -ENOTSUP, "--preserve-fds %s: not supported", text);
	error_hint(err, "a descriptor of the host cannot be passed into a virtual machine");
	return -ENOTSUP;
}

int create_arguments_parse(const struct verb *verb, int argc, char **argv, struct create_arguments *args,
                           struct vpmem_error *err)
{
	const struct argument table[] = {
		ARGUMENT("bundle", 'b', TEXT, &args->create.bundle, "directory of config.json (the working directory)"),
		ARGUMENT("config", 'f', TEXT, &args->create.config, "another file than config.json of the bundle"),
		ARGUMENT("pid-file", 0, TEXT, &args->create.pid_file, "where to write the pid of the container"),
		ARGUMENT("console-socket", 0, TEXT, &args->create.console_socket, "where to send the terminal"),
		ARGUMENT("preserve-fds", 0, TEXT, &args->preserve_fds, "only 0 is supported"),
		ARGUMENT("no-pivot", 0, FLAG, &args->no_pivot, NULL),
		ARGUMENT("no-new-keyring", 0, FLAG, &args->no_new_keyring, NULL),
		ARGUMENT("no-subreaper", 0, FLAG, &args->no_subreaper, NULL),
		// The last ones are those of run alone.
		ARGUMENT("detach", 'd', FLAG, &args->is_detached, "do not wait for the end of the container"),
		ARGUMENT("keep", 0, FLAG, &args->keeps, "do not delete the container at its end"),
	};
	size_t n = sizeof(table) / sizeof(table[0]) - (verb == &verb_run ? 0 : 2);
	const struct verb_operands operands = { .table = table, .n = n, .min = 1, .max = 1 };
	int first = verb_parse(verb, argc, argv, &operands, err);

	if (first < 0)
		return first;
	if (!args->create.bundle)
		args->create.bundle = ".";
	if (!args->create.config)
		args->create.config = BUNDLE_CONFIG;
	args->create.id = argv[first];
	return preserve_fds_check(args->preserve_fds, err);
}
