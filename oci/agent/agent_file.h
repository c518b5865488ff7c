// SPDX-License-Identifier: Apache-2.0
/*
 * agent_file.h - small files as a whole.
 */
#ifndef PMVM_OCI_AGENT_FILE_H
#define PMVM_OCI_AGENT_FILE_H

#include <stddef.h>
#include <sys/types.h>
#include <vpmem.h>

/* At most size - 1 bytes, then a NUL. Their number, or -errno; buf is then empty. */
ssize_t file_read(const char *path, char *buf, size_t size);
/* Creates it, or writes it anew; mode 0600. */
int file_write(const char *path, const char *text, struct vpmem_error *err);
/* With the directories that are missing above it. */
int directory_make(const char *path, struct vpmem_error *err);

#endif
