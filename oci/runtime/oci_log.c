// SPDX-License-Identifier: Apache-2.0
// The messages of a command.
#include "oci_log.h"

#include "error.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 1024u

static struct oci_log out;

void oci_log_use(const struct oci_log *log)
{
	out = *log;
}

static int open_file(void)
{
	return open(out.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
}

int oci_log_check(struct vpmem_error *err)
{
	int fd = out.path ? open_file() : -1;

	if (out.path && fd < 0)
		return error_set(err, -errno, "--log %s: %s", out.path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return 0;
}

static void add_string(struct json_object *line, const char *name, const char *val)
{
	json_object_object_add(line, name, json_object_new_string(val));
}

static void write_json(int fd, const char *level, const char *message, const char *now)
{
	struct json_object *line = json_object_new_object();

	add_string(line, "level", level);
	add_string(line, "msg", message);
	add_string(line, "time", now);
	dprintf(fd, "%s\n",
	        json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

static void write_file(const char *level, const char *message)
{
	struct timespec now;
	char text[40];
	int fd = open_file();

	if (fd < 0) {
		dprintf(STDERR_FILENO, "pmvm-oci: --log %s: %s\n", out.path, strerror(errno));
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	// It ends with a blank.
	text[text_utc(text, sizeof(text), now.tv_sec, (unsigned)(now.tv_nsec / 1000)) - 1] = '\0';
	if (out.is_json)
		write_json(fd, level, message, text);
	else
		dprintf(fd, "%s %s: %s\n", text, level, message);
	close(fd);
}

// On one line, whatever the guest or a file put into it.
static void write_message(const char *level, char *message)
{
	for (char *c = message; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	if (strcmp(level, "error") == 0)
		dprintf(STDERR_FILENO, "pmvm-oci: %s\n", message);
	else
		dprintf(STDERR_FILENO, "pmvm-oci: %s: %s\n", level, message);
	if (out.path)
		write_file(level, message);
}

void oci_log_error(const struct vpmem_error *err)
{
	char message[MESSAGE_SIZE];

	snprintf(message, sizeof(message), "%s%s%s", err->text, err->hint[0] ? ": " : "", err->hint);
	write_message("error", message);
}

void oci_log_warn(const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	write_message("warning", message);
}

void oci_log_debug(const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	if (!out.is_debug)
		return;
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	write_message("debug", message);
}
