// SPDX-License-Identifier: Apache-2.0
/*
 * options_fixture.h - command lines as text: parsed, and the result described as text.
 */
#ifndef OPTIONS_FIXTURE_H
#define OPTIONS_FIXTURE_H

#include "options.h"

#define WORDS_MAX 1024

/*
 * Parses a line whose words are separated by single spaces, as a shell would split it ('' is an empty
 * word). Clears the fake log and the error first.
 */
enum options_result parse_line(const char *line, struct machine_config *opts, struct vpmem_error *err);

/* All fields of the options, one way only: equal options have equal texts. In a static buffer. */
const char *describe(const struct machine_config *opts);

/* A line that is refused. */
struct refused {
	const char *line;
	const char *text; /* "@": the line, then ": " */
	const char *hint; /* part of it; NULL: there is none */
};
/* Fails the test unless the line is refused with this text, this hint, and nothing left behind. */
void check_refused(const struct refused *c);

/* What the line prints on standard output; the caller frees it. */
char *output_of(const char *line, enum options_result *result);

/* The result of a line whose output no room is left for. */
enum options_result result_on_full_output(const char *line, struct vpmem_error *err);

/* The whole of a file of the source tree; the caller frees it. Fails the test if it cannot be read. */
char *read_source(const char *path);

/* An object or a device of the command line, which must be a memory-backend-file or a virtio-pmem-pci. */
const struct memdev_config *memdev_at(const struct machine_config *opts, unsigned idx);
const struct pmem_config *pmem_at(const struct machine_config *opts, unsigned idx);

#endif
