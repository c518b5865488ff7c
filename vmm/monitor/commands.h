// SPDX-License-Identifier: Apache-2.0
/*
 * commands.h - what the commands of the table do: one function each (struct command, run).
 */
#ifndef PMVM_COMMANDS_H
#define PMVM_COMMANDS_H

#include "command.h"

typedef int command_fn(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                       struct vpmem_error *err);

/* cmd_control.c: the session itself, and what it can do */
command_fn cmd_qmp_capabilities, cmd_human_monitor_command, cmd_query_commands, cmd_query_events, cmd_query_qmp_schema;
/* cmd_run.c */
command_fn cmd_stop, cmd_cont, cmd_quit, cmd_system_reset, cmd_system_powerdown;
/* cmd_device.c */
command_fn cmd_object_add, cmd_object_del, cmd_device_add, cmd_device_del, cmd_pmem_clear_error;
/* cmd_query.c */
command_fn cmd_query_version, cmd_query_status, cmd_query_name, cmd_query_uuid, cmd_query_kvm, cmd_query_cpus_fast,
	cmd_query_memory_devices, cmd_query_memdev, cmd_query_memory_size_summary;
/* cmd_pci.c */
command_fn cmd_query_pci;
/* cmd_pmem.c */
command_fn cmd_query_pmem;
/* qom.c, qom_props.c */
command_fn cmd_qom_list, cmd_qom_get, cmd_device_list_properties;

/* A string argument that the schema requires. */
static inline const char *arg_str(struct json_object *args, const char *name)
{
	return json_object_get_string(json_object_object_get(args, name));
}

/* Hands out a result: -ENOMEM, with the text for it, if it could not be made. */
int command_give(struct json_object *val, struct json_object **ret, struct vpmem_error *err);

#endif
