// SPDX-License-Identifier: Apache-2.0
/*
 * options_readconfig.c - -readconfig FILE: options in QEMU's form of an .ini file.
 *
 *   [device "id"]          # -device driver=virtio-rng-pci,id=id
 *     driver = "virtio-rng-pci"
 *
 * A section is an option, and its lines are the keys of its argument. It counts where -readconfig is on the command line.
 */
#include "error.h"
#include "options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64u << 10)
#define NAME_SIZE 64u

// The sections whose name is not that of the option.
static const struct {
	const char *section, *option;
} names[] = { { "memory", "m" }, { "smp-opts", "smp" }, { "boot-opts", "boot" } };

struct section {
	const char *file;
	unsigned line;        /* of the file, from 1 */
	unsigned begins;      /* the line of the section's head; 0: there is none yet */
	char name[NAME_SIZE]; /* of the option */
	char *arg;            /* so far */
};

static int bad_line(struct cmdline *cl, const struct section *s, const char *what)
{
	return error_set(cl->err, -EINVAL, "%.200s:%u: %s", s->file, s->line, what);
}

// "key=value", with the commas of the value doubled.
static int append(struct cmdline *cl, struct section *s, const char *key, const char *value)
{
	size_t len = strlen(s->arg);
	char *arg = realloc(s->arg, len + strlen(key) + 2 * strlen(value) + 3), *to;

	if (!arg)
		return error_set(cl->err, -ENOMEM, "out of memory");
	s->arg = arg;
	to = arg + len;
	if (len > 0)
		*to++ = ',';
	to = stpcpy(to, key);
	*to++ = '=';
	for (; *value; value++) {
		*to++ = *value;
		if (*value == ',')
			*to++ = ',';
	}
	*to = '\0';
	return 0;
}

static int end_section(struct cmdline *cl, struct section *s)
{
	const struct option *opt = s->begins ? option_find(s->name, strlen(s->name)) : NULL;
	struct vpmem_error inner = { "", "" }, *err = cl->err;
	int rc;

	if (!s->begins)
		return 0;
	if (!opt || opt->kind != OPTION_ARGUMENT || opt->handle == handle_readconfig) {
		error_set(err, -EINVAL, "%.200s:%u: There is no option group '%s'", s->file, s->begins, s->name);
		return -EINVAL;
	}
	cl->err = &inner;
	rc = opt->handle(cl, s->arg);
	cl->err = err;
	s->begins = 0;
	s->arg[0] = '\0';
	if (rc < 0) {
		error_set(err, rc, "%.100s: [%s]: %.300s", s->file, s->name, inner.text);
		if (inner.hint[0])
			error_hint(err, "%s", inner.hint);
	}
	return rc;
}

// [name] or [name "id"]
static int begin_section(struct cmdline *cl, struct section *s, const char *text)
{
	char name[NAME_SIZE] = "", id[NAME_SIZE] = "", *end;
	size_t len = strcspn(++text, " \"]");

	if (len == 0 || len >= sizeof(name))
		return bad_line(cl, s, "parse error");
	memcpy(name, text, len);
	text += len + strspn(text + len, " ");
	if (*text == '"') {
		end = strchr(text + 1, '"');
		if (!end || (size_t)(end - text) > sizeof(id))
			return bad_line(cl, s, "parse error");
		memcpy(id, text + 1, (size_t)(end - text) - 1);
		text = end + 1;
	}
	if (*text != ']')
		return bad_line(cl, s, "parse error");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].section, name) == 0)
			strcpy(name, names[i].option);
	memcpy(s->name, name, sizeof(name));
	s->begins = s->line;
	return *id ? append(cl, s, "id", id) : 0;
}

// key = "value"
static int add_line(struct cmdline *cl, struct section *s, char *text)
{
	size_t len = strcspn(text, " \t=");
	char *value = text + len + strspn(text + len, " \t"), *end;

	if (!s->begins)
		return bad_line(cl, s, "no group defined");
	if (*value++ != '=')
		return bad_line(cl, s, "parse error");
	value += strspn(value, " \t");
	end = *value == '"' ? strchr(value + 1, '"') : NULL;
	if (!end || len == 0)
		return bad_line(cl, s, "parse error");
	text[len] = *end = '\0';
	return append(cl, s, text, value + 1);
}

static int read_line(struct cmdline *cl, struct section *s, char *text)
{
	int rc;

	text += strspn(text, " \t\r");
	if (!*text || *text == '#')
		return 0;
	if (*text != '[')
		return add_line(cl, s, text);
	rc = end_section(cl, s);
	return rc ? rc : begin_section(cl, s, text);
}

static int read_all(struct cmdline *cl, struct section *s, char *text)
{
	char *line;
	int rc = 0;

	while (rc == 0 && (line = strsep(&text, "\n"))) {
		s->line++;
		rc = read_line(cl, s, line);
	}
	return rc ? rc : end_section(cl, s);
}

// NULL with the error set.
static char *read_file(struct cmdline *cl, const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, FILE_MAX + 1) : NULL;
	size_t len = text ? fread(text, 1, FILE_MAX + 1, file) : 0;
	int error = !text || ferror(file) ? errno : len > FILE_MAX ? EFBIG : 0;

	if (file)
		fclose(file);
	if (error == 0) {
		text[len] = '\0';
		return text;
	}
	free(text);
	error_set(cl->err, -error, "Could not open '%.200s': %s", path, strerror(error));
	return NULL;
}

int handle_readconfig(struct cmdline *cl, const char *arg)
{
	struct section s = { .file = arg, .arg = calloc(1, 1) };
	char *text = s.arg ? read_file(cl, arg) : NULL;
	int rc = text ? read_all(cl, &s, text) : -EINVAL;

	if (!s.arg)
		rc = error_set(cl->err, -ENOMEM, "out of memory");
	free(text);
	free(s.arg);
	return rc;
}
