// SPDX-License-Identifier: Apache-2.0
/*
 * query-vhost-user: the devices whose back end is another process. QEMU does not have this command. An array with an object
 * for each, in the order in which they were added:
 *
 *   id         the device's id; absent if it has none
 *   path       its QOM path
 *   chardev    the id of its chardev
 *   connected  a back end is there
 *   state      "running": it serves the queues; "idle": it is there, but the guest's driver is not, or the machine is
 *              stopped; "disconnected": there is none, and the device goes on with the next one; "needs-reset": the device has
 *              stopped until its driver resets it
 *   message    why the last connection ended, or why a new back end was refused; absent if none did
 */
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "machine.h"
#include "machine_vhost_user.h"
#include "schema_make.h"

static const char *const state_names[] = { [VHOST_USER_RUNS] = "running",
	                                   [VHOST_USER_IDLE] = "idle",
	                                   [VHOST_USER_DISCONNECTED] = "disconnected",
	                                   [VHOST_USER_NEEDS_RESET] = "needs-reset",
	                                   NULL };
static ENUM_OF(state_type, "VhostUserState", state_names);
static OBJECT(info_type, "VhostUserInfo", OPTIONAL("id", schema_str), MEMBER("path", schema_str),
              MEMBER("chardev", schema_str), MEMBER("connected", schema_bool), MEMBER("state", state_type),
              OPTIONAL("message", schema_str));
static ARRAY(infos_type, info_type);

static struct json_object *info_of(const struct device *dev, const struct vhost_user_info *user)
{
	struct json_object *info = json_object_new_object();

	if (dev->cfg->id)
		put_str(info, "id", dev->cfg->id);
	put_str(info, "path", dev->path);
	put_str(info, "chardev", user->chardev);
	put_bool(info, "connected", user->connected);
	put_str(info, "state", state_names[user->condition]);
	if (*user->message)
		put_str(info, "message", user->message);
	return info;
}

static struct json_object *query(const struct machine *m)
{
	struct json_object *list = json_object_new_array();
	struct vhost_user_info user;

	for (unsigned i = 0; i < m->ndevices; i++)
		if (machine_vhost_user_info(m->devices[i], &user))
			add_to(list, info_of(m->devices[i], &user));
	return list;
}

static void print(struct json_object *list, struct hmp_out *out)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *info = json_object_array_get_idx(list, i);

		hmp_printf(out, "%s: chardev %s, %s", get(info, "id") ? get_str(info, "id") : get_str(info, "path"),
		           get_str(info, "chardev"), get_str(info, "state"));
		if (get(info, "message"))
			hmp_printf(out, ": %s", get_str(info, "message"));
		hmp_printf(out, "\n");
	}
}

const struct command cmd_query_vhost_user = {
	.name = "query-vhost-user",
	.ret = &infos_type,
	.query = query,
	.hmp_name = "info vhost-user",
	.hmp_help = "show the vhost-user devices and their back ends",
	.hmp_print = print,
};
