// SPDX-License-Identifier: Apache-2.0
// qmp_capabilities: ends the negotiation of a QMP client.
#include "command.h"

#include "error.h"
#include "schema_make.h"

#include <errno.h>

static ENUM(capability_type, "QMPCapability", "oob");
static ARRAY(capabilities_type, capability_type);
static OBJECT(args_type, "qmp_capabilities-arg", OPTIONAL("enable", capabilities_type));

static int run(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
               struct vpmem_error *err)
{
	struct json_object *enable;

	(void)ret;
	if (!ctx->qmp || ctx->qmp->done)
		return error_set(err, -ENOSYS, "Capabilities negotiation is already complete, command ignored");
	// The schema knows one capability, so a list that is not empty enables it.
	if (json_object_object_get_ex(args, "enable", &enable))
		ctx->qmp->oob = json_object_array_length(enable) > 0;
	ctx->qmp->done = true;
	return 0;
}

const struct command cmd_qmp_capabilities = { .name = "qmp_capabilities", .args = &args_type, .run = run };
