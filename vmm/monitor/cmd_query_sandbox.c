// SPDX-License-Identifier: Apache-2.0
/*
 * query-sandbox: what this process has given up (docs/security.md). QEMU does not have this command.
 *
 *   mode               "off", "on", or "log": forbidden system calls are done, and the kernel logs them
 *   no-new-privileges, undumpable, empty-root
 *   landlock           the version of Landlock that is in force; 0: this kernel has none
 *   namespaces         those that are its own: "user", "mount", "net", "ipc"
 *   namespaces-error   why it has none; absent if it has
 *   threads            of each kind of thread, how many system calls its filter allows
 *   broker             the process that opens files; the paths that it permits, and whether any address of IPv4 and IPv6
 */
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "schema_make.h"
#include "seccomp_confine.h"

#include <string.h>

static const char *const mode_names[] = { [SANDBOX_OFF] = "off", [SANDBOX_ON] = "on", [SANDBOX_LOG] = "log", NULL };
static ENUM_OF(mode_type, "SandboxMode", mode_names);
static ENUM(namespace_type, "SandboxNamespace", "user", "mount", "net", "ipc");
static ARRAY(namespaces_type, namespace_type);
static ARRAY(paths_type, schema_str);
static OBJECT(broker_type, "SandboxBroker", MEMBER("pid", schema_int), MEMBER("paths", paths_type),
              MEMBER("truncated", schema_bool), MEMBER("any-address", schema_bool));
static OBJECT(thread_type, "SandboxThread", MEMBER("kind", schema_str), MEMBER("system-calls", schema_int));
static ARRAY(threads_type, thread_type);
static OBJECT(info_type, "SandboxInfo", MEMBER("mode", mode_type), OPTIONAL("no-new-privileges", schema_bool),
              OPTIONAL("undumpable", schema_bool), OPTIONAL("empty-root", schema_bool),
              OPTIONAL("landlock", schema_int), OPTIONAL("namespaces", namespaces_type),
              OPTIONAL("namespaces-error", schema_str), OPTIONAL("threads", threads_type),
              OPTIONAL("broker", broker_type));

static struct json_object *namespaces_of(const struct walls *walls)
{
	struct json_object *list = json_object_new_array();
	const struct {
		bool own;
		const char *name;
	} all[] = { { walls->user_ns, "user" },
		    { walls->mount_ns, "mount" },
		    { walls->net_ns, "net" },
		    { walls->ipc_ns, "ipc" } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].own)
			add_to(list, json_object_new_string(all[i].name));
	return list;
}

// None where this build has no filters.
static struct json_object *threads_of(void)
{
	struct json_object *list = json_object_new_array();

	for (enum thread_kind kind = 0; kind < THREAD_KINDS && seccomp_get_mode() != SECCOMP_OFF; kind++) {
		const struct seccomp_info *filter = seccomp_get_info(kind);
		struct json_object *info = json_object_new_object();

		put_str(info, "kind", filter->name);
		put_int(info, "system-calls", filter->ncalls);
		add_to(list, info);
	}
	return list;
}

static struct json_object *broker_of(const struct machine *m)
{
	struct json_object *info = json_object_new_object(), *paths = json_object_new_array();
	struct broker_report report = { .is_truncated = true };

	// A broker that has ended permits nothing.
	(void)broker_process_report(&report);
	for (const char *path = report.paths; *path; path += strlen(path) + 1)
		add_to(paths, json_object_new_string(path));
	put_int(info, "pid", m->broker.pid);
	put(info, "paths", paths);
	put_bool(info, "truncated", report.is_truncated);
	put_bool(info, "any-address", report.all_addresses);
	return info;
}

static struct json_object *query(const struct machine *m)
{
	struct json_object *info = json_object_new_object();

	put_str(info, "mode", mode_names[m->opts->sandbox.mode]);
	if (!m->is_sandboxed)
		return info;
	put_bool(info, "no-new-privileges", true);
	put_bool(info, "undumpable", true);
	put_bool(info, "empty-root", m->walls.empty_root);
	put_int(info, "landlock", m->walls.landlock);
	put(info, "namespaces", namespaces_of(&m->walls));
	if (!m->walls.mount_ns)
		put_str(info, "namespaces-error", strerror(m->walls.userns_error));
	put(info, "threads", threads_of());
	put(info, "broker", broker_of(m));
	return info;
}

static int number(struct json_object *info, const char *key)
{
	return json_object_get_int(get(info, key));
}

static void print_list(struct json_object *list, const char *separator, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		hmp_printf(out, "%s%s", i > 0 ? separator : "",
		           json_object_get_string(json_object_array_get_idx(list, i)));
}

static void print(struct json_object *info, struct hmp_out *out)
{
	struct json_object *broker = get(info, "broker");

	hmp_printf(out, "sandbox: %s\n", get_str(info, "mode"));
	if (!broker)
		return;
	hmp_printf(out, "namespaces: ");
	if (get(info, "namespaces-error"))
		hmp_printf(out, "none: %s", get_str(info, "namespaces-error"));
	print_list(get(info, "namespaces"), ", ", out);
	hmp_printf(out, "\nroot directory: %s\n", get_bool(info, "empty-root") ? "empty" : "the host's");
	if (number(info, "landlock") > 0)
		hmp_printf(out, "landlock: version %d\n", number(info, "landlock"));
	else
		hmp_printf(out, "landlock: none\n");
	for (size_t i = 0; i < json_object_array_length(get(info, "threads")); i++) {
		struct json_object *thread = json_object_array_get_idx(get(info, "threads"), i);

		hmp_printf(out, "%s %s %d", i == 0 ? "system calls:" : ",", get_str(thread, "kind"),
		           number(thread, "system-calls"));
	}
	if (json_object_array_length(get(info, "threads")) == 0)
		hmp_printf(out, "system calls: not filtered");
	hmp_printf(out, "\nbroker: process %d, permits:\n  ", number(broker, "pid"));
	print_list(get(broker, "paths"), "\n  ", out);
	hmp_printf(out, "%s%s\n", get_bool(broker, "truncated") ? "\n  and more" : "",
	           get_bool(broker, "any-address") ? "\n  any address" : "");
}

const struct command cmd_query_sandbox = {
	.name = "query-sandbox",
	.ret = &info_type,
	.query = query,
	.hmp_name = "info sandbox",
	.hmp_help = "show what this process has given up",
	.hmp_print = print,
};
