// SPDX-License-Identifier: Apache-2.0
// Converts the words of a line into the arguments of a command. Texts are those of QEMU's monitor.
#include "hmp.h"

#include "config.h"
#include "config_chardev.h"
#include "keyval.h"
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

size_t hmp_next_word(const char **text, const char **word)
{
	const char *p = skip_blanks(*text);

	*word = p;
	while (*p && !isspace((unsigned char)*p))
		p++;
	*text = p;
	return (size_t)(p - *word);
}

// The character that \c is; 0: none.
static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case '\\':
	case '\'':
	case '"':
		return c;
	default:
		return '\0';
	}
}

// "a \"quoted\" word", from after its first quote. Returns the length, or -1 with the error in the output.
static ssize_t read_quoted(const char **text, char *buf, struct hmp_out *out)
{
	const char *p = *text;
	size_t len = 0;

	for (; *p != '"'; p++) {
		if (*p == '\\' && p[1]) {
			char c = unescape(*++p);

			if (!c) {
				hmp_printf(out, "unsupported escape code: '\\%c'\n", *p);
				return -1;
			}
			buf[len++] = c;
		} else if (*p) {
			buf[len++] = *p;
		} else {
			hmp_printf(out, "unterminated string\n");
			return -1;
		}
	}
	*text = p + 1;
	return (ssize_t)len;
}

// A word, quoted or not, into buf, which is as long as the text. Returns 1; 0: there is none; -1.
static int read_word(const char **text, char *buf, struct hmp_out *out)
{
	const char *word;
	ssize_t len;

	*text = skip_blanks(*text);
	if (**text == '"') {
		++*text;
		len = read_quoted(text, buf, out);
	} else {
		len = (ssize_t)hmp_next_word(text, &word);
		memcpy(buf, word, (size_t)len);
		if (len == 0)
			return 0;
	}
	if (len < 0)
		return -1;
	buf[len] = '\0';
	return 1;
}

// The rest of the line without the blanks at its end.
static int read_rest(const char **text, char *buf)
{
	const char *p = skip_blanks(*text);
	size_t len = strlen(p);

	while (len > 0 && isspace((unsigned char)p[len - 1]))
		len--;
	memcpy(buf, p, len);
	buf[len] = '\0';
	*text = p + strlen(p);
	return len > 0;
}

static bool is_object_add(const struct command *cmd)
{
	return !strcmp(cmd->hmp_key, "qom-type");
}

static int help_on(const struct command *cmd, const char *type, FILE *file, struct vpmem_error *err)
{
	if (is_object_add(cmd))
		return config_object_help(type, file, err);
	if (strcmp(cmd->hmp_key, "type") == 0)
		return config_netdev_help(type, file, err);
	return strcmp(cmd->hmp_key, "backend") == 0 ? config_chardev_help(type, file, err) :
	                                              config_device_help(type, file, err);
}

// In QEMU the argument of object_add is the rest of the line (so a path may have blanks), that of device_add is one
// word. JSON may have blanks in both.
static int read_options(const struct command *cmd, const char **text, char *buf, struct hmp_out *out)
{
	const char *p = skip_blanks(*text);

	if (*p == '{' || (is_object_add(cmd) && *p != '"'))
		return read_rest(text, buf);
	return read_word(text, buf, out);
}

// "device_add virtio-pmem-pci,help": as on the command line.
static void print_help(const struct command *cmd, struct json_object *args, struct hmp_out *out)
{
	struct vpmem_error err = { "", "" };
	struct json_object *json;
	const char *type = json_object_object_get_ex(args, cmd->hmp_key, &json) ? json_object_get_string(json) : NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);
	int rc;

	if (!file) {
		out->text.failed = true;
		return;
	}
	rc = help_on(cmd, type, file, &err);
	if (fclose(file) != 0)
		out->text.failed = true;
	else
		hmp_out_append(out, text, len);
	free(text);
	if (rc < 0)
		hmp_out_error(out, &err);
}

// Not to the log: the line is the client's, and so are the words in the warning.
static void print_warning(void *owner, const char *text)
{
	hmp_printf(owner, "warning: %s\n", text);
}

static struct json_object *parse_options(const struct command *cmd, const char *text, struct hmp_out *out)
{
	struct keyval_syntax syntax = {
		.implied_key = cmd->hmp_key,
		.list_key = is_object_add(cmd) ? "host-nodes" : NETDEV_LIST_KEYS,
		.warn = print_warning,
		.warn_owner = out,
	};
	struct vpmem_error err = { "", "" };
	struct json_object *args = NULL;
	bool help = false;

	if (*text == '{') {
		if (keyval_parse_json(text, &args, &err) == 0)
			return args;
		hmp_out_error(out, &err);
		return NULL;
	}
	args = *text ? keyval_parse(text, &syntax, &help) : json_object_new_object();
	if (args && help) {
		print_help(cmd, args, out);
		json_object_put(args);
		return NULL;
	}
	if (!args)
		out->text.failed = true;
	return args;
}

static struct json_object *make(const struct command *cmd, const char *word, bool has_word, struct hmp_out *out)
{
	struct json_object *args;

	if (cmd->hmp_args == HMP_OPTIONS)
		return parse_options(cmd, word, out);
	args = json_object_new_object();
	if (args && has_word)
		json_object_object_add(args, cmd->hmp_key, json_object_new_string(word));
	return args;
}

// The line has too few or too many words. The second line of the message says where the help is.
static struct json_object *misused(const struct command *cmd, const char *what, struct hmp_out *out)
{
	if (what)
		hmp_printf(out, "%s: %s\n", cmd->hmp_name, what);
	hmp_printf(out, "Try \"help %s\" for more information\n", cmd->hmp_name);
	return NULL;
}

// The second word of a switch, after the first one. Returns 1, or -1.
static int read_switch(const struct command *cmd, const char **text, char *buf, bool *on, struct hmp_out *out)
{
	int rc = read_word(text, buf, out);

	*on = rc == 1 && strcmp(buf, "on") == 0;
	if (rc == 1 && (*on || strcmp(buf, "off") == 0))
		return 1;
	if (rc >= 0)
		hmp_printf(out, "%s: Expected 'on' or 'off'\n", cmd->hmp_name);
	return -1;
}

static struct json_object *parse_switch(const struct command *cmd, const char *text, char *buf, struct hmp_out *out)
{
	struct json_object *args = NULL;
	int rc = read_word(&text, buf, out);
	bool on = false;

	if (rc == 0)
		return misused(cmd, "string expected", out);
	if (rc == 1)
		args = make(cmd, buf, true, out);
	if (rc == 1)
		rc = read_switch(cmd, &text, buf, &on, out);
	if (args && rc == 1 && !*skip_blanks(text)) {
		json_object_object_add(args, cmd->hmp_switch, json_object_new_boolean(on));
		return args;
	}
	json_object_put(args);
	return misused(cmd, rc == 1 ? "extraneous characters at the end of line" : NULL, out);
}

// In QEMU it is an expression, of which a number is what people write. NULL: not a number; the reason is in the output.
static struct json_object *mib_value(const struct command *cmd, const char *text, struct hmp_out *out)
{
	uint64_t mib;
	int rc = uint_parse(text, &mib);

	if (rc == 0 && mib <= INT64_MAX >> 20)
		return json_object_new_int64((int64_t)(mib << 20));
	if (rc == 0 || rc == -ERANGE)
		hmp_printf(out, "integer is too large\n");
	else if (text[0] == '-')
		hmp_printf(out, "enter a positive value\n");
	else if (isdigit((unsigned char)text[0]))
		hmp_printf(out, "%s: extraneous characters at the end of line\n", cmd->hmp_name);
	else
		hmp_printf(out, "invalid char '%c' in expression\n", text[0]);
	return NULL;
}

static struct json_object *parse_mib(const struct command *cmd, const char *text, char *buf, struct hmp_out *out)
{
	struct json_object *args, *val;

	if (read_word(&text, buf, out) <= 0) {
		hmp_printf(out, "unexpected end of expression\n");
		return misused(cmd, NULL, out);
	}
	if (*skip_blanks(text))
		return misused(cmd, "extraneous characters at the end of line", out);
	val = mib_value(cmd, buf, out);
	if (!val)
		return misused(cmd, NULL, out);
	args = json_object_new_object();
	if (args)
		json_object_object_add(args, cmd->hmp_key, val);
	else
		json_object_put(val);
	return args;
}

struct json_object *hmp_parse_args(const struct command *cmd, const char *text, struct hmp_out *out)
{
	// QEMU's device_add reports a missing driver later, with a text of its own.
	bool needed = cmd->hmp_args == HMP_WORD || (cmd->hmp_args == HMP_OPTIONS && is_object_add(cmd));
	char *buf = calloc(1, strlen(text) + 1);
	struct json_object *args = NULL;
	int rc = 0;

	if (!buf) {
		out->text.failed = true;
		return NULL;
	}
	if (cmd->hmp_args == HMP_SWITCH || cmd->hmp_args == HMP_MIB) {
		args = (cmd->hmp_args == HMP_MIB ? parse_mib : parse_switch)(cmd, text, buf, out);
		free(buf);
		return args;
	}
	if (cmd->hmp_args == HMP_OPTIONS)
		rc = read_options(cmd, &text, buf, out);
	else if (cmd->hmp_args != HMP_NONE)
		rc = read_word(&text, buf, out);
	if (rc < 0)
		misused(cmd, NULL, out);
	else if (rc == 0 && needed)
		misused(cmd, "string expected", out);
	else if (*skip_blanks(text))
		misused(cmd, "extraneous characters at the end of line", out);
	else
		args = make(cmd, buf, rc == 1, out);
	free(buf);
	return args;
}
