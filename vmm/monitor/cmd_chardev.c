// SPDX-License-Identifier: Apache-2.0
// query-chardev, chardev-add, chardev-remove: the character devices of a running machine.
#include "command.h"

#include "config_chardev.h"
#include "error.h"
#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "machine_chardev.h"
#include "schema_make.h"

#include <errno.h>
#include <string.h>

#define FILENAME_SIZE 512

// ---- query-chardev

static OBJECT(info_type, "ChardevInfo", MEMBER("label", schema_str), MEMBER("filename", schema_str),
              MEMBER("frontend-open", schema_bool));
static ARRAY(infos_type, info_type);

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();
	const struct chardev *chr = NULL;

	while ((chr = chardev_next(&m->chardevs, chr))) {
		struct json_object *info = json_object_new_object();
		char filename[FILENAME_SIZE];

		chardev_filename(chr, filename, sizeof(filename));
		put_bool(info, "frontend-open", chardev_is_open(chr));
		put_str(info, "filename", filename);
		put_str(info, "label", chardev_id(chr));
		add_to(list, info);
	}
	return list;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(ret); i++) {
		struct json_object *info = json_object_array_get_idx(ret, i);

		hmp_printf(out, "%s: filename=%s\n", get_str(info, "label"), get_str(info, "filename"));
	}
}

// ---- chardev-add

// In QMP each back end has its data on a level of its own, and the address of a socket on another one.
static OBJECT(unix_address_type, "UnixSocketAddress", MEMBER("path", schema_str));
static OBJECT(unix_wrapper_type, "UnixSocketAddressWrapper", MEMBER("data", unix_address_type));
static OBJECT(inet_address_type, "InetSocketAddress", MEMBER("host", schema_str), MEMBER("port", schema_str));
static OBJECT(inet_wrapper_type, "InetSocketAddressWrapper", MEMBER("data", inet_address_type));
static OBJECT(fd_address_type, "FdSocketAddress", MEMBER("str", schema_str));
static OBJECT(fd_wrapper_type, "FdSocketAddressWrapper", MEMBER("data", fd_address_type));
static ENUM(address_words, "SocketAddressType", "inet", "unix", "fd");
static const struct schema_type address_type = {
	.kind = SCHEMA_OBJECT,
	.name = "SocketAddressLegacy",
	MEMBERS(MEMBER("type", address_words)),
	.tag = "type",
	VARIANTS({ "inet", &inet_wrapper_type }, { "unix", &unix_wrapper_type }, { "fd", &fd_wrapper_type }),
};

static OBJECT(common_type, "ChardevCommon", OPTIONAL("logfile", schema_str), OPTIONAL("logappend", schema_bool));
static OBJECT(common_wrapper_type, "ChardevCommonWrapper", MEMBER("data", common_type));
static OBJECT(file_type, "ChardevFile", OPTIONAL("in", schema_str), MEMBER("out", schema_str),
              OPTIONAL("append", schema_bool), OPTIONAL("logfile", schema_str), OPTIONAL("logappend", schema_bool));
static OBJECT(file_wrapper_type, "ChardevFileWrapper", MEMBER("data", file_type));
static OBJECT(ringbuf_type, "ChardevRingbuf", OPTIONAL("size", schema_int), OPTIONAL("logfile", schema_str),
              OPTIONAL("logappend", schema_bool));
static OBJECT(ringbuf_wrapper_type, "ChardevRingbufWrapper", MEMBER("data", ringbuf_type));
static OBJECT(socket_type, "ChardevSocket", MEMBER("addr", address_type), OPTIONAL("server", schema_bool),
              OPTIONAL("wait", schema_bool), OPTIONAL("nodelay", schema_bool), OPTIONAL("telnet", schema_bool),
              OPTIONAL("tn3270", schema_bool), OPTIONAL("websocket", schema_bool), OPTIONAL("tls-creds", schema_str),
              OPTIONAL("tls-authz", schema_str), OPTIONAL("reconnect", schema_int),
              OPTIONAL("reconnect-ms", schema_int), OPTIONAL("logfile", schema_str),
              OPTIONAL("logappend", schema_bool));
static OBJECT(socket_wrapper_type, "ChardevSocketWrapper", MEMBER("data", socket_type));
static OBJECT(stdio_type, "ChardevStdio", OPTIONAL("signal", schema_bool), OPTIONAL("logfile", schema_str),
              OPTIONAL("logappend", schema_bool));
static OBJECT(stdio_wrapper_type, "ChardevStdioWrapper", MEMBER("data", stdio_type));
static ENUM(kind_words, "ChardevBackendKind", "file", "socket", "pty", "null", "stdio", "ringbuf", "memory");
static const struct schema_type backend_type = {
	.kind = SCHEMA_OBJECT,
	.name = "ChardevBackend",
	MEMBERS(MEMBER("type", kind_words)),
	.tag = "type",
	VARIANTS({ "file", &file_wrapper_type }, { "socket", &socket_wrapper_type }, { "pty", &common_wrapper_type },
	         { "null", &common_wrapper_type }, { "stdio", &stdio_wrapper_type },
	         { "ringbuf", &ringbuf_wrapper_type }, { "memory", &ringbuf_wrapper_type }),
};
#define ADD_MEMBERS MEMBERS(MEMBER("id", schema_str), MEMBER("backend", backend_type))
static const struct schema_type qmp_args_type = { .kind = SCHEMA_OBJECT, .name = "chardev-add-arg", ADD_MEMBERS };
// Open: a line of HMP has the properties of -chardev, in one level.
static const struct schema_type add_args_type = {
	.kind = SCHEMA_OBJECT, .name = "chardev-add-arg", ADD_MEMBERS, .open = true
};
static OBJECT(return_type, "ChardevReturn", OPTIONAL("pty", schema_str));

// The members of an object, with the names that -chardev has.
static void copy_members(struct json_object *flat, struct json_object *from)
{
	static const char *const names[][2] = { { "out", "path" }, { "in", "input-path" }, { "str", "fd" } };

	json_object_object_foreach(from, key, val)
	{
		const char *name = key;

		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strcmp(key, names[i][0]) == 0)
				name = names[i][1];
		if (strcmp(key, "addr") == 0)
			copy_members(flat, get(val, "data"));
		else
			put(flat, name, json_object_get(val));
	}
}

// The checked arguments of QMP as -chardev has them. A socket listens, and nobody is awaited, unless they say otherwise.
static struct json_object *flatten(struct json_object *args)
{
	struct json_object *backend = get(args, "backend"), *data = get(backend, "data");
	struct json_object *flat = json_object_new_object();
	bool is_socket = strcmp(get_str(backend, "type"), "socket") == 0;

	if (!flat)
		return NULL;
	put_str(flat, "backend", get_str(backend, "type"));
	put_str(flat, "id", get_str(args, "id"));
	copy_members(flat, data);
	if (is_socket && !get(data, "server"))
		put_bool(flat, "server", true);
	if (get_bool(flat, "server") && !get(data, "wait"))
		put_bool(flat, "wait", false);
	return flat;
}

static int make_config(const struct command_context *ctx, struct json_object *args, struct chardev_config **cfg,
                       struct vpmem_error *err)
{
	struct json_object *flat;
	int rc;

	if (ctx->text)
		return config_chardev(args, PROPS_TEXT, cfg, err);
	rc = schema_check(&qmp_args_type, args, "", err);
	if (rc < 0)
		return rc;
	flat = flatten(args);
	rc = flat ? config_chardev(flat, PROPS_JSON, cfg, err) : error_set(err, -ENOMEM, "out of memory");
	json_object_put(flat);
	return rc;
}

static int add(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct chardev_config *cfg;
	struct json_object *result;
	struct chardev *chr = NULL;
	int rc = make_config(ctx, args, &cfg, err);

	if (rc < 0)
		return rc;
	rc = machine_chardev_add(ctx->machine, cfg, &chr, err);
	chardev_config_free(cfg);
	if (rc < 0)
		return rc;
	result = json_object_new_object();
	if (chardev_pty(chr))
		put_str(result, "pty", chardev_pty(chr));
	return command_return(result, ret, err);
}

static void print_added(struct json_object *ret, struct hmp_out *out)
{
	if (get(ret, "pty"))
		hmp_printf(out, "char device redirected to %s\n", get_str(ret, "pty"));
}

static int del(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	(void)ret;
	return machine_chardev_remove(ctx->machine, get_str(args, "id"), err);
}

const struct command cmd_query_chardev = {
	.name = "query-chardev",
	.ret = &infos_type,
	.query = query,
	.hmp_name = "info chardev",
	.hmp_help = "show the character devices",
	.hmp_print = print,
};

const struct command cmd_chardev_add = {
	.name = "chardev-add",
	.args = &add_args_type,
	.ret = &return_type,
	.run = add,
	.hmp_name = "chardev-add",
	.hmp_params = "args",
	.hmp_help = "add chardev",
	.hmp_args = HMP_OPTIONS,
	.hmp_key = "backend",
	.hmp_print = print_added,
};

const struct command cmd_chardev_remove = {
	.name = "chardev-remove",
	.args = &schema_id_arg,
	.run = del,
	.hmp_name = "chardev-remove",
	.hmp_params = "id",
	.hmp_help = "remove chardev",
	.hmp_args = HMP_WORD,
	.hmp_key = "id",
};
