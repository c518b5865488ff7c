// SPDX-License-Identifier: Apache-2.0
// spec: a config.json to begin with.
#include "error.h"
#include "json_file.h"
#include "json_parse.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define CAPABILITIES "['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']"

// What runc writes, without what a machine has no use for: a device cgroup.
static const char default_config[] =
	"{'ociVersion': '1.0.2',"
	" 'process': {'terminal': true, 'user': {'uid': 0, 'gid': 0}, 'args': ['sh'],"
	"  'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'], 'cwd': '/',"
	"  'capabilities': {'bounding': " CAPABILITIES ", 'effective': " CAPABILITIES ", 'permitted': " CAPABILITIES
	"},"
	"  'rlimits': [{'type': 'RLIMIT_NOFILE', 'hard': 1024, 'soft': 1024}], 'noNewPrivileges': true},"
	" 'root': {'path': 'rootfs', 'readonly': true},"
	" 'hostname': 'pmvm',"
	" 'mounts': ["
	"  {'destination': '/proc', 'type': 'proc', 'source': 'proc'},"
	"  {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',"
	"   'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},"
	"  {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',"
	"   'options': ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']},"
	"  {'destination': '/dev/shm', 'type': 'tmpfs', 'source': 'shm',"
	"   'options': ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']},"
	"  {'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue', 'options': ['nosuid', 'noexec', 'nodev']},"
	"  {'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs', 'options': ['nosuid', 'noexec', 'nodev', 'ro']},"
	"  {'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',"
	"   'options': ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']}],"
	" 'linux': {'namespaces': [{'type': 'pid'}, {'type': 'network'}, {'type': 'ipc'}, {'type': 'uts'},"
	"   {'type': 'cgroup'}, {'type': 'mount'}],"
	"  'maskedPaths': ['/proc/acpi', '/proc/asound', '/proc/kcore', '/proc/keys', '/proc/latency_stats',"
	"   '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/sys/firmware', '/proc/scsi'],"
	"  'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']}}";

static int write_config(const char *dir, struct vpmem_error *err)
{
	struct json_object *config;
	char path[PATH_MAX];
	int rc;

	if (snprintf(path, sizeof(path), "%s/config.json", dir) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "--bundle: the path is too long");
	if (access(path, F_OK) == 0) {
		error_set(err, -EEXIST, "%s exists", path);
		error_hint(err, "remove it first");
		return -EEXIST;
	}
	rc = json_parse(default_config, &config, err);
	if (rc < 0)
		return rc;
	rc = json_file_write(path, config, true, err);
	json_object_put(config);
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const char *dir = ".";
	bool is_rootless = false;
	const struct argument table[] = {
		ARGUMENT("bundle", 'b', TEXT, &dir, "directory of the file (the working directory)"),
		ARGUMENT("rootless", 0, FLAG, &is_rootless, NULL),
	};
	const struct verb_operands operands = { .table = table, .n = 2 };
	int rc = verb_parse(&verb_spec, argc, argv, &operands, err);

	(void)cmd;
	if (rc < 0)
		return rc;
	if (is_rootless)
		return error_set(
			err, -ENOTSUP,
			"spec --rootless: not supported: leave it out, the same spec holds in a user namespace");
	return write_config(dir, err);
}

const struct verb verb_spec = {
	.name = "spec",
	.operands = "",
	.summary = "write a config.json to begin with",
	.run = run,
};
