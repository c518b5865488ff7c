// SPDX-License-Identifier: Apache-2.0
/*
 * broker_rig.h - the directory that a broker under test may use, which is the working directory, the files outside it that
 * nothing may touch, and a kernel that checks: linked with --wrap of open64, ioctl, bind and connect.
 */
#ifndef BROKER_RIG_H
#define BROKER_RIG_H

#include <limits.h>
#include <stdbool.h>

#define BROKER_RIG_FDS 5

extern char broker_rig_dir[PATH_MAX + 16];
/* To pass to the broker: the ends of a pipe, a file outside to read only, /dev/null to write only, a socket of
 * datagrams. */
extern int broker_rig_fds[BROKER_RIG_FDS];

/* Once. The directory is removed at the end of the process. */
void broker_rig_set_up(void);
/* Files and links that are the same for each input. */
void broker_rig_fill(void);
/* Outside the directory all is as it was, and in it the file that no operation has created. */
void broker_rig_check_files(void);
unsigned broker_rig_count_fds(void);

/* The path is the directory, or below it. */
bool broker_rig_is_below(const char *path);
/* What a descriptor names. */
void broker_rig_target(int fd, char target[PATH_MAX]);

#endif
