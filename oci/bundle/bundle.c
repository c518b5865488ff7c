// SPDX-License-Identifier: Apache-2.0
// Reads config.json.
#include "bundle.h"

#include "bundle_field.h"
#include "bundle_parts.h"
#include "error.h"
#include "json_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_SIZE_MAX (1u << 20) /* as json_parse: a larger one does not fit into a frame to the guest either */

// ---- the file

static int read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, size - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < size) || (n < 0 && errno == EINTR));
	if (n < 0)
		return -errno;
	if (len == size)
		return -EFBIG;
	text[len] = '\0';
	return memchr(text, '\0', len) ? -EINVAL : 0;
}

static int read_config(const char *path, char **text)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;

	if (rc == 0) {
		*text = malloc(CONFIG_SIZE_MAX + 1);
		rc = *text ? read_all(fd, *text, CONFIG_SIZE_MAX + 1) : -ENOMEM;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int parse_config(struct bundle *bundle, const char *path, struct vpmem_error *err)
{
	struct vpmem_error why = { .text = "" };
	char *text = NULL;
	int rc = read_config(path, &text);

	if (rc)
		error_set(err, rc, "%s: %s", path, strerror(-rc));
	else if ((rc = json_parse(text, &bundle->config, &why)))
		error_set(err, rc, "%s: %.400s", path, why.text);
	else if (!json_object_is_type(bundle->config, json_type_object))
		rc = error_set(err, -EINVAL, "%s: not an object", path);
	free(text);
	return rc;
}

// ---- its members

static int check_version(struct json_object *config, struct vpmem_error *err)
{
	struct json_object *version;
	int rc = field_need(config, "", "ociVersion", json_type_string, &version, err);

	if (rc || strncmp(json_object_get_string(version), "1.", 2) == 0)
		return rc;
	error_set(err, -EINVAL, "ociVersion: %s", json_object_get_string(version));
	error_hint(err, "version 1 of the OCI runtime specification is supported");
	return -EINVAL;
}

static int take_root(struct bundle *bundle, struct vpmem_error *err)
{
	struct json_object *root, *path;
	int rc = field_need(bundle->config, "", "root", json_type_object, &root, err);

	rc = rc ? rc : field_need(root, "root", "path", json_type_string, &path, err);
	rc = rc ? rc : field_bool(root, "root", "readonly", &bundle->root_readonly, err);
	if (rc)
		return rc;
	if (json_object_get_string_len(path) == 0)
		return error_set(err, -EINVAL, "root.path: empty");
	if (*json_object_get_string(path) == '/')
		bundle->root_path = strdup(json_object_get_string(path));
	else if (asprintf(&bundle->root_path, "%s/%s", bundle->dir, json_object_get_string(path)) < 0)
		bundle->root_path = NULL;
	return bundle->root_path ? 0 : error_set(err, -ENOMEM, "root.path: out of memory");
}

static int take_process(struct bundle *bundle, struct vpmem_error *err)
{
	struct json_object *process, *size;
	int64_t rows = 0, columns = 0;
	int rc = field_need(bundle->config, "", "process", json_type_object, &process, err);

	rc = rc ? rc : bundle_process_check(process, err);
	rc = rc ? rc : field_bool(process, "process", "terminal", &bundle->terminal, err);
	rc = rc ? rc : field_get(process, "process", "consoleSize", json_type_object, &size, err);
	rc = rc ? rc : field_int(size, "process.consoleSize", "height", 0, USHRT_MAX, &rows, err);
	rc = rc ? rc : field_int(size, "process.consoleSize", "width", 0, USHRT_MAX, &columns, err);
	bundle->console_rows = (unsigned)rows;
	bundle->console_columns = (unsigned)columns;
	return rc;
}

static int take_config(struct bundle *bundle, struct vpmem_error *err)
{
	struct json_object *linux_object;
	const char *text;
	int rc = check_version(bundle->config, err);

	rc = rc ? rc : take_root(bundle, err);
	rc = rc ? rc : take_process(bundle, err);
	rc = rc ? rc : field_string(bundle->config, "", "hostname", &text, err);
	rc = rc ? rc : field_string(bundle->config, "", "domainname", &text, err);
	rc = rc ? rc : field_get(bundle->config, "", "annotations", json_type_object, &bundle->annotations, err);
	rc = rc ? rc : bundle_take_annotations(bundle, err);
	rc = rc ? rc : field_need(bundle->config, "", "linux", json_type_object, &linux_object, err);
	rc = rc ? rc : bundle_take_namespaces(bundle, linux_object, err);
	rc = rc ? rc : bundle_take_linux(bundle, linux_object, err);
	rc = rc ? rc : bundle_take_mounts(bundle, err);
	return rc ? rc : bundle_take_hooks(bundle, err);
}

int bundle_load(const char *dir, const char *file, struct bundle *bundle, struct vpmem_error *err)
{
	struct vpmem_error why = { .text = "" };
	char *path = NULL;
	int rc;

	*bundle = (struct bundle) { .dir = realpath(dir, NULL) };
	if (!bundle->dir)
		return error_set(err, -errno, "bundle %s: %s", dir, strerror(errno));
	rc = *file == '/' ? asprintf(&path, "%s", file) : asprintf(&path, "%s/%s", bundle->dir, file);
	if (rc < 0) {
		path = NULL;
		rc = error_set(err, -ENOMEM, "out of memory");
	} else {
		rc = parse_config(bundle, path, err);
	}
	if (rc == 0) {
		rc = take_config(bundle, &why);
		if (rc) {
			error_set(err, rc, "config.json: %.490s", why.text);
			error_hint(err, "%s", why.hint);
		}
	}
	free(path);
	if (rc)
		bundle_fini(bundle);
	return rc;
}

void bundle_fini(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->nshares; i++)
		free(bundle->shares[i].host);
	for (size_t i = 0; i < bundle->npmem; i++) {
		free(bundle->pmem[i].file);
		free(bundle->pmem[i].target);
	}
	for (size_t i = 0; i < bundle->nmemory; i++)
		free(bundle->memory[i].name);
	free(bundle->memory);
	free(bundle->pod.pidns_path);
	free(bundle->shares);
	free(bundle->pmem);
	bundle_hooks_fini(bundle->hooks);
	free(bundle->dir);
	free(bundle->root_path);
	free(bundle->netns_path);
	free(bundle->cgroups_path);
	free(bundle->kernel);
	json_object_put(bundle->guest_mounts);
	json_object_put(bundle->config);
	*bundle = (struct bundle) { 0 };
}
