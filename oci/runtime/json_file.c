// SPDX-License-Identifier: Apache-2.0
// A file that is one JSON value.
#include "json_file.h"

#include "error.h"
#include "json_parse.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_all(const char *path, int fd, struct text *text, struct vpmem_error *err)
{
	char buf[4096];
	ssize_t len;

	while ((len = read(fd, buf, sizeof(buf))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		text_add(text, buf, (size_t)len);
		if (text->len > JSON_FILE_MAX)
			return error_set(err, -EINVAL, "%s: more than %u bytes", path, JSON_FILE_MAX);
	}
	return text_str(text) ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int json_file_read(const char *path, struct json_object **json, struct vpmem_error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc;
	struct vpmem_error why = { "", "" };
	struct text text = { 0 };

	*json = NULL;
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = read_all(path, fd, &text, err);
	if (!is_stdin)
		close(fd);
	if (rc == 0) {
		rc = json_parse(text.buf, json, &why);
		if (rc < 0)
			error_set(err, rc, "%s: %s", path, why.text);
	}
	text_free(&text);
	return rc;
}

static int write_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t len = write(fd, text, left);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		text += len;
		left -= (size_t)len;
	}
	return 0;
}

int json_file_write(const char *path, struct json_object *json, bool is_pretty, struct vpmem_error *err)
{
	const int form = is_pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
	const char *text = json_object_to_json_string_ext(json, form | JSON_C_TO_STRING_NOSLASHESCAPE);
	char temporary[PATH_MAX + 8];
	int fd, rc;

	if (text && strlen(text) > JSON_FILE_MAX)
		return error_set(err, -EFBIG, "%s: more than %u bytes", path, JSON_FILE_MAX);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", temporary, strerror(errno));
	rc = text ? write_all(fd, text) : -ENOMEM;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc == 0)
		return 0;
	unlink(temporary);
	return error_set(err, rc, "%s: %s", path, strerror(-rc));
}
