// SPDX-License-Identifier: Apache-2.0
// -serial, -nographic, -display, -vga, -monitor and what else a console is made of.
#include "keyval.h"
#include "log.h"
#include "options_internal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define SERIAL_KINDS "stdio, mon:stdio, file:PATH, null, none, unix:PATH,server=on,wait=off"

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
	.name = "unix", .prefix = "", .unknown = PROP_UNKNOWN_INVALID,
	.props = unix_props, .nprops = sizeof(unix_props) / sizeof(unix_props[0]),
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
		error_set(cl->err, -EINVAL, "UNIX socket path '%s' is too long", args->path);
		error_hint(cl->err, "path must be less than %zu bytes", path_max);
		return -EINVAL;
	}
	if (args->server)
		return 0;
	if (!args->wait)
		error_set(cl->err, -EINVAL,
		          "'wait' option is incompatible with socket in client connect mode");
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

static int parse_chardev(struct cmdline *cl, const char *arg, struct chardev_config *cfg)
{
	*cfg = (struct chardev_config) { .kind = CHARDEV_NULL };
	if (!strcmp(arg, "null") || !strcmp(arg, "none"))
		return 0;
	if (!strcmp(arg, "stdio")) {
		*cfg = (struct chardev_config) { .kind = CHARDEV_STDIO, .signals = true };
		return 0;
	}
	// With the escape character, Ctrl-c belongs to the guest.
	if (!strcmp(arg, "mon:stdio")) {
		*cfg = (struct chardev_config) { .kind = CHARDEV_STDIO, .mux = true };
		return 0;
	}
	if (!strncmp(arg, "file:", 5))
		return parse_file(cl, arg + 5, cfg);
	if (!strncmp(arg, "unix:", 5))
		return parse_unix(cl, arg + 5, cfg);
	error_set(cl->err, -EINVAL, "'%s' is not a valid char driver", arg);
	error_hint(cl->err, "it is one of: " SERIAL_KINDS);
	return -EINVAL;
}

int handle_serial(struct cmdline *cl, const char *arg)
{
	struct chardev_config cfg;
	int rc;

	// The first one is the serial port; only "no more of them" may follow.
	if (cl->serial_given && strcmp(arg, "none") != 0) {
		error_set(cl->err, -EINVAL, "there is one serial port, and it was given before");
		error_hint(cl->err, "leave one -serial out");
		return -EINVAL;
	}
	if (cl->serial_given)
		return 0;
	rc = parse_chardev(cl, arg, &cfg);
	if (rc != 0)
		return rc;
	cl->serial_given = true;
	cl->opts->serial = cfg;
	cl->opts->has_serial = strcmp(arg, "none") != 0;
	return 0;
}

// -nographic moves the serial port to standard input and output, unless something else was said about it.
int finish_console(struct cmdline *cl)
{
	if (cl->serial_given || !cl->nographic || cl->nodefaults)
		return 0;
	return handle_serial(cl, cl->no_monitor ? "stdio" : "mon:stdio");
}

int handle_display(struct cmdline *cl, const char *arg)
{
	if (keyval_is_help(arg)) {
		printf("Available display backend types:\nnone\n");
		return HANDLED_HELP;
	}
	if (!strcmp(arg, "none"))
		return 0;
	error_set(cl->err, -EINVAL, "Parameter 'type' does not accept value '%s'", arg);
	error_hint(cl->err, "the machine has no display: use -display none");
	return -EINVAL;
}

int handle_vga(struct cmdline *cl, const char *arg)
{
	if (!strcmp(arg, "none"))
		return 0;
	error_set(cl->err, -EINVAL, "unknown vga type: %s", arg);
	error_hint(cl->err, "the machine has no display: use -vga none");
	return -EINVAL;
}

// -parallel, -net, -nic: what they would add is not there.
int handle_none_only(struct cmdline *cl, const char *arg)
{
	if (!strcmp(arg, "none"))
		return 0;
	option_not_supported(cl, false);
	error_hint(cl->err, "use %s none, or leave it out", cl->now.option);
	return -ENOTSUP;
}

int handle_monitor(struct cmdline *cl, const char *arg)
{
	if (strcmp(arg, "none") != 0) {
		option_not_supported(cl, true);
		error_hint(cl->err, "use %s none, or leave it out", cl->now.option);
		return -ENOTSUP;
	}
	cl->no_monitor |= strstr(cl->now.option, "monitor") != NULL;
	return 0;
}
