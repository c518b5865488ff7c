// SPDX-License-Identifier: Apache-2.0
/*
 * textfile.h - a file that always has one whole text: the next one takes its place at once.
 */
#ifndef PMVM_TEXTFILE_H
#define PMVM_TEXTFILE_H

#include <stddef.h>
#include <vpmem.h>

/*
 * Writes PATH.tmp, readable by all, and renames it to PATH. The name ends so that node-exporter, which reads *.prom, does
 * not read it. It is not synced: after a power failure the next text is written soon.
 */
int textfile_write(const char *path, const char *buf, size_t len, struct vpmem_error *err);

#endif
