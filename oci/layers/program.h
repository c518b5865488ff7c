// SPDX-License-Identifier: Apache-2.0
/*
 * program.h - runs a program to its end, whatever state this process is in.
 *
 * An engine may call us without PATH, with signals ignored or blocked and with descriptors of its own. The program has
 * an empty environment but for LC_ALL=C, default signals, the descriptors 0, 1 and 2, and ends with the thread that
 * started it. SIGTERM, SIGINT and SIGHUP, which would end this process, end the program instead, and the caller takes
 * back what it has made.
 */
#ifndef PMVM_OCI_PROGRAM_H
#define PMVM_OCI_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <vpmem.h>

struct program {
	const char *const *argv; /* ends with NULL; argv[0] is an absolute path */
	int stdin_fd;            /* borrowed; -1: /dev/null */
	uint64_t file_size_max;  /* of a file that it writes, bytes; 0: no limit */
	unsigned timeout_s;      /* 0: no limit */
	char output[400];        /* the last of what it printed, on both streams; a text */
};

/*
 * 0: it ended with status 0. -EIO: another one, or a signal; the text has its output. -EFBIG: it wanted to write beyond
 * file_size_max. -ETIMEDOUT: it was ended after timeout_s. -EINTR: a signal has ended it. -ENOENT and others: it could
 * not be started.
 */
int program_run(struct program *program, struct vpmem_error *err);

#endif
