// SPDX-License-Identifier: Apache-2.0
// The directories of an overlay mount.
#include "overlay.h"

#include "error.h"
#include "mountinfo.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- the options

// Removes the backslashes that overlayfs has in front of a character, in place.
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*to = '\0';
}

static int add_lower(struct overlay *overlay, const char *path)
{
	char **lower = reallocarray(overlay->lower, overlay->nlower + 1, sizeof(*lower));

	if (!lower)
		return -ENOMEM;
	overlay->lower = lower;
	lower[overlay->nlower] = strdup(path);
	if (!lower[overlay->nlower])
		return -ENOMEM;
	overlay->nlower++;
	return 0;
}

// The end of the first name of a list: at a colon that has no backslash.
static char *name_end(char *list)
{
	while (*list && *list != ':')
		list += *list == '\\' && list[1] ? 2 : 1;
	return list;
}

static int add_lowers(struct overlay *overlay, char *list)
{
	int rc = 0;

	while (rc == 0 && list) {
		char *end = name_end(list);
		bool is_last = *end == '\0';

		*end = '\0';
		unescape(list);
		if (*list)
			rc = add_lower(overlay, list);
		else
			overlay->has_data_only = true;
		list = is_last ? NULL : end + 1;
	}
	return rc;
}

static int set_path(char **path, const char *value)
{
	free(*path);
	*path = strdup(value);
	return *path ? 0 : -ENOMEM;
}

static int take_option(struct overlay *overlay, char *option)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	else
		value = option + strlen(option);
	mountinfo_unescape(value);
	if (strcmp(option, "lowerdir") == 0)
		return add_lowers(overlay, value);
	if (strcmp(option, "lowerdir+") == 0)
		return add_lower(overlay, value);
	if (strcmp(option, "upperdir") == 0)
		return set_path(&overlay->upper, value);
	if (strcmp(option, "workdir") == 0)
		return set_path(&overlay->work, value);
	overlay->has_data_only |= strcmp(option, "datadir+") == 0;
	overlay->metacopy |= strcmp(option, "metacopy") == 0 && strcmp(value, "on") == 0;
	overlay->redirect_dir |= strcmp(option, "redirect_dir") == 0 && strcmp(value, "on") == 0;
	overlay->userxattr |= strcmp(option, "userxattr") == 0;
	return 0;
}

int overlay_parse(const char *options, struct overlay *overlay, struct vpmem_error *err)
{
	char *copy = strdup(options), *rest = copy, *option;
	int rc = copy ? 0 : -ENOMEM;

	*overlay = (struct overlay) { 0 };
	while (rc == 0 && (option = strsep(&rest, ",")))
		rc = take_option(overlay, option);
	free(copy);
	if (rc)
		return error_set(err, rc, "layers: out of memory");
	if (overlay->nlower == 0)
		return error_set(err, -EINVAL, "layers: an overlay mount without lowerdir: %.200s", options);
	return 0;
}

void overlay_fini(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->nlower; i++)
		free(overlay->lower[i]);
	free(overlay->lower);
	free(overlay->upper);
	free(overlay->work);
	*overlay = (struct overlay) { 0 };
}

// ---- the paths

// Removes the last n names of a path; "" is its root.
static void strip_names(char *path, unsigned n)
{
	while (n-- > 0) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return;
		*slash = '\0';
	}
}

// Replaces *path, which is relative to base, by the real one. A missing one: -ENOENT, and *path stays.
static int make_real(char **path, const char *base)
{
	char *joined = NULL, *real;
	int rc;

	if ((*path)[0] != '/' && asprintf(&joined, "%s/%s", base, *path) < 0)
		return -ENOMEM;
	real = realpath(joined ? joined : *path, NULL);
	rc = real ? 0 : -errno;
	free(joined);
	if (real) {
		free(*path);
		*path = real;
	}
	return rc;
}

// Kernels before 6.5 show it as it was typed.
static int make_real_upper(char **path, const char *base)
{
	int rc = make_real(path, base);

	if (rc != -ENOENT || !strchr(*path, '\\'))
		return rc;
	unescape(*path);
	return make_real(path, base);
}

static int resolve_all(struct overlay *overlay, const char *base, const char **which)
{
	int rc = 0;

	if (overlay->upper) {
		*which = overlay->upper;
		rc = make_real_upper(&overlay->upper, base);
	}
	if (rc == 0 && overlay->work) {
		*which = overlay->work;
		rc = make_real_upper(&overlay->work, base);
	}
	for (size_t i = 0; rc == 0 && i < overlay->nlower; i++) {
		*which = overlay->lower[i];
		rc = make_real(&overlay->lower[i], base);
	}
	return rc;
}

int overlay_resolve(struct overlay *overlay, const char *mount_point, struct vpmem_error *err)
{
	char *store = strdup(overlay->upper && overlay->upper[0] == '/' ? overlay->upper : mount_point);
	const char *which = "";
	int rc = store ? 0 : -ENOMEM;

	if (rc == 0) {
		strip_names(store, 2);
		rc = resolve_all(overlay, store, &which);
	}
	if (rc)
		error_set(err, rc, "layers: %s: %s, which %s is mounted from: %s", store ? store : "", which,
		          mount_point, strerror(-rc));
	free(store);
	return rc;
}
