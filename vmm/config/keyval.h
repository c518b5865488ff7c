// SPDX-License-Identifier: Apache-2.0
/*
 * keyval.h - `key=value,key=value` and JSON, as on the command line, into a json_object.
 *
 * The text form is QEMU's (QemuOpts):
 *   - the first word needs no key if the option has an implied one: "memory-backend-file,id=m1";
 *   - `,,` in a value is a comma;
 *   - a bare `flag` is flag=on, a bare `noflag` is flag=off; both are deprecated and warn, in two lines;
 *   - the last of several equal keys counts, except `id`, where the first does;
 *   - a bare `help` or `?`, or a key of that name, asks for help.
 * All values become strings. Keys keep their order.
 */
#ifndef PMVM_KEYVAL_H
#define PMVM_KEYVAL_H

#include <stdbool.h>
#include <vpmem.h>

struct json_object;

struct keyval_syntax {
	const char *implied_key; /* key of a first word without one; NULL: such a word is a flag */
	const char *list_key;    /* these keys, separated by '|', may repeat: an array of strings each; NULL: none */
	/*
	 * Takes a warning, as text without a final line end: for the monitor, where it belongs to the client that sent
	 * the line. NULL: log_warn prints it.
	 */
	void (*warn)(void *owner, const char *text);
	void *warn_owner;
};

/*
 * Returns the object, which the caller owns; NULL only when out of memory. *help (may be NULL) is
 * set to whether help was requested. Keys and values are not checked here.
 */
struct json_object *keyval_parse(const char *text, const struct keyval_syntax *syntax, bool *help);

bool keyval_is_help(const char *word);

/* One JSON object as a whole argument, in QMP's dialect (json_parse.h). Errors are QEMU's: "JSON parse error, ...". */
int keyval_parse_json(const char *text, struct json_object **out, struct vpmem_error *err);

#endif
