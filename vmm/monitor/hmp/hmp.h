// SPDX-License-Identifier: Apache-2.0
/*
 * hmp.h - the functions that the parts of HMP share: hmp.c (a client, a line), hmp_args.c (a line's words), hmp_help.c,
 * hmp_complete.c (Tab). Commands and their arguments are those of command.h; `help` and `info` alone are HMP's.
 */
#ifndef PMVM_HMP_H
#define PMVM_HMP_H

#include "command.h"
#include "hmp_out.h"

struct hmp_edit;

/* ---- words (hmp_args.c) */

/* The first word of *text, which is moved behind it. Returns its length; 0: there is none. */
size_t hmp_next_word(const char **text, const char **word);

/*
 * The arguments that the text after a command's name makes, as the command wants them. Returns the object
 * (the caller owns it); NULL: *out has the error, or the help that was asked for.
 */
struct json_object *hmp_parse_args(const struct command *cmd, const char *text, struct hmp_out *out);

/* ---- commands (hmp_help.c) */

/* By name or alias; "info status" is one name. NULL: none. */
const struct command *hmp_find(const char *name, size_t len);
/* `help`, `help info`, `help device_add`: text is the rest of the line. */
void hmp_help(const char *text, struct hmp_out *out);
/* "status" for "info status"; NULL if the command is no subcommand of info. */
const char *hmp_info_name(const struct command *cmd);
/* true: `help` without arguments lists the command. */
bool hmp_is_listed(const struct command *cmd);

/* ---- Tab (hmp_complete.c) */

void hmp_complete(const struct machine *m, const char *text, struct hmp_edit *edit);

#endif
