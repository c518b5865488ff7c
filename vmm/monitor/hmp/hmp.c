// SPDX-License-Identifier: Apache-2.0
// HMP, the monitor for people: a client with its line editor, and the execution of a line.
#include "hmp.h"

#include "hmp_edit.h"
#include "monitor_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PROMPT "(pmvm) "
#define BANNER "pmvm " VPMEM_VERSION " monitor - type 'help' for more information\n"

// ---- a line

static void run(struct monitor *mon, const struct command *cmd, struct json_object *args, bool text,
                struct hmp_out *out)
{
	const struct command_context ctx = { .monitor = mon, .machine = mon->machine, .text = text };
	struct vpmem_error err = { "", "" };
	struct json_object *ret = NULL;

	if (command_run(cmd, &ctx, args, &ret, &err) < 0) {
		hmp_out_error(out, &err);
		return;
	}
	if (cmd->hmp_print)
		cmd->hmp_print(ret, out);
	json_object_put(ret);
}

static void unknown(const char *name, size_t len, bool is_info, struct hmp_out *out)
{
	hmp_printf(out, "unknown command: '%.*s'\n", (int)len, name);
	hmp_printf(out, "Try \"help%s\" for more information\n", is_info ? " info" : "");
}

// "info  status" into "info status". NULL: that is no command.
static const struct command *find_info(const char *word, size_t len)
{
	char name[64] = "info ";

	if (len >= sizeof(name) - 5)
		return NULL;
	memcpy(name + 5, word, len);
	return hmp_find(name, len + 5);
}

void hmp_run_line(struct monitor *mon, const char *line, struct hmp_out *out)
{
	const struct command *cmd;
	const char *rest = line, *name, *word;
	size_t len = hmp_next_word(&rest, &name);
	bool is_info = len == 4 && !strncmp(name, "info", 4);
	struct json_object *args;

	if (len == 0)
		return;
	if ((len == 4 && !strncmp(name, "help", 4)) || (len == 1 && *name == '?')) {
		hmp_help(rest, out);
		return;
	}
	if (is_info) {
		len = hmp_next_word(&rest, &word);
		if (len == 0) {
			hmp_help("info", out);
			return;
		}
		cmd = find_info(word, len);
		len = (size_t)(rest - name);
	} else {
		cmd = hmp_find(name, len);
	}
	if (!cmd) {
		unknown(name, len, is_info, out);
		return;
	}
	args = hmp_parse_args(cmd, rest, out);
	if (!args)
		return;
	// JSON has types of its own, as QMP's.
	run(mon, cmd, args, cmd->hmp_args != HMP_OPTIONS || rest[strspn(rest, " \t")] != '{', out);
	json_object_put(args);
}

// ---- a client

struct hmp {
	struct session *session;
	struct hmp_edit *edit; /* NULL until the person is there */
};

static void on_edit_write(void *owner, const char *buf, size_t len)
{
	struct hmp *hmp = owner;

	session_write(hmp->session, buf, len);
}

static void on_edit_line(void *owner, const char *line)
{
	struct hmp *hmp = owner;
	struct hmp_out out = { 0 };

	if (line)
		hmp_run_line(session_monitor(hmp->session), line, &out);
	else
		hmp_printf(&out, "Error: a line has at most %u characters: this one was dropped\n", HMP_LINE_MAX);
	session_write(hmp->session, out.text.buf, out.text.len);
	if (out.text.failed)
		on_edit_write(hmp, "Error: out of memory\r\n", 22);
	text_free(&out.text);
}

static void on_edit_complete(void *owner, const char *text, struct hmp_edit *edit)
{
	struct hmp *hmp = owner;

	hmp_complete(session_monitor(hmp->session)->machine, text, edit);
}

// Of a terminal that is not ours nothing is known.
static unsigned on_edit_columns(void *owner)
{
	const struct hmp *hmp = owner;
	struct winsize size;

	if (!session_is_stdio(hmp->session) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

// The editor is made when it is needed: most multiplexed consoles never show their monitor.
static bool greet(struct hmp *hmp)
{
	const struct hmp_edit_client client = {
		.write = on_edit_write,
		.line = on_edit_line,
		.complete = on_edit_complete,
		.columns = on_edit_columns,
		.owner = hmp,
	};
	struct hmp_out out = { 0 };

	hmp->edit = hmp_edit_create(PROMPT, &client);
	if (!hmp->edit)
		return false;
	hmp_printf(&out, "%s", BANNER);
	session_write(hmp->session, out.text.buf, out.text.len);
	text_free(&out.text);
	hmp_edit_prompt(hmp->edit);
	return true;
}

static void *hmp_open(struct session *s)
{
	struct hmp *hmp = calloc(1, sizeof(*hmp));

	if (!hmp)
		return NULL;
	hmp->session = s;
	if (!session_is_mux(s) && !greet(hmp)) {
		free(hmp);
		return NULL;
	}
	return hmp;
}

static void hmp_input(void *state, const uint8_t *buf, size_t len)
{
	struct hmp *hmp = state;

	if (hmp->edit)
		hmp_edit_feed(hmp->edit, buf, len);
}

static void hmp_focus(void *state, bool focused)
{
	struct hmp *hmp = state;

	if (!focused)
		session_write(hmp->session, "\r\n", 2);
	else if (hmp->edit)
		hmp_edit_prompt(hmp->edit);
	else
		greet(hmp);
}

static void hmp_close(void *state)
{
	struct hmp *hmp = state;

	hmp_edit_destroy(hmp->edit);
	free(hmp);
}

const struct front_end hmp_front_end = {
	.open = hmp_open,
	.input = hmp_input,
	.close = hmp_close,
	.focus = hmp_focus,
};
