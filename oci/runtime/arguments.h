// SPDX-License-Identifier: Apache-2.0
/*
 * arguments.h - the options of a verb, as a table. Their form is that of runc and crun: --name VALUE, --name=VALUE, and
 * for a flag --name, --name=true or --name=false.
 */
#ifndef PMVM_OCI_ARGUMENTS_H
#define PMVM_OCI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <vpmem.h>

enum argument_type {
	ARGUMENT_FLAG, /* bool */
	ARGUMENT_TEXT, /* const char *; the last one counts */
	ARGUMENT_LIST, /* struct argument_list: may be given several times */
};

#define ARGUMENT_LIST_MAX 128u

struct argument_list {
	const char *vals[ARGUMENT_LIST_MAX];
	size_t n;
};

struct argument {
	const char *name;
	char letter; /* 0: none */
	enum argument_type type;
	void *val;
	const char *meaning; /* for --help; NULL: accepted, and has no effect here */
};

/* A line of a table: letter 0 is none; a meaning NULL as above. */
#define ARGUMENT(name_, letter_, type_, val_, meaning_)                                                              \
	{                                                                                                            \
		.name = (name_), .letter = (letter_), .type = ARGUMENT_##type_, .val = (val_), .meaning = (meaning_) \
	}

/*
 * Fills the values, which are borrowed from argv. argv[0] is the verb. The index of the first argument that is no option;
 * with stop_early all that follows it is left as it is, otherwise options may follow it as well. -EINVAL.
 */
int arguments_parse(int argc, char **argv, const struct argument *table, size_t n, bool stop_early,
                    struct vpmem_error *err);
void arguments_print(const struct argument *table, size_t n);

#endif
