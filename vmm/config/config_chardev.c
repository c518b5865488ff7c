// SPDX-License-Identifier: Apache-2.0
// One -chardev: the tables of the back ends, and what needs more than one property.
#include "config_chardev.h"

#include "error.h"
#include "keyval.h"
#include "parse.h"
#include "suggest.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define RING_SIZE_MAX (UINT64_C(1) << 30)

struct args {
	struct chardev_config cfg;
	uint32_t reconnect; /* seconds */
};
#define CFG(field) offsetof(struct args, cfg.field)

static const struct prop common_props[] = {
	{ .name = "backend", .type = PROP_STR, .offset = PROP_NOWHERE, .hidden = true },
	{ .name = "id", .type = PROP_ID, .offset = CFG(id), .hidden = true },
	{ .name = "logappend",
	  .type = PROP_BOOL,
	  .offset = CFG(logappend),
	  .def = "off",
	  .help = "Keep what is in the log file" },
	{ .name = "logfile", .type = PROP_STR, .offset = CFG(logfile), .help = "A file that gets all output as well" },
	{ .name = "mux",
	  .type = PROP_BOOL,
	  .offset = CFG(mux),
	  .def = "off",
	  .help = "A device and a monitor share it: Ctrl-a c switches" },
};
static const struct prop_class common_class = {
	.name = "chardev",
	.prefix = "",
	.props = common_props,
	.nprops = sizeof(common_props) / sizeof(common_props[0]),
};

static const struct prop stdio_props[] = {
	{ .name = "signal",
	  .type = PROP_BOOL,
	  .offset = CFG(signals),
	  .def = "on",
	  .help = "Ctrl-c ends the program; off: the guest gets it" },
};

static const struct prop file_props[] = {
	{ .name = "append",
	  .type = PROP_BOOL,
	  .offset = CFG(append),
	  .def = "off",
	  .help = "Keep what is in the file" },
	{ .name = "input-path",
	  .type = PROP_STR,
	  .offset = PROP_NOWHERE,
	  .only = "",
	  .why = "the guest gets no input from a file: use pty or socket",
	  .not_yet = true },
	{ .name = "path", .type = PROP_STR, .offset = CFG(path), .help = "Created, or emptied" },
};

#define NO_TLS "let a proxy on this host encrypt, and listen on loopback"
static const struct prop socket_props[] = {
	{ .name = "abstract", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "fd", .type = PROP_STR, .offset = CFG(fd), .help = "The number of an open descriptor: a socket" },
	{ .name = "host",
	  .type = PROP_STR,
	  .offset = CFG(host),
	  .help = "An IPv4 or IPv6 address, or localhost (default: 127.0.0.1)" },
	{ .name = "nodelay", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "on", .why = "it is always so" },
	{ .name = "path", .type = PROP_STR, .offset = CFG(path), .help = "A socket in the file system" },
	{ .name = "port", .type = PROP_STR, .offset = CFG(port), .help = "A number" },
	{ .name = "reconnect-ms",
	  .type = PROP_UINT32,
	  .offset = CFG(reconnect_ms),
	  .help = "Milliseconds, as reconnect" },
	{ .name = "reconnect",
	  .type = PROP_UINT32,
	  .offset = offsetof(struct args, reconnect),
	  .help = "Connect again, so many seconds after the end of a connection; 0: never" },
	{ .name = "server", .type = PROP_BOOL, .offset = CFG(server), .def = "off", .help = "Listen; off: connect" },
	{ .name = "telnet", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off" },
	{ .name = "tls-authz", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "", .why = NO_TLS },
	{ .name = "tls-creds", .type = PROP_STR, .offset = PROP_NOWHERE, .only = "", .why = NO_TLS },
	{ .name = "tn3270", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off" },
	{ .name = "wait",
	  .type = PROP_BOOL,
	  .offset = CFG(wait),
	  .help = "With server=on: start the guest when somebody has connected (default: true)" },
	{ .name = "websocket", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off" },
};

static const struct prop ringbuf_props[] = {
	{ .name = "size", .type = PROP_SIZE, .offset = CFG(size), .def = "64K", .help = "A power of two" },
};

#define CLASS(var, backend, table, n)            \
	static const struct prop_class var = {   \
		.name = backend,                 \
		.prefix = "",                    \
		.unknown = PROP_UNKNOWN_INVALID, \
		.base = &common_class,           \
		.props = table,                  \
		.nprops = n,                     \
	}
#define NPROPS(table) (sizeof(table) / sizeof((table)[0]))
CLASS(file_class, "file", file_props, NPROPS(file_props));
CLASS(null_class, "null", NULL, 0);
CLASS(pty_class, "pty", NULL, 0);
CLASS(ringbuf_class, "ringbuf", ringbuf_props, NPROPS(ringbuf_props));
CLASS(socket_class, "socket", socket_props, NPROPS(socket_props));
CLASS(stdio_class, "stdio", stdio_props, NPROPS(stdio_props));

static bool is_given(struct json_object *props, const char *name)
{
	return json_object_object_get_ex(props, name, NULL);
}

static int check_file(struct args *args, struct json_object *props, struct vpmem_error *err)
{
	(void)props;
	if (!args->cfg.path)
		return error_set(err, -EINVAL, "chardev: file: no filename given");
	if (!*args->cfg.path)
		return error_set(err, -EINVAL, "Could not open '': No such file or directory");
	return 0;
}

static bool is_number(const char *text, uint64_t max)
{
	uint64_t num;

	return uint_parse(text, &num) == 0 && num <= max;
}

static int check_address(const struct chardev_config *cfg, struct vpmem_error *err)
{
	size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	if ((cfg->path != NULL) + (cfg->fd != NULL) + (cfg->host != NULL) > 1)
		return error_set(err, -EINVAL, "None or one of 'path', 'fd' or 'host' option required.");
	if (cfg->host && !cfg->port)
		return error_set(err, -EINVAL, "chardev: socket: no port given");
	if (cfg->port && !cfg->path && !cfg->fd && !is_number(cfg->port, UINT16_MAX)) {
		error_set(err, -EINVAL, "Parameter 'port' expects a number up to 65535");
		error_hint(err, "names of services are not looked up");
		return -EINVAL;
	}
	if (cfg->fd && !is_number(cfg->fd, INT_MAX))
		return error_set(err, -EINVAL, "Unable to parse FD number '%.200s'", cfg->fd);
	if (cfg->path && strlen(cfg->path) >= path_max) {
		error_set(err, -EINVAL, "UNIX socket path '%.200s' is too long", cfg->path);
		error_hint(err, "path must be less than %zu bytes", path_max);
		return -EINVAL;
	}
	if (cfg->fd || cfg->port || (cfg->path && *cfg->path))
		return 0;
	error_set(err, -EINVAL, "Parameter 'path' is missing");
	error_hint(err, "for example path=console.sock,server=on,wait=off");
	return -EINVAL;
}

static int check_reconnect(struct args *args, struct json_object *props, struct vpmem_error *err)
{
	if (!is_given(props, "reconnect") && !is_given(props, "reconnect-ms"))
		return 0;
	if (args->cfg.fd)
		return error_set(err, -EINVAL, "'reconnect' option is incompatible with 'fd' address type");
	if (args->cfg.server)
		return error_set(err, -EINVAL, "'reconnect' option is incompatible with socket in server listen mode");
	if (is_given(props, "reconnect") && is_given(props, "reconnect-ms"))
		return error_set(err, -EINVAL, "'reconnect' and 'reconnect-ms' are mutually exclusive");
	if (args->reconnect > UINT32_MAX / 1000)
		return error_set(err, -EINVAL, "Parameter 'reconnect' expects a number up to %u", UINT32_MAX / 1000);
	if (args->reconnect > 0)
		args->cfg.reconnect_ms = args->reconnect * 1000;
	return 0;
}

static int check_socket(struct args *args, struct json_object *props, struct vpmem_error *err)
{
	int rc = check_address(&args->cfg, err);

	rc = rc ? rc : check_reconnect(args, props, err);
	if (rc < 0)
		return rc;
	if (args->cfg.server) {
		args->cfg.wait |= !is_given(props, "wait");
		return 0;
	}
	if (!is_given(props, "wait"))
		return 0;
	error_set(err, -EINVAL, "'wait' option is incompatible with socket in client connect mode");
	error_hint(err, "add server=on to let pmvm listen");
	return -EINVAL;
}

static int check_ringbuf(struct args *args, struct json_object *props, struct vpmem_error *err)
{
	uint64_t size = args->cfg.size;

	(void)props;
	if (size == 0 || (size & (size - 1)) != 0)
		return error_set(err, -EINVAL, "size of ringbuf chardev must be power of two");
	return size > RING_SIZE_MAX ? error_set(err, -EINVAL, "size of ringbuf chardev must be at most 1G") : 0;
}

static const struct backend {
	const struct prop_class *cls;
	enum chardev_kind kind;
	int (*check)(struct args *args, struct json_object *props, struct vpmem_error *err); /* NULL: there is none */
} backends[] = {
	{ .cls = &file_class, .kind = CHARDEV_FILE, .check = check_file },
	{ .cls = &null_class, .kind = CHARDEV_NULL },
	{ .cls = &pty_class, .kind = CHARDEV_PTY },
	{ .cls = &ringbuf_class, .kind = CHARDEV_RINGBUF, .check = check_ringbuf },
	{ .cls = &socket_class, .kind = CHARDEV_SOCKET, .check = check_socket },
	{ .cls = &stdio_class, .kind = CHARDEV_STDIO },
};
#define NBACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct prop_class *chardev_class_at(unsigned idx)
{
	return idx < NBACKENDS ? backends[idx].cls : NULL;
}

static const struct backend *find(const char *name, struct vpmem_error *err)
{
	struct suggest s = { .word = name };

	// QEMU's old name.
	if (strcmp(name, "memory") == 0)
		name = ringbuf_class.name;
	for (unsigned i = 0; i < NBACKENDS; i++) {
		if (strcmp(backends[i].cls->name, name) == 0)
			return &backends[i];
		suggest_offer(&s, backends[i].cls->name);
	}
	error_set(err, -EINVAL, "'%.200s' is not a valid char driver name", name);
	if (s.best)
		error_hint(err, "did you mean %s?", s.best);
	else
		error_hint(err, "it is one of: file, null, pty, ringbuf, socket, stdio");
	return NULL;
}

static const char *member(struct json_object *props, const char *name)
{
	struct json_object *json;

	return json_object_object_get_ex(props, name, &json) && json_object_is_type(json, json_type_string) ?
	               json_object_get_string(json) :
	               NULL;
}

static int fill(const struct backend *backend, struct json_object *props, enum props_form form, struct args *args,
                struct vpmem_error *err)
{
	int rc = props_init(backend->cls, args) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;

	rc = rc ? rc : props_apply(backend->cls, props, form, args, err);
	if (rc < 0)
		return rc;
	args->cfg.kind = backend->kind;
	if (args->cfg.mux && backend->kind != CHARDEV_STDIO) {
		error_set(err, -ENOTSUP, "'mux=on' is not supported yet");
		error_hint(err,
		           "only stdio is shared by a device and a monitor: give the monitor a chardev of its own");
		return -ENOTSUP;
	}
	return backend->check ? backend->check(args, props, err) : 0;
}

int config_chardev(struct json_object *props, enum props_form form, struct chardev_config **out,
                   struct vpmem_error *err)
{
	const char *id = member(props, "id"), *name = member(props, "backend");
	struct args args = { .reconnect = 0 };
	const struct backend *backend;
	int rc;

	*out = NULL;
	if (!id)
		return error_set(err, -EINVAL, "chardev: no id specified");
	if (!name)
		return error_set(err, -EINVAL, "chardev: \"%.200s\" missing backend", id);
	backend = find(name, err);
	if (!backend)
		return -EINVAL;
	rc = fill(backend, props, form, &args, err);
	if (rc == 0) {
		*out = malloc(sizeof(**out));
		if (*out)
			**out = args.cfg;
		else
			rc = error_set(err, -ENOMEM, "out of memory");
	}
	if (rc < 0)
		props_release(backend->cls, &args);
	return rc;
}

void chardev_config_free(struct chardev_config *cfg)
{
	if (!cfg)
		return;
	free(cfg->id);
	free(cfg->path);
	free(cfg->host);
	free(cfg->port);
	free(cfg->fd);
	free(cfg->logfile);
	free(cfg);
}

int config_chardev_help(const char *name, FILE *out, struct vpmem_error *err)
{
	const struct backend *backend;

	if (!name || keyval_is_help(name)) {
		fprintf(out, "Available chardev backend types: \n");
		for (unsigned i = 0; i < NBACKENDS; i++)
			fprintf(out, "  %s\n", backends[i].cls->name);
		return 0;
	}
	backend = find(name, err);
	if (backend)
		props_help(backend->cls, out);
	return backend ? 0 : -EINVAL;
}
