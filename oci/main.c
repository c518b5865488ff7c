// SPDX-License-Identifier: Apache-2.0
// pmvm-oci: the global options, then a verb.
#include "error.h"
#include "fresh_process.h"
#include "oci_log.h"
#include "rootless.h"
#include "state.h"
#include "suggest.h"
#include "verb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERB(name) &verb_##name,
static const struct verb *const verbs[] = {
#include "verbs.h"
};
#undef VERB

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct globals {
	const char *root, *config, *log, *log_format, *cgroup_manager, *criu, *rootless;
	bool debug, systemd, help, version;
};

static int print_version(void)
{
	printf("pmvm-oci version %s\nspec: %s\n", VPMEM_VERSION, STATE_SPEC);
	return EXIT_SUCCESS;
}

static int print_help(const struct argument *table, size_t n)
{
	printf("usage: pmvm-oci [GLOBAL OPTIONS] VERB [OPTIONS] [OPERANDS]\n"
	       "Runs each container in a virtual machine of its own, with the verbs of an OCI runtime.\n\n"
	       "Global options:\n");
	arguments_print(table, n);
	printf("\nVerbs (VERB --help):\n");
	for (size_t i = 0; i < COUNT(verbs); i++)
		printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
	return EXIT_SUCCESS;
}

static int find_verb(const char *name, const struct verb **verb, struct vpmem_error *err)
{
	struct suggest near = { .word = name };

	for (size_t i = 0; i < COUNT(verbs); i++) {
		suggest_offer(&near, verbs[i]->name);
		if (strcmp(verbs[i]->name, name) == 0) {
			*verb = verbs[i];
			return 0;
		}
	}
	error_set(err, -EINVAL, "no verb '%.100s'", name);
	if (near.best)
		error_hint(err, "did you mean %s?", near.best);
	else
		error_hint(err, "see --help");
	return -EINVAL;
}

static int use_log(const struct globals *globals, struct vpmem_error *err)
{
	const struct oci_log log = {
		.path = globals->log,
		.is_json = globals->log_format && strcmp(globals->log_format, "json") == 0,
		.is_debug = globals->debug,
	};

	if (globals->log_format && !log.is_json && strcmp(globals->log_format, "text") != 0)
		return error_set(err, -EINVAL, "--log-format %s: neither text nor json", globals->log_format);
	oci_log_use(&log);
	return oci_log_check(err);
}

static int use_rootless(const char *word, struct command *cmd, struct vpmem_error *err)
{
	cmd->is_rootless = strcmp(word, "true") == 0 || (strcmp(word, "auto") == 0 && rootless_is());
	if (cmd->is_rootless || strcmp(word, "auto") == 0 || strcmp(word, "false") == 0)
		return 0;
	return error_set(err, -EINVAL, "--rootless %s: not one of true, false, auto", word);
}

static int use_globals(const struct globals *globals, struct command *cmd, struct vpmem_error *err)
{
	const char *manager = globals->cgroup_manager ? globals->cgroup_manager : "cgroupfs";
	int rc = use_log(globals, err);

	if (rc < 0)
		return rc;
	cmd->root = globals->root ? globals->root : rootless_state_root();
	if (cmd->root[0] != '/')
		return error_set(err, -EINVAL, "--root %s: not an absolute path", cmd->root);
	cmd->config = globals->config;
	cmd->is_debug = globals->debug;
	cmd->is_systemd = globals->systemd || strcmp(manager, "systemd") == 0;
	cmd->has_no_cgroup = strcmp(manager, "disabled") == 0;
	if (!cmd->is_systemd && !cmd->has_no_cgroup && strcmp(manager, "cgroupfs") != 0)
		return error_set(err, -EINVAL, "--cgroup-manager %s: not one of cgroupfs, systemd, disabled", manager);
	return use_rootless(globals->rootless ? globals->rootless : "auto", cmd, err);
}

static int run(int argc, char **argv, int *failure, struct vpmem_error *err)
{
	struct globals globals = { 0 };
	const struct argument table[] = {
		ARGUMENT("root", 0, TEXT, &globals.root,
		         "where the state of containers is (" STATE_ROOT "; without root XDG_RUNTIME_DIR/pmvm-oci)"),
		ARGUMENT("config", 0, TEXT, &globals.config,
		         "the settings (" SETTINGS_FILE "; without root also ~/" SETTINGS_FILE_OWN ")"),
		ARGUMENT("log", 0, TEXT, &globals.log, "a file for messages, beside standard error"),
		ARGUMENT("log-format", 0, TEXT, &globals.log_format, "of that file: text or json"),
		ARGUMENT("debug", 0, FLAG, &globals.debug, "more messages; the console of the guest is kept"),
		ARGUMENT("systemd-cgroup", 0, FLAG, &globals.systemd, "cgroupsPath is SLICE:PREFIX:NAME"),
		ARGUMENT("cgroup-manager", 0, TEXT, &globals.cgroup_manager, "cgroupfs, systemd or disabled"),
		ARGUMENT("rootless", 0, TEXT, &globals.rootless,
		         "true, false or auto: leave out control groups that may not be made"),
		ARGUMENT("criu", 0, TEXT, &globals.criu, NULL),
		ARGUMENT("version", 'v', FLAG, &globals.version, "print the version"),
		ARGUMENT("help", 'h', FLAG, &globals.help, "print this"),
	};
	const struct verb *verb = NULL;
	struct command cmd = { 0 };
	int first = arguments_parse(argc, argv, table, COUNT(table), true, err), rc;

	if (first < 0)
		return first;
	if (globals.version)
		return print_version();
	if (globals.help || first == argc)
		return print_help(table, COUNT(table));
	rc = use_globals(&globals, &cmd, err);
	if (rc == 0)
		rc = find_verb(argv[first], &verb, err);
	if (rc < 0)
		return rc;
	*failure = verb->failure ? verb->failure : EXIT_FAILURE;
	rc = verb->run(&cmd, argc - first, argv + first, err);
	settings_fini(&cmd.settings);
	return rc == VERB_HELP ? EXIT_SUCCESS : rc;
}

int main(int argc, char **argv)
{
	struct vpmem_error err = { "", "" };
	int failure = EXIT_FAILURE, rc;

	fresh_process_descriptors();
	fresh_process_signals();
	signal(SIGPIPE, SIG_IGN);
	rc = run(argc, argv, &failure, &err);
	if (rc >= 0)
		return rc;
	oci_log_error(&err);
	return failure;
}
