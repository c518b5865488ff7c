// SPDX-License-Identifier: Apache-2.0
// features: what this runtime can do, as the specification 1.1 asks for it.
#include "json_parse.h"
#include "print_json.h"
#include "verb.h"

#include <vpmem.h>

#include <json-c/json.h>

// Mounts, namespaces, capabilities and seccomp are those of the runtime and the kernel in the guest.
static const char features[] =
	"{'ociVersionMin': '1.0.0', 'ociVersionMax': '1.0.2',"
	" 'hooks': ['prestart', 'createRuntime', 'poststart', 'poststop'],"
	" 'mountOptions': ['async', 'bind', 'defaults', 'dev', 'exec', 'noatime', 'nodev', 'nodiratime', 'noexec', 'norelatime',"
	"  'nostrictatime', 'nosuid', 'private', 'rbind', 'relatime', 'ro', 'rprivate', 'rw', 'strictatime', 'suid', 'sync',"
	"  'tmpcopyup'],"
	" 'linux': {"
	"  'namespaces': ['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts'],"
	"  'cgroup': {'v1': false, 'v2': true, 'systemd': true, 'systemdUser': false},"
	"  'seccomp': {'enabled': true},"
	"  'apparmor': {'enabled': false},"
	"  'selinux': {'enabled': false},"
	"  'intelRdt': {'enabled': false}},"
	" 'annotations': {'io.pmvm.version': '" VPMEM_VERSION "'},"
	" 'potentiallyUnsafeConfigAnnotations': ['io.pmvm.kernel', 'io.pmvm.pmem']}";

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	const struct verb_operands operands = { 0 };
	struct json_object *json;
	int rc = verb_parse(&verb_features, argc, argv, &operands, err);

	(void)cmd;
	if (rc >= 0)
		rc = json_parse(features, &json, err);
	return rc < 0 ? rc : print_json(json, true, err);
}

const struct verb verb_features = {
	.name = "features",
	.operands = "",
	.summary = "print what this runtime can do as JSON",
	.run = run,
};
