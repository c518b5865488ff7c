// SPDX-License-Identifier: Apache-2.0
/*
 * outfile.h - a file that takes output: created or as it is until the start has succeeded, then emptied or continued.
 */
#ifndef PMVM_OUTFILE_H
#define PMVM_OUTFILE_H

#include "file_id.h"

#include <stdbool.h>

struct outfile {
	const char *path; /* borrowed; NULL: there is none */
	int fd;           /* of outfile_open, borrowed after it; it never blocks */
	bool append;
	bool created;   /* the file is new: removed unless kept */
	bool is_denied; /* it was not opened, because the sandbox does not permit the path */
	struct file_id id;
};

/* The caller closes file->fd, after outfile_remove. -errno. */
int outfile_open(struct outfile *file, const char *path, bool append);
/* After a failure: a hint, if the sandbox was the reason. */
void outfile_hint(const struct outfile *file, struct vpmem_error *err);
extern const struct broker_op outfile_open_op;
/* The start succeeded: a created file stays, an existing one is emptied unless it is appended to. */
void outfile_keep(struct outfile *file);
/* Removes a file that was created and not kept. An all-zero struct is legal. */
void outfile_remove(const struct outfile *file);

#endif
