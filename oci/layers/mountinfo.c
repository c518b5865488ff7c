// SPDX-License-Identifier: Apache-2.0
// A line of /proc/self/mountinfo as a mount.
#include "mountinfo.h"

#include "parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

void mountinfo_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) && is_octal(from[3])) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/*
 * "36 35 98:0 /root /mount\040point rw,noatime master:1 shared:2 - overlay overlay rw,lowerdir=...": six fields, any
 * number of others, "-", three fields.
 */
enum { FIELD_ID, FIELD_PARENT, FIELD_DEVICE, FIELD_ROOT, FIELD_MOUNT_POINT, FIELD_MOUNT_OPTIONS, FIELDS_FIRST };
enum { FIELD_TYPE, FIELD_SOURCE, FIELD_OPTIONS, FIELDS_LAST };

// The fields before and after the "-"; false: it is no such line. The line is divided.
static bool divide(char *line, char *first[FIELDS_FIRST], char *last[FIELDS_LAST])
{
	char *rest = line, *field;

	line[strcspn(line, "\n")] = '\0';
	for (unsigned i = 0; i < FIELDS_FIRST; i++) {
		first[i] = strsep(&rest, " ");
		if (!first[i])
			return false;
	}
	do {
		field = strsep(&rest, " ");
	} while (field && strcmp(field, "-") != 0);
	for (unsigned i = 0; i < FIELDS_LAST; i++) {
		last[i] = strsep(&rest, " ");
		if (!last[i])
			return false;
	}
	return true;
}

static int mount_set(struct mount *mount, char *const first[], char *const last[])
{
	if (uint_parse(first[FIELD_ID], &mount->id))
		return -EINVAL;
	mount->device = strdup(first[FIELD_DEVICE]);
	mount->root = strdup(first[FIELD_ROOT]);
	mount->mount_point = strdup(first[FIELD_MOUNT_POINT]);
	mount->type = strdup(last[FIELD_TYPE]);
	mount->options = strdup(last[FIELD_OPTIONS]);
	if (!mount->device || !mount->root || !mount->mount_point || !mount->type || !mount->options) {
		mountinfo_mount_fini(mount);
		return -ENOMEM;
	}
	mountinfo_unescape(mount->root);
	mountinfo_unescape(mount->mount_point);
	return 0;
}

int mountinfo_next(FILE *mountinfo, struct mount *mount)
{
	char *line = NULL, *first[FIELDS_FIRST], *last[FIELDS_LAST];
	size_t size = 0;
	int rc = -EINVAL;

	*mount = (struct mount) { 0 };
	while (rc == -EINVAL) {
		if (getline(&line, &size, mountinfo) < 0)
			rc = -ENOENT;
		else if (divide(line, first, last))
			rc = mount_set(mount, first, last);
	}
	free(line);
	return rc;
}

int mountinfo_find(FILE *mountinfo, uint64_t id, struct mount *mount)
{
	int rc;

	while ((rc = mountinfo_next(mountinfo, mount)) == 0 && mount->id != id)
		mountinfo_mount_fini(mount);
	return rc;
}

void mountinfo_mount_fini(struct mount *mount)
{
	free(mount->device);
	free(mount->root);
	free(mount->mount_point);
	free(mount->type);
	free(mount->options);
	*mount = (struct mount) { 0 };
}
