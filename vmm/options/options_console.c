// SPDX-License-Identifier: Apache-2.0
// -serial, -monitor, -qmp, -nographic, -display, -vga and the other options of the console.
#include "error.h"
#include "keyval.h"
#include "options_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MONITOR_KINDS \
	"stdio, null, none, file:PATH, pty, unix:PATH,server=on,wait=off, tcp:[HOST]:PORT,server=on,wait=off, chardev:ID"
#define SERIAL_KINDS                                                                   \
	"stdio, mon:stdio, file:PATH, pty, null, none, unix:PATH,server=on,wait=off, " \
	"tcp:[HOST]:PORT,server=on,wait=off, chardev:ID"

static int add_monitor(struct cmdline *cl, enum monitor_protocol protocol, const char *id)
{
	struct monitor_config *cfg = &cl->opts->monitors[cl->opts->nmonitors];

	if (cl->opts->nmonitors == MONITORS_MAX)
		return error_set(cl->err, -ENOSPC, "there are %u monitors already", MONITORS_MAX);
	*cfg = (struct monitor_config) { .protocol = protocol };
	cl->monitor_places[cl->opts->nmonitors++] = cl->now;
	return option_string(cl, &cfg->chardev, id);
}

int handle_nographic(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->nographic = true;
	return 0;
}

int handle_nodefaults(struct cmdline *cl, const char *arg)
{
	(void)arg;
	cl->nodefaults = true;
	return 0;
}

int handle_serial(struct cmdline *cl, const char *arg)
{
	const char *id = "serial0";
	bool is_shared = strcmp(arg, "mon:stdio") == 0;
	int rc;

	// Only -serial none may follow the first -serial: it asks for no second port.
	if (cl->serial_given && strcmp(arg, "none") != 0) {
		error_set(cl->err, -EINVAL, "there is one serial port, and it was given before");
		error_hint(cl->err, "leave one -serial out");
		return -EINVAL;
	}
	if (cl->serial_given)
		return 0;
	rc = strcmp(arg, "none") != 0 ? option_chardev_word(cl, arg, SERIAL_KINDS, is_shared, &id) : 0;
	if (rc != 0)
		return rc;
	cl->serial_given = true;
	cl->serial_place = cl->now;
	if (strcmp(arg, "none") == 0)
		return 0;
	rc = option_string(cl, &cl->opts->serial, id);
	if (rc < 0 || !is_shared)
		return rc;
	cl->monitor_given = true;
	return add_monitor(cl, MONITOR_HMP, id);
}

static int open_monitor(struct cmdline *cl, enum monitor_protocol protocol, const char *arg)
{
	char made_id[32];
	const char *id = made_id;
	int rc;

	// As in QEMU, -qmp takes the place of the default monitor as well.
	cl->monitor_given = true;
	if (strcmp(arg, "none") == 0)
		return 0;
	if (cl->opts->nmonitors == MONITORS_MAX)
		return add_monitor(cl, protocol, "");
	snprintf(made_id, sizeof(made_id), "compat_monitor%u", cl->nmonitor_words);
	rc = option_chardev_word(cl, arg, MONITOR_KINDS, false, &id);
	cl->nmonitor_words++;
	return rc ? rc : add_monitor(cl, protocol, id);
}

// -mon chardev=ID,mode=control
struct mon_args {
	char *chardev;
	unsigned mode;
	bool pretty;
};
enum { MODE_READLINE, MODE_CONTROL };
static const char *const mode_words[] = { [MODE_READLINE] = "readline", [MODE_CONTROL] = "control", NULL };
static const struct prop mon_props[] = {
	{ .name = "chardev", .type = PROP_STR, .offset = offsetof(struct mon_args, chardev) },
	{ .name = "id", .type = PROP_ID, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "mode",
	  .type = PROP_WORD,
	  .offset = offsetof(struct mon_args, mode),
	  .words = mode_words,
	  .def = "readline" },
	{ .name = "pretty", .type = PROP_BOOL, .offset = offsetof(struct mon_args, pretty), .def = "off" },
};
static const struct prop_class mon_class = {
	.name = "mon",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = mon_props,
	.nprops = sizeof(mon_props) / sizeof(mon_props[0]),
};

static int take_mon(struct cmdline *cl, const struct mon_args *args)
{
	enum monitor_protocol protocol = args->pretty ? MONITOR_QMP_PRETTY : MONITOR_QMP;

	if (!args->chardev)
		return error_set(cl->err, -EINVAL, "Parameter 'chardev' is missing");
	if (args->pretty && args->mode == MODE_READLINE)
		return error_set(cl->err, -EINVAL, "'pretty' is not compatible with HMP monitors");
	cl->monitor_given = true;
	return add_monitor(cl, args->mode == MODE_READLINE ? MONITOR_HMP : protocol, args->chardev);
}

int handle_mon(struct cmdline *cl, const char *arg)
{
	struct mon_args args = { .chardev = NULL };
	int rc = option_keyval(cl, arg, "chardev", &mon_class, &args);

	if (rc == 0)
		rc = take_mon(cl, &args);
	free(args.chardev);
	return rc;
}

int handle_monitor(struct cmdline *cl, const char *arg)
{
	return open_monitor(cl, MONITOR_HMP, arg);
}

int handle_qmp(struct cmdline *cl, const char *arg)
{
	return open_monitor(cl, MONITOR_QMP, arg);
}

int handle_qmp_pretty(struct cmdline *cl, const char *arg)
{
	return open_monitor(cl, MONITOR_QMP_PRETTY, arg);
}

static int check_daemon(struct cmdline *cl)
{
	if (!cl->opts->daemonize)
		return 0;
	// As in QEMU: unless nothing is left to the terminal.
	if (cl->nographic && !cl->nodefaults && !(cl->serial_given && cl->monitor_given)) {
		error_set(cl->err, -EINVAL, "-nographic cannot be used with -daemonize");
		error_hint(cl->err, "leave -nographic out: there is no display in any case");
		return -EINVAL;
	}
	if (!cl->stdio_used)
		return 0;
	cl->now = cl->stdio_place;
	error_set(cl->err, -EINVAL, "cannot use stdio with -daemonize");
	error_hint(cl->err, "use unix:PATH,server=on,wait=off");
	return -EINVAL;
}

static int monitor_in_use(struct cmdline *cl, const char *id)
{
	error_set(cl->err, -EBUSY, "chardev '%s' is already in use", id);
	error_hint(cl->err, "give each monitor a chardev of its own");
	return -EBUSY;
}

static int connect_monitor(struct cmdline *cl, const char *id)
{
	struct chardev_config *cfg = option_find_chardev(cl, id);

	if (!cfg) {
		error_set(cl->err, -ENODEV, "chardev \"%s\" not found", id);
		error_hint(cl->err, "add -chardev socket,id=%s,path=PATH,server=on,wait=off", id);
		return -ENODEV;
	}
	if (cfg->monitor)
		return monitor_in_use(cl, id);
	cfg->monitor = true;
	return 0;
}

static int connect_serial(struct cmdline *cl, const char *id)
{
	const struct chardev_config *cfg = option_find_chardev(cl, id);

	if (!cfg) {
		error_set(cl->err, -ENODEV, "could not connect serial device to character backend 'chardev:%s'", id);
		error_hint(cl->err, "add -chardev stdio,id=%s, or another one", id);
		return -ENODEV;
	}
	if (!cfg->monitor || cfg->mux)
		return 0;
	error_set(cl->err, -EBUSY, "Property 'isa-serial.chardev' can't take value '%s', it's in use", id);
	error_hint(cl->err, "a monitor has it: with -chardev stdio,mux=on both can have it");
	return -EBUSY;
}

// Each monitor and the serial port with its chardev, which may have come later.
static int connect_users(struct cmdline *cl)
{
	int rc = 0;

	for (unsigned i = 0; i < cl->opts->nmonitors && rc == 0; i++) {
		cl->now = cl->monitor_places[i];
		rc = connect_monitor(cl, cl->opts->monitors[i].chardev);
	}
	if (rc < 0 || !cl->opts->serial)
		return rc;
	cl->now = cl->serial_place;
	return connect_serial(cl, cl->opts->serial);
}

// -nographic puts those of the serial port and the monitor that no other option configures on standard input and output:
// both, multiplexed, or one.
int finish_console(struct cmdline *cl)
{
	bool serial = cl->nographic && !cl->nodefaults && !cl->serial_given;
	bool monitor = cl->nographic && !cl->nodefaults && !cl->monitor_given;
	int rc = check_daemon(cl);

	if (rc < 0)
		return rc;
	if (serial)
		rc = handle_serial(cl, monitor ? "mon:stdio" : "stdio");
	else if (monitor)
		rc = handle_monitor(cl, "stdio");
	return rc ? rc : connect_users(cl);
}

int handle_display(struct cmdline *cl, const char *arg)
{
	if (keyval_is_help(arg)) {
		printf("Available display backend types:\nnone\n");
		return HANDLED_HELP;
	}
	if (strcmp(arg, "none") == 0)
		return 0;
	error_set(cl->err, -EINVAL, "Parameter 'type' does not accept value '%s'", arg);
	error_hint(cl->err, "the machine has no display: use -display none");
	return -EINVAL;
}

int handle_vga(struct cmdline *cl, const char *arg)
{
	if (strcmp(arg, "none") == 0)
		return 0;
	error_set(cl->err, -EINVAL, "unknown vga type: %s", arg);
	error_hint(cl->err, "the machine has no display: use -vga none");
	return -EINVAL;
}

// -parallel: the machine has no such device.
int handle_none_only(struct cmdline *cl, const char *arg)
{
	if (strcmp(arg, "none") == 0)
		return 0;
	option_not_supported(cl, false);
	error_hint(cl->err, "use %s none, or leave it out", cl->now.option);
	return -ENOTSUP;
}
