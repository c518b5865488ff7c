// SPDX-License-Identifier: Apache-2.0
/*
 * pid_file.h - the file with the number of a process, for an engine.
 */
#ifndef PMVM_OCI_PID_FILE_H
#define PMVM_OCI_PID_FILE_H

#include <sys/types.h>
#include <vpmem.h>

/* Replaces the file by one with the number. path NULL: there is none. */
int pid_file_write(const char *path, pid_t pid, struct vpmem_error *err);

#endif
