// SPDX-License-Identifier: Apache-2.0
// The table of commands, and how one is run.
#include "commands.h"

#include "error.h"
#include "hmp_print.h"
#include "schema.h"

#include <errno.h>
#include <string.h>

#define INFO(sub, text, print) .hmp_name = "info " sub, .hmp_params = "", .hmp_help = text, .hmp_print = print

const struct command command_table[] = {
	{ .name = "qmp_capabilities", .args = &schema_capabilities_arg, .run = cmd_qmp_capabilities },
	{ .name = "human-monitor-command",
	  .args = &schema_monitor_command_arg,
	  .ret = &schema_str,
	  .run = cmd_human_monitor_command },
	{ .name = "query-commands", .ret = &schema_commands, .run = cmd_query_commands },
	{ .name = "query-events", .ret = &schema_events, .run = cmd_query_events },
	{ .name = "query-qmp-schema", .ret = &schema_schema, .run = cmd_query_qmp_schema },
	{ .hmp_name = "help",
	  .hmp_alias = "?",
	  .hmp_params = "[cmd]",
	  .hmp_help = "show the help",
	  .hmp_args = HMP_OPTIONAL,
	  .hmp_key = "name",
	  .hmp_complete = COMPLETE_COMMAND },

	{ .name = "stop",
	  .run = cmd_stop,
	  .hmp_name = "stop",
	  .hmp_alias = "s",
	  .hmp_params = "",
	  .hmp_help = "stop emulation" },
	{ .name = "cont",
	  .run = cmd_cont,
	  .hmp_name = "cont",
	  .hmp_alias = "c",
	  .hmp_params = "",
	  .hmp_help = "resume emulation" },
	{ .name = "quit",
	  .run = cmd_quit,
	  .hmp_name = "quit",
	  .hmp_alias = "q",
	  .hmp_params = "",
	  .hmp_help = "quit the emulator" },
	{ .name = "system_reset",
	  .run = cmd_system_reset,
	  .hmp_name = "system_reset",
	  .hmp_params = "",
	  .hmp_help = "reset the system" },
	{ .name = "system_powerdown",
	  .run = cmd_system_powerdown,
	  .hmp_name = "system_powerdown",
	  .hmp_params = "",
	  .hmp_help = "send system power down event" },

	{ .name = "object-add",
	  .args = &schema_object_add_arg,
	  .run = cmd_object_add,
	  .hmp_name = "object_add",
	  .hmp_params = "[qom-type=]type,id=str[,prop=value][,...]",
	  .hmp_help = "create QOM object",
	  .hmp_args = HMP_OPTIONS,
	  .hmp_key = "qom-type",
	  .hmp_complete = COMPLETE_OBJECT_TYPE },
	{ .name = "object-del",
	  .args = &schema_id_arg,
	  .run = cmd_object_del,
	  .hmp_name = "object_del",
	  .hmp_params = "id",
	  .hmp_help = "destroy QOM object",
	  .hmp_args = HMP_WORD,
	  .hmp_key = "id",
	  .hmp_complete = COMPLETE_OBJECT },
	{ .name = "device_add",
	  .args = &schema_device_add_arg,
	  .run = cmd_device_add,
	  .hmp_name = "device_add",
	  .hmp_params = "driver[,prop=value][,...]",
	  .hmp_help = "add device, like -device on the command line",
	  .hmp_args = HMP_OPTIONS,
	  .hmp_key = "driver",
	  .hmp_complete = COMPLETE_DRIVER },
	{ .name = "device_del",
	  .args = &schema_id_arg,
	  .run = cmd_device_del,
	  .hmp_name = "device_del",
	  .hmp_params = "device",
	  .hmp_help = "remove device",
	  .hmp_args = HMP_WORD,
	  .hmp_key = "id",
	  .hmp_complete = COMPLETE_DEVICE },

	{ .name = "pmem_clear_error",
	  .args = &schema_id_arg,
	  .run = cmd_pmem_clear_error,
	  .hmp_name = "pmem_clear_error",
	  .hmp_params = "device",
	  .hmp_help = "let the flushes of a device be tried again after a sync failed",
	  .hmp_args = HMP_WORD,
	  .hmp_key = "id",
	  .hmp_complete = COMPLETE_DEVICE },

	{ .name = "query-version",
	  .ret = &schema_version,
	  .run = cmd_query_version,
	  INFO("version", "show the version of pmvm", hmp_print_version) },
	{ .name = "query-status",
	  .ret = &schema_status,
	  .run = cmd_query_status,
	  INFO("status", "show the current VM status (running|paused)", hmp_print_status) },
	{ .name = "query-name",
	  .ret = &schema_name,
	  .run = cmd_query_name,
	  INFO("name", "show the current VM name", hmp_print_name) },
	{ .name = "query-uuid",
	  .ret = &schema_uuid,
	  .run = cmd_query_uuid,
	  INFO("uuid", "show the current VM UUID", hmp_print_uuid) },
	{ .name = "query-kvm",
	  .ret = &schema_kvm,
	  .run = cmd_query_kvm,
	  INFO("kvm", "show KVM information", hmp_print_kvm) },
	{ .name = "query-cpus-fast",
	  .ret = &schema_cpus,
	  .run = cmd_query_cpus_fast,
	  INFO("cpus", "show infos for each CPU", hmp_print_cpus) },
	{ .name = "query-pci", .ret = &schema_pci, .run = cmd_query_pci, INFO("pci", "show PCI info", hmp_print_pci) },
	{ .name = "query-memory-devices",
	  .ret = &schema_memory_devices,
	  .run = cmd_query_memory_devices,
	  INFO("memory-devices", "show memory devices", hmp_print_memory_devices) },
	{ .name = "query-memdev",
	  .ret = &schema_memdevs,
	  .run = cmd_query_memdev,
	  INFO("memdev", "show memory backends", hmp_print_memdev) },
	{ .name = "query-memory-size-summary",
	  .ret = &schema_memory_size,
	  .run = cmd_query_memory_size_summary,
	  INFO("memory_size_summary",
	       "show the amount of initially allocated and present hotpluggable (if enabled) memory "
	       "in bytes",
	       hmp_print_memory_size_summary) },
	{ .name = "query-pmem",
	  .ret = &schema_pmems,
	  .run = cmd_query_pmem,
	  INFO("pmem", "show statistics of the persistent memory devices", hmp_print_pmem) },

	{ .name = "qom-list", .args = &schema_path_arg, .ret = &schema_properties, .run = cmd_qom_list },
	{ .name = "qom-get", .args = &schema_qom_get_arg, .ret = &schema_any, .run = cmd_qom_get },
	{ .name = "device-list-properties",
	  .args = &schema_typename_arg,
	  .ret = &schema_properties,
	  .run = cmd_device_list_properties },
};
const unsigned command_count = sizeof(command_table) / sizeof(command_table[0]);

const struct command *command_find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (command_table[i].name && !strcmp(command_table[i].name, name))
			return &command_table[i];
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
	if (!cmd->run)
		return error_set(err, -ENOSYS, "The command %s has not been found", cmd->hmp_name);
	if (!args)
		args = none;
	if (!args)
		return error_set(err, -ENOMEM, "out of memory");
	if (!is_checked_by_command(cmd))
		rc = schema_check(cmd->args ? cmd->args : &schema_empty, args, "", err);
	if (rc == 0)
		rc = cmd->run(ctx, args, ret, err);
	json_object_put(none);
	return rc;
}

int command_give(struct json_object *val, struct json_object **ret, struct vpmem_error *err)
{
	*ret = val;
	return val ? 0 : error_set(err, -ENOMEM, "out of memory");
}
