// SPDX-License-Identifier: Apache-2.0
/*
 * mountinfo.h - the mounts of /proc/self/mountinfo, proc(5).
 *
 * Not by libmount: it undoes the kernel's escapes in the options as a whole, and then a comma in the name of a
 * directory ends the option that it belongs to.
 */
#ifndef PMVM_OCI_MOUNTINFO_H
#define PMVM_OCI_MOUNTINFO_H

#include <stdint.h>
#include <stdio.h>

struct mount {
	uint64_t id;
	char *device; /* "major:minor": all mounts of one file system have the same */
	char *root;   /* the directory of the file system that is mounted: "/" unless it is a bind mount */
	char *mount_point;
	char *type;
	char *options; /* of the file system; a value in it has the kernel's escapes: mountinfo_unescape */
};

/*
 * The next mount; lines that are none are left out. 0: the caller frees *mount. -ENOENT: there is no other one.
 * -ENOMEM. After a failure *mount is all zeros.
 */
int mountinfo_next(FILE *mountinfo, struct mount *mount);
/* From here on, the mount with this id, which statx(2) reports. As above. */
int mountinfo_find(FILE *mountinfo, uint64_t id, struct mount *mount);
void mountinfo_mount_fini(struct mount *mount);

/* Replaces \ooo (three octal digits) by its byte, in place. */
void mountinfo_unescape(char *text);

#endif
