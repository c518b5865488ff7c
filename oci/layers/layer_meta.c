// SPDX-License-Identifier: Apache-2.0
// KEY.json.
#include "layer_meta.h"

#include "error.h"
#include "json_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_SIZE_MAX (64u << 10)

void layer_meta_time(time_t time, char *buf, size_t size)
{
	struct tm utc;

	gmtime_r(&time, &utc);
	if (strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0 && size > 0)
		buf[0] = '\0';
}

// ---- reading

static const char *string_of(struct json_object *object, const char *name)
{
	struct json_object *val = json_object_object_get(object, name);

	return json_object_is_type(val, json_type_string) ? json_object_get_string(val) : NULL;
}

static bool is_sha256(const char *text)
{
	return text && strlen(text) == LAYER_SHA256_LEN && strspn(text, "0123456789abcdef") == LAYER_SHA256_LEN;
}

static int take(struct json_object *object, struct layer_meta *meta)
{
	const char *source = string_of(object, "source"), *sha256 = string_of(object, "sha256"),
		   *created = string_of(object, "created");
	struct json_object *size = json_object_object_get(object, "size");

	if (!source || !is_sha256(sha256) || !created || strlen(created) >= sizeof(meta->created) ||
	    !json_object_is_type(size, json_type_int) || json_object_get_int64(size) < 0)
		return -EBADMSG;
	meta->source = strdup(source);
	meta->size = json_object_get_uint64(size);
	strcpy(meta->sha256, sha256);
	strcpy(meta->created, created);
	return meta->source ? 0 : -ENOMEM;
}

// The caller frees the text.
static int read_file(const char *path, char **text, time_t *last_use)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n = -1;
	int rc;

	if (fd < 0)
		return -errno;
	*text = calloc(1, META_SIZE_MAX + 1);
	if (*text && fstat(fd, &st) == 0)
		n = read(fd, *text, META_SIZE_MAX);
	rc = !*text ? -ENOMEM : n < 0 ? -errno : 0;
	if (rc == 0)
		*last_use = st.st_mtime;
	close(fd);
	return rc;
}

int layer_meta_read(const char *path, struct layer_meta *meta, struct vpmem_error *err)
{
	struct json_object *object = NULL;
	char *text = NULL;
	int rc;

	*meta = (struct layer_meta) { 0 };
	rc = read_file(path, &text, &meta->last_use);
	if (rc)
		error_set(err, rc, "%s: %s", path, strerror(-rc));
	else if (json_parse(text, &object, NULL) || !json_object_is_type(object, json_type_object))
		rc = error_set(err, -EBADMSG, "%s: no description of a layer", path);
	else if ((rc = take(object, meta)))
		error_set(err, rc, "%s: a description of a layer lacks a field", path);
	json_object_put(object);
	free(text);
	return rc;
}

void layer_meta_fini(struct layer_meta *meta)
{
	free(meta->source);
	meta->source = NULL;
}

// ---- writing

static int add(struct json_object *object, const char *name, struct json_object *val)
{
	if (val && json_object_object_add(object, name, val) == 0)
		return 0;
	json_object_put(val);
	return -ENOMEM;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		rc = n < 0 ? -errno : -ENOSPC;
	else if (fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int write_object(const char *path, struct json_object *object)
{
	char *tmp = NULL;
	int rc = asprintf(&tmp, "%s.tmp", path) < 0 ? -ENOMEM : 0;

	if (rc == 0) {
		rc = write_text(tmp, json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE));
		if (rc == 0 && rename(tmp, path) < 0)
			rc = -errno;
		if (rc)
			unlink(tmp);
		free(tmp);
	}
	return rc;
}

int layer_meta_write(const char *path, const struct layer_meta *meta, struct vpmem_error *err)
{
	struct json_object *object = json_object_new_object();
	int rc = object ? 0 : -ENOMEM;

	rc = rc ? rc : add(object, "source", json_object_new_string(meta->source));
	rc = rc ? rc : add(object, "size", json_object_new_uint64(meta->size));
	rc = rc ? rc : add(object, "sha256", json_object_new_string(meta->sha256));
	rc = rc ? rc : add(object, "created", json_object_new_string(meta->created));
	rc = rc ? rc : write_object(path, object);
	json_object_put(object);
	return rc ? error_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

void layer_meta_touch(const char *path)
{
	(void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}
