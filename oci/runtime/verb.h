// SPDX-License-Identifier: Apache-2.0
/*
 * verb.h - a verb of the command line: one file and one line of the table in verbs.h.
 *
 * A verb parses its own arguments. It returns the exit status of the command, or -errno with the text of the error, which
 * main writes to the log.
 */
#ifndef PMVM_OCI_VERB_H
#define PMVM_OCI_VERB_H

#include "arguments.h"
#include "settings.h"

/* What the global options say. */
struct command {
	const char *root;   /* --root */
	const char *config; /* --config; NULL: SETTINGS_FILE */
	bool is_systemd, has_no_cgroup, is_debug;
	bool is_rootless;         /* --rootless, or not root: a control group that may not be made is left out */
	struct settings settings; /* of command_settings */
};

struct verb {
	const char *name;
	const char *operands; /* "ID [SIGNAL]" */
	const char *summary;
	int failure; /* exit status after an error; 0: 1 */
	int (*run)(struct command *cmd, int argc, char **argv, struct vpmem_error *err);
};

/* Reads the settings, once. */
int command_settings(struct command *cmd, struct vpmem_error *err);

/*
 * arguments_parse, the option --help, and the number of operands. The operands begin at the index that it returns. -EINVAL;
 * VERB_HELP: the help was printed.
 */
#define VERB_HELP (-1000)
struct verb_operands {
	const struct argument *table;
	size_t n;
	unsigned min, max; /* operands */
	bool stop_early;
};
int verb_parse(const struct verb *verb, int argc, char **argv, const struct verb_operands *operands,
               struct vpmem_error *err);

#define VERB(name) extern const struct verb verb_##name;
#include "verbs.h"
#undef VERB

#endif
