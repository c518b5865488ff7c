// SPDX-License-Identifier: Apache-2.0
/*
 * file_id.h - which file a path names, so that a program removes only the file that it created.
 *
 * An inode number is used again once its file is gone. So keep the file open (or its socket bound) until
 * file_id_unlink has returned.
 */
#ifndef PMVM_FILE_ID_H
#define PMVM_FILE_ID_H

#include "broker.h"

#include <stdbool.h>
#include <sys/types.h>

struct file_id {
	dev_t dev;
	ino_t ino;
};

/* The file that the path names, from dir_fd as for openat(2); a symbolic link is a file of its own. 0 or -errno. */
int file_id_at(int dir_fd, const char *path, struct file_id *id);
/* The open file. A socket's descriptor has another identity than its path. 0 or -errno. */
int file_id_of_fd(int fd, struct file_id *id);

bool file_id_is_same(const struct file_id *a, const struct file_id *b);
/* true if the path still names this file. */
bool file_id_is_at(const struct file_id *id, const char *path);
/* Removes the path if it still names this file, and the broker may remove it (permit_removal.h). */
void file_id_unlink(const struct file_id *id, const char *path);
extern const struct broker_op file_id_unlink_op;

#endif
