// SPDX-License-Identifier: Apache-2.0
// The settings file: a table of names, and lines `name = value`.
#include "settings.h"

#include "error.h"
#include "layers.h"
#include "parse.h"
#include "rootless.h"
#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum setting_type { SETTING_PATH, SETTING_SIZE, SETTING_NUMBER, SETTING_SHARE };

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset; // in struct settings: a char * or a uint64_t
	uint64_t min, max;
};

// The last 2^28 user ids below 2^31: no system gives them to anybody.
#define MACHINE_UID 0x70000000u

#define FIELD(name) offsetof(struct settings, name)

static const struct setting settings_table[] = {
	{ .name = "pmvm", .type = SETTING_PATH, .offset = FIELD(pmvm) },
	{ .name = "kernel", .type = SETTING_PATH, .offset = FIELD(kernel) },
	{ .name = "initrd", .type = SETTING_PATH, .offset = FIELD(initrd) },
	{ .name = "virtiofsd", .type = SETTING_PATH, .offset = FIELD(virtiofsd) },
	{ .name = "mkfs.erofs", .type = SETTING_PATH, .offset = FIELD(mkfs_erofs) },
	{ .name = "layer-cache", .type = SETTING_PATH, .offset = FIELD(layer_cache) },
	{ .name = "layer-cache-size", .type = SETTING_SIZE, .offset = FIELD(layer_cache_size), .max = INT64_MAX },
	{ .name = "layer-timeout", .type = SETTING_NUMBER, .offset = FIELD(layer_timeout_s), .max = 86400 },
	{ .name = "share-layers", .type = SETTING_SHARE, .offset = FIELD(share_layers) },
	{ .name = "memory", .type = SETTING_SIZE, .offset = FIELD(memory), .min = 64u << 20, .max = INT64_MAX },
	{ .name = "memory-overhead", .type = SETTING_SIZE, .offset = FIELD(memory_overhead), .max = INT64_MAX },
	{ .name = "cpus", .type = SETTING_NUMBER, .offset = FIELD(cpus), .min = 1, .max = 256 },
	{ .name = "create-timeout", .type = SETTING_NUMBER, .offset = FIELD(create_timeout_s), .min = 1, .max = 86400 },
	{ .name = "machine-uid", .type = SETTING_NUMBER, .offset = FIELD(machine_uid), .max = MACHINE_UID },
};

static const char *const share_words[] = {
	[LAYER_SHARE_ALL] = "all",
	[LAYER_SHARE_SAME_OWNER] = "same-owner",
	[LAYER_SHARE_NEVER] = "never",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct place {
	const char *path;
	unsigned line;
};

static int set_path(const struct place *at, const char *name, const char *text, char **path, struct vpmem_error *err)
{
	char *copy;

	if (text[0] != '/')
		return error_set(err, -EINVAL, "%s:%u: %s: '%s' is not an absolute path", at->path, at->line, name,
		                 text);
	copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(*path);
	*path = copy;
	return 0;
}

static int set_number(const struct place *at, const struct setting *setting, const char *text, uint64_t *val,
                      struct vpmem_error *err)
{
	bool is_size = setting->type == SETTING_SIZE;
	int rc = is_size ? size_parse(text, val) : uint_parse(text, val);

	if (rc == 0 && *val >= setting->min && *val <= setting->max)
		return 0;
	return error_set(err, -EINVAL, "%s:%u: %s: '%s' is not a %s from %llu to %llu", at->path, at->line,
	                 setting->name, text, is_size ? "size" : "number", (unsigned long long)setting->min,
	                 (unsigned long long)setting->max);
}

static int set_share(const struct place *at, const char *text, uint64_t *val, struct vpmem_error *err)
{
	for (*val = 0; *val < COUNT(share_words); ++*val)
		if (strcmp(text, share_words[*val]) == 0)
			return 0;
	*val = 0;
	return error_set(err, -EINVAL, "%s:%u: share-layers: '%s' is not one of all, same-owner, never", at->path,
	                 at->line, text);
}

static int set(const struct place *at, const char *name, const char *text, struct settings *settings,
               struct vpmem_error *err)
{
	struct suggest near = { .word = name };

	for (size_t i = 0; i < COUNT(settings_table); i++) {
		const struct setting *setting = &settings_table[i];
		void *field = (char *)settings + setting->offset;

		suggest_offer(&near, setting->name);
		if (strcmp(name, setting->name) != 0)
			continue;
		if (setting->type == SETTING_PATH)
			return set_path(at, name, text, field, err);
		if (setting->type == SETTING_SHARE)
			return set_share(at, text, field, err);
		return set_number(at, setting, text, field, err);
	}
	error_set(err, -EINVAL, "%s:%u: no setting '%s'", at->path, at->line, name);
	if (near.best)
		error_hint(err, "did you mean %s?", near.best);
	return -EINVAL;
}

static char *trimmed(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	for (len = strlen(text); len > 0 && isspace((unsigned char)text[len - 1]); len--)
		text[len - 1] = '\0';
	return text;
}

static int read_line(const struct place *at, char *line, struct settings *settings, struct vpmem_error *err)
{
	char *name = trimmed(line), *equals = strchr(name, '=');

	if (name[0] == '\0' || name[0] == '#')
		return 0;
	if (!equals)
		return error_set(err, -EINVAL, "%s:%u: '%s' is not of the form name = value", at->path, at->line, name);
	*equals = '\0';
	return set(at, trimmed(name), trimmed(equals + 1), settings, err);
}

static int read_lines(const char *path, FILE *file, struct settings *settings, struct vpmem_error *err)
{
	struct place at = { .path = path };
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	while (rc == 0 && getline(&line, &size, file) >= 0) {
		at.line++;
		rc = read_line(&at, line, settings, err);
	}
	if (rc == 0 && ferror(file))
		rc = error_set(err, -EIO, "%s: cannot read it", path);
	free(line);
	return rc;
}

// The first `len` bytes of dir, then the rest.
static int set_default(char **path, const char *dir, int len, const char *rest, struct vpmem_error *err)
{
	if (asprintf(path, "%.*s%s", len, dir, rest) >= 0)
		return 0;
	*path = NULL;
	return error_set(err, -ENOMEM, "out of memory");
}

int settings_set_defaults(const char *program, struct settings *settings, struct vpmem_error *err)
{
	const char *slash = strrchr(program, '/');
	int dir = slash ? (int)(slash - program) : 0;
	bool is_installed = dir >= 4 && strncmp(slash - 4, "/bin", 4) == 0;
	int prefix = is_installed ? dir - 4 : dir;
	int rc = set_default(&settings->pmvm, program, dir, "/pmvm", err);

	if (rc == 0)
		rc = set_default(&settings->kernel, program, prefix, is_installed ? "/lib/pmvm/kernel" : "/oci/kernel",
		                 err);
	if (rc == 0)
		rc = set_default(&settings->initrd, program, prefix,
		                 is_installed ? "/lib/pmvm/initrd.img" : "/oci/initrd.img", err);
	if (rc == 0)
		rc = set_default(&settings->virtiofsd, "", 0, "/usr/lib/qemu/virtiofsd", err);
	if (rc == 0)
		rc = set_default(&settings->mkfs_erofs, "", 0, "/usr/bin/mkfs.erofs", err);
	if (rc == 0)
		rc = set_default(&settings->layer_cache, "", 0, "/var/lib/pmvm/layers", err);
	settings->memory = 2ull << 30;
	settings->memory_overhead = 128u << 20;
	settings->cpus = 1;
	settings->create_timeout_s = 120;
	settings->layer_timeout_s = 600;
	settings->machine_uid = MACHINE_UID;
	return rc;
}

static int read_settings(const char *path, bool may_be_missing, struct settings *settings, struct vpmem_error *err)
{
	FILE *file = fopen(path, "re");
	int rc;

	if (!file && errno == ENOENT && may_be_missing)
		return 0;
	if (!file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = read_lines(path, file, settings, err);
	fclose(file);
	return rc;
}

// What the administrator chose for root's machines cannot be had: the cache is root's, and so are the users of machines.
static void take_own_places(struct settings *settings)
{
	char *cache = rootless_home(".local/share/pmvm/layers");

	settings->machine_uid = 0;
	if (!cache)
		return;
	free(settings->layer_cache);
	settings->layer_cache = cache;
}

static int check_own(const struct settings *settings, struct vpmem_error *err)
{
	if (settings->machine_uid == 0)
		return 0;
	error_set(err, -ENOTSUP,
	          "machine-uid: not supported without root: all machines run as the user who starts them");
	error_hint(err, "leave the line out");
	return -ENOTSUP;
}

static int load_own(const char *path, struct settings *settings, struct vpmem_error *err)
{
	char *own = path ? NULL : rootless_home(SETTINGS_FILE_OWN);
	int rc = path ? 0 : read_settings(SETTINGS_FILE, true, settings, err);

	take_own_places(settings);
	if (rc == 0 && path)
		rc = read_settings(path, false, settings, err);
	else if (rc == 0 && own)
		rc = read_settings(own, true, settings, err);
	free(own);
	return rc ? rc : check_own(settings, err);
}

int settings_load(const char *path, struct settings *settings, struct vpmem_error *err)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int rc;

	if (len < 0)
		return error_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
	program[len] = '\0';
	rc = settings_set_defaults(program, settings, err);
	if (rc < 0)
		return rc;
	if (rootless_is())
		return load_own(path, settings, err);
	return read_settings(path ? path : SETTINGS_FILE, !path, settings, err);
}

void settings_fini(struct settings *settings)
{
	for (size_t i = 0; i < COUNT(settings_table); i++)
		if (settings_table[i].type == SETTING_PATH)
			free(*(char **)((char *)settings + settings_table[i].offset));
	*settings = (struct settings) { 0 };
}
