// SPDX-License-Identifier: Apache-2.0
// The table of commands, and how one is run.
#include "command.h"

#include "error.h"
#include "schema.h"

#include <errno.h>
#include <string.h>

/* One line for each `const struct command cmd_NAME`. The order is that of query-commands. */
// clang-format off
#define COMMANDS(entry) \
	entry(qmp_capabilities) \
	entry(human_monitor_command) \
	entry(query_commands) \
	entry(query_events) \
	entry(query_qmp_schema) \
	entry(stop) \
	entry(cont) \
	entry(quit) \
	entry(system_reset) \
	entry(system_powerdown) \
	entry(object_add) \
	entry(object_del) \
	entry(device_add) \
	entry(device_del) \
	entry(chardev_add) \
	entry(chardev_remove) \
	entry(ringbuf_write) \
	entry(ringbuf_read) \
	entry(netdev_add) \
	entry(netdev_del) \
	entry(set_link) \
	entry(balloon) \
	entry(pmem_clear_error) \
	entry(query_version) \
	entry(query_status) \
	entry(query_name) \
	entry(query_uuid) \
	entry(query_kvm) \
	entry(query_accelerators) \
	entry(query_cpus_fast) \
	entry(query_stats) \
	entry(query_stats_schemas) \
	entry(query_chardev) \
	entry(query_pci) \
	entry(query_memory_devices) \
	entry(query_memdev) \
	entry(query_memory_size_summary) \
	entry(query_balloon) \
	entry(query_pmem) \
	entry(query_net_clients) \
	entry(query_rx_filter) \
	entry(query_vhost_user) \
	entry(query_vm_generation_id) \
	entry(query_sandbox) \
	entry(qom_list) \
	entry(qom_get) \
	entry(qom_set) \
	entry(device_list_properties)
// clang-format on

#define DECLARE(name) extern const struct command cmd_##name;
COMMANDS(DECLARE)

#define ADDRESS(name) &cmd_##name,
const struct command *const command_table[] = { COMMANDS(ADDRESS) };
const unsigned command_count = sizeof(command_table) / sizeof(command_table[0]);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (strcmp(command_table[i]->name, name) == 0)
			return command_table[i];
	return NULL;
}

// Of object-add and device_add, the table of properties checks all, and knows the next step (config.c).
static bool is_checked_by_command(const struct command *cmd)
{
	return cmd->args && (cmd->args->open || cmd->args->variants);
}

int command_run(const struct command *cmd, const struct command_context *ctx, struct json_object *args,
                struct json_object **ret, struct vpmem_error *err)
{
	struct json_object *none = args ? NULL : json_object_new_object();
	int rc = 0;

	*ret = NULL;
	if (!args)
		args = none;
	if (!args)
		return error_set(err, -ENOMEM, "out of memory");
	if (!is_checked_by_command(cmd))
		rc = schema_check(cmd->args ? cmd->args : &schema_empty, args, "", err);
	if (rc == 0)
		rc = cmd->query ? command_return(cmd->query(ctx->machine), ret, err) : cmd->run(ctx, args, ret, err);
	json_object_put(none);
	return rc;
}

int command_return(struct json_object *val, struct json_object **ret, struct vpmem_error *err)
{
	*ret = val;
	return val ? 0 : error_set(err, -ENOMEM, "out of memory");
}
