// SPDX-License-Identifier: Apache-2.0
/*
 * watch_options.h - the options that both programs have: which machines are watched, and for how long one may answer.
 */
#ifndef PMVM_WATCH_OPTIONS_H
#define PMVM_WATCH_OPTIONS_H

#include "machines.h"

#include <getopt.h>

/* For a table of getopt_long. Their values are letters that are no short options. */
#define WATCH_OPTIONS                                                                               \
	{ "directory", required_argument, NULL, 'd' }, { "machine", required_argument, NULL, 'm' }, \
		{ "timeout", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },    \
	{                                                                                           \
		"version", no_argument, NULL, 'V'                                                   \
	}

#define WATCH_HELP                                                                                     \
	"  --directory DIR        watch DIR/NAME.qmp and DIR/NAME/qmp; by default /run/pmvm, or for\n" \
	"                         users $XDG_RUNTIME_DIR/pmvm\n"                                       \
	"  --machine NAME=PATH    watch this socket; may be repeated\n"                                \
	"  --timeout SECONDS      for all answers of a machine; by default 3\n"                        \
	"  --help, --version\n"

/* Takes one of d, m and t. -EINVAL: its argument is wrong. */
int watch_option(struct machines *machines, int letter, const char *arg, struct vpmem_error *err);

/* Seconds with a fraction, from 0.1 to a day, as milliseconds. `name` is the option's. */
int watch_seconds(const char *name, const char *arg, unsigned *ms, struct vpmem_error *err);

/* After the last option: the defaults of what was not given. */
void watch_defaults(struct machines *machines);

/* "PROGRAM: text (hint)" on standard error. */
void watch_complain(const char *program, const struct vpmem_error *err);

#endif
