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
#include <sys/un.h>

#define SERIAL_KINDS "stdio, mon:stdio, file:PATH, null, none, unix:PATH,server=on,wait=off"
#define MONITOR_KINDS "stdio, null, none, unix:PATH,server=on,wait=off"

struct unix_args {
	char *path;
	bool server, wait;
};

static const struct prop unix_props[] = {
	{ .name = "path", .type = PROP_STR, .offset = offsetof(struct unix_args, path) },
	{ .name = "server", .type = PROP_BOOL, .offset = offsetof(struct unix_args, server), .def = "off" },
	{ .name = "wait", .type = PROP_BOOL, .offset = offsetof(struct unix_args, wait), .def = "on" },
};
static const struct prop_class unix_class = {
	.name = "unix",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = unix_props,
	.nprops = sizeof(unix_props) / sizeof(unix_props[0]),
};

static int check_unix(struct cmdline *cl, const struct unix_args *args)
{
	size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	if (!args->path || !*args->path) {
		error_set(cl->err, -EINVAL, "Parameter 'path' is missing");
		error_hint(cl->err, "for example unix:console.sock,server=on,wait=off");
		return -EINVAL;
	}
	if (strlen(args->path) >= path_max) {
		error_set(cl->err, -EINVAL, "UNIX socket path '%.200s' is too long", args->path);
		error_hint(cl->err, "path must be less than %zu bytes", path_max);
		return -EINVAL;
	}
	if (args->server)
		return 0;
	if (!args->wait)
		error_set(cl->err, -EINVAL, "'wait' option is incompatible with socket in client connect mode");
	else
		error_set(cl->err, -ENOTSUP, "a socket in client connect mode is not supported yet");
	error_hint(cl->err, "let pmvm listen, and connect to it: unix:%s,server=on,wait=off", args->path);
	return -ENOTSUP;
}

static int parse_unix(struct cmdline *cl, const char *arg, struct chardev_config *cfg)
{
	struct unix_args args = { .wait = true };
	int rc = option_keyval(cl, arg, "path", &unix_class, &args);

	if (rc == 0)
		rc = check_unix(cl, &args);
	if (rc != 0) {
		free(args.path);
		return rc;
	}
	*cfg = (struct chardev_config) { .kind = CHARDEV_UNIX, .path = args.path, .wait = args.wait };
	return 0;
}

static int parse_file(struct cmdline *cl, const char *path, struct chardev_config *cfg)
{
	if (!*path)
		return error_set(cl->err, -EINVAL, "Could not open '': No such file or directory");
	cfg->kind = CHARDEV_FILE;
	return option_string(cl, &cfg->path, path);
}

// Only one character device can use standard input and output.
static int claim_stdio(struct cmdline *cl, struct chardev_config *cfg, bool mux)
{
	if (cl->stdio_used) {
		error_set(cl->err, -EBUSY, "cannot use stdio by multiple character devices");
		error_hint(cl->err, "give one of them unix:PATH,server=on,wait=off, or none%s",
		           cl->nographic ? "; -nographic uses stdio for what is not given" : "");
		return -EBUSY;
	}
	cl->stdio_used = true;
	cl->stdio_place = cl->now;
	// With the escape character, Ctrl-c goes to the guest.
	*cfg = (struct chardev_config) { .kind = CHARDEV_STDIO, .mux = mux, .signals = !mux };
	return 0;
}

// The back ends that a serial port and a monitor have in common.
static int parse_chardev(struct cmdline *cl, const char *arg, const char *kinds, struct chardev_config *cfg)
{
	*cfg = (struct chardev_config) { .kind = CHARDEV_NULL };
	if (strcmp(arg, "null") == 0 || strcmp(arg, "none") == 0)
		return 0;
	if (strcmp(arg, "stdio") == 0)
		return claim_stdio(cl, cfg, false);
	if (strncmp(arg, "unix:", 5) == 0)
		return parse_unix(cl, arg + 5, cfg);
	error_set(cl->err, -EINVAL, "'%.200s' is not a valid char driver", arg);
	error_hint(cl->err, "it is one of: %s", kinds);
	return -EINVAL;
}

static int parse_serial(struct cmdline *cl, const char *arg, struct chardev_config *cfg)
{
	*cfg = (struct chardev_config) { .kind = CHARDEV_NULL };
	if (strcmp(arg, "mon:stdio") == 0)
		return claim_stdio(cl, cfg, true);
	if (strncmp(arg, "file:", 5) == 0)
		return parse_file(cl, arg + 5, cfg);
	return parse_chardev(cl, arg, SERIAL_KINDS, cfg);
}

static int add_monitor(struct cmdline *cl, const struct monitor_config *cfg)
{
	if (cl->opts->nmonitors == MONITORS_MAX)
		return error_set(cl->err, -ENOSPC, "there are %u monitors already", MONITORS_MAX);
	cl->opts->monitors[cl->opts->nmonitors++] = *cfg;
	return 0;
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
	struct chardev_config cfg;
	int rc;

	// Only -serial none may follow the first -serial: it asks for no second port.
	if (cl->serial_given && strcmp(arg, "none") != 0) {
		error_set(cl->err, -EINVAL, "there is one serial port, and it was given before");
		error_hint(cl->err, "leave one -serial out");
		return -EINVAL;
	}
	if (cl->serial_given)
		return 0;
	rc = parse_serial(cl, arg, &cfg);
	if (rc != 0)
		return rc;
	cl->serial_given = true;
	cl->opts->serial = cfg;
	if (!cfg.mux)
		return 0;
	cl->monitor_given = true;
	return add_monitor(cl, &(struct monitor_config) { .protocol = MONITOR_HMP, .mux = true });
}

static int open_monitor(struct cmdline *cl, enum monitor_protocol protocol, const char *arg)
{
	struct monitor_config cfg = { .protocol = protocol };
	int rc = parse_chardev(cl, arg, MONITOR_KINDS, &cfg.chardev);

	// As in QEMU, -qmp takes the place of the default monitor as well.
	cl->monitor_given = true;
	if (rc != 0 || cfg.chardev.kind == CHARDEV_NULL)
		return rc;
	rc = add_monitor(cl, &cfg);
	if (rc < 0)
		free(cfg.chardev.path);
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
	if (cl->nographic) {
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
		return handle_serial(cl, monitor ? "mon:stdio" : "stdio");
	return monitor ? handle_monitor(cl, "stdio") : 0;
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

// -parallel, -net, -nic: the machine has no such devices.
int handle_none_only(struct cmdline *cl, const char *arg)
{
	if (strcmp(arg, "none") == 0)
		return 0;
	option_not_supported(cl, false);
	error_hint(cl->err, "use %s none, or leave it out", cl->now.option);
	return -ENOTSUP;
}
