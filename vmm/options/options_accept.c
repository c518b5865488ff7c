// SPDX-License-Identifier: Apache-2.0
// Options of existing command lines that change little or nothing here: -boot, -bios, -global, -drive, -msg, -echr,
// -run-with.
#include "error.h"
#include "keyval.h"
#include "log.h"
#include "options_internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOTHING(prop_name)                                                  \
	{                                                                   \
		.name = prop_name, .type = PROP_STR, .offset = PROP_NOWHERE \
	}
#define FIXED(prop_name, values, reason)                                                                   \
	{                                                                                                  \
		.name = prop_name, .type = PROP_STR, .offset = PROP_NOWHERE, .only = values, .why = reason \
	}

// ---- -boot

static const struct prop boot_props[] = {
	FIXED("menu", "off", "there is no firmware that could show one"),
	FIXED("order", "", "the kernel of -kernel boots: leave it out"),
	NOTHING("reboot-timeout"),
	{ .name = "strict", .type = PROP_BOOL, .offset = PROP_NOWHERE },
};
static const struct prop_class boot_class = { .name = "boot-opts",
	                                      .prefix = "",
	                                      .unknown = PROP_UNKNOWN_INVALID,
	                                      .props = boot_props,
	                                      .nprops = COUNT(boot_props) };

int handle_boot(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, "order", &boot_class, NULL);
}

// ---- -bios

/* qboot does nothing but boot the kernel of -kernel. */
int handle_bios(struct cmdline *cl, const char *arg)
{
	if (strcmp(arg, "qboot.rom") == 0)
		return 0;
	error_set(cl->err, -EINVAL, "not supported");
	error_hint(cl->err, "there is no firmware: the kernel of -kernel boots");
	return -EINVAL;
}

// ---- -drive: a file that no device has

struct drive_args {
	char *file, *interface, *id;
};

static const struct prop drive_props[] = {
	NOTHING("aio"),
	NOTHING("cache"),
	NOTHING("discard"),
	{ .name = "file", .type = PROP_STR, .offset = offsetof(struct drive_args, file) },
	NOTHING("format"),
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct drive_args, id) },
	{ .name = "if", .type = PROP_STR, .offset = offsetof(struct drive_args, interface) },
	NOTHING("media"),
	{ .name = "read-only", .type = PROP_BOOL, .offset = PROP_NOWHERE },
	{ .name = "readonly", .type = PROP_BOOL, .offset = PROP_NOWHERE },
	NOTHING("werror"),
	NOTHING("rerror"),
};
static const struct prop_class drive_class = { .name = "drive",
	                                       .prefix = "",
	                                       .unknown = PROP_UNKNOWN_INVALID,
	                                       .props = drive_props,
	                                       .nprops = COUNT(drive_props) };

static int check_drive(struct cmdline *cl, const struct drive_args *drive)
{
	if (!drive->interface || strcmp(drive->interface, "none") != 0) {
		option_not_supported(cl, false);
		error_hint(cl->err, "the machine has no disks: a file becomes /dev/pmemN by -pmem FILE");
		return -ENOTSUP;
	}
	if (drive->file && access(drive->file, R_OK) < 0)
		return error_set(cl->err, -errno, "Could not open '%.200s': %s", drive->file, strerror(errno));
	return 0;
}

int handle_drive(struct cmdline *cl, const char *arg)
{
	struct keyval_syntax syntax = { .implied_key = NULL };
	struct drive_args drive = { 0 };
	bool help = false;
	struct json_object *json = keyval_parse(arg, &syntax, &help), *val;
	int rc = json ? 0 : error_set(cl->err, -ENOMEM, "out of memory");

	// What an attached one has is not known here: that it is attached comes first.
	if (rc == 0 && json_object_object_get_ex(json, "if", &val) && strcmp(json_object_get_string(val), "none") == 0)
		rc = props_apply(&drive_class, json, PROPS_TEXT, &drive, cl->err);
	json_object_put(json);
	if (rc == 0)
		rc = check_drive(cl, &drive);
	props_release(&drive_class, &drive);
	return rc;
}

// ---- -global: a default that is what it is anyway

struct global_args {
	char *driver, *property, *value;
};

static const struct prop global_props[] = {
	{ .name = "driver", .type = PROP_STR, .offset = offsetof(struct global_args, driver) },
	{ .name = "property", .type = PROP_STR, .offset = offsetof(struct global_args, property) },
	{ .name = "value", .type = PROP_STR, .offset = offsetof(struct global_args, value) },
};
static const struct prop_class global_class = { .name = "global",
	                                        .prefix = "",
	                                        .unknown = PROP_UNKNOWN_INVALID,
	                                        .props = global_props,
	                                        .nprops = COUNT(global_props) };

// "driver.property=value", QEMU's short form; else "driver=,property=,value=".
static int parse_global(struct cmdline *cl, const char *arg, struct global_args *global)
{
	size_t driver_len = strcspn(arg, ".="), property_len;

	if (arg[driver_len] != '.')
		return option_keyval(cl, arg, NULL, &global_class, global);
	property_len = strcspn(arg + driver_len + 1, "=");
	if (!arg[driver_len + 1 + property_len])
		return 0;
	global->driver = strndup(arg, driver_len);
	global->property = strndup(arg + driver_len + 1, property_len);
	global->value = strdup(arg + driver_len + 1 + property_len + 1);
	return global->driver && global->property && global->value ? 0 : error_set(cl->err, -ENOMEM, "out of memory");
}

static int check_global(struct cmdline *cl, const struct global_args *global)
{
	const struct device_model *model = device_model_find(global->driver);
	const struct prop *prop = model ? props_find(model->props, global->property) : NULL;

	if (!prop) {
		log_warn("global %s.%s has no effect: %s", global->driver, global->property,
		         model ? "the device has no such property" : "the machine has no such device");
		return 0;
	}
	if (prop->def && strcmp(prop->def, global->value) == 0)
		return 0;
	error_set(cl->err, -ENOTSUP, "'%s.%s=%s' is not supported", global->driver, global->property, global->value);
	error_hint(cl->err, "give the property to the -device: -device %s,%s=%s", global->driver, global->property,
	           global->value);
	return -ENOTSUP;
}

int handle_global(struct cmdline *cl, const char *arg)
{
	struct global_args global = { 0 };
	int rc = parse_global(cl, arg, &global);

	if (rc == 0 && (!global.driver || !global.property || !global.value)) {
		rc = error_set(cl->err, -EINVAL, "Parameter '%s' is missing",
		               !global.driver   ? "driver" :
		               !global.property ? "property" :
		                                  "value");
		error_hint(cl->err, "for example: -global kvm-pit.lost_tick_policy=discard");
	}
	if (rc == 0)
		rc = check_global(cl, &global);
	props_release(&global_class, &global);
	return rc;
}

// ---- -msg, -echr, -run-with

static const struct prop msg_props[] = {
	{ .name = "guest-name", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "timestamp",
	  .type = PROP_BOOL,
	  .offset = offsetof(struct machine_config, timestamps),
	  .help = "Begin each message with the time, in UTC" },
};
static const struct prop_class msg_class = {
	.name = "msg", .prefix = "", .unknown = PROP_UNKNOWN_INVALID, .props = msg_props, .nprops = COUNT(msg_props)
};

int handle_msg(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, NULL, &msg_class, cl->opts);
}

int handle_echr(struct cmdline *cl, const char *arg)
{
	char *end;
	unsigned long val = strtoul(arg, &end, 0);

	if (end != arg && !*end && *arg != '-' && val > 0 && val <= 0x7f) {
		cl->opts->escape = (unsigned char)val;
		return 0;
	}
	error_set(cl->err, -EINVAL, "Bad argument to echr");
	error_hint(cl->err, "it is the number of a character, 1 to 127: 1 is Ctrl-a, 0x14 is Ctrl-t");
	return -EINVAL;
}

static const struct prop run_with_props[] = {
	{ .name = "async-teardown", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "chroot",
	  .type = PROP_STR,
	  .offset = offsetof(struct machine_config, run_root),
	  .help = "The root directory, once everything is open" },
	{ .name = "exit-with-parent", .type = PROP_BOOL, .offset = PROP_NOWHERE, .only = "off", .not_yet = true },
	{ .name = "user",
	  .type = PROP_STR,
	  .offset = offsetof(struct machine_config, run_user),
	  .help = "The user to become then: a name, or UID:GID" },
};
static const struct prop_class run_with_class = { .name = "run-with",
	                                          .prefix = "",
	                                          .unknown = PROP_UNKNOWN_INVALID,
	                                          .props = run_with_props,
	                                          .nprops = COUNT(run_with_props) };

int handle_run_with(struct cmdline *cl, const char *arg)
{
	return option_keyval(cl, arg, NULL, &run_with_class, cl->opts);
}

int handle_ignored(struct cmdline *cl, const char *arg)
{
	(void)cl, (void)arg;
	return 0;
}
