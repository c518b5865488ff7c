// SPDX-License-Identifier: Apache-2.0
// What is refused: each with its name, the reason and the next step.
#include "config.h"
#include "unit_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// A change of podman.json, the error that it causes, and a part of its hint.
struct refusal {
	const char *path, *json;
	int rc;
	const char *text, *hint;
};

static void check(const struct refusal *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct vpmem_error err = { .text = "" };
		struct bundle bundle;
		int rc;

		config_use("podman.json");
		config_set(list[i].path, list[i].json);
		rc = bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err);
		if (rc != list[i].rc || !strstr(err.text, list[i].text) ||
		    strncmp(err.text, "config.json: ", 13) != 0 || (list[i].hint && !strstr(err.hint, list[i].hint)))
			fail_msg("%s = %s: %d: %s (%s)", list[i].path, list[i].json, rc, err.text, err.hint);
		bundle_fini(&bundle);
	}
}

static void namespaces(void **state)
{
	static const struct refusal list[] = {
		{ "linux/namespaces/0", "-", -ENOTSUP, "linux.namespaces: no pid, so the pid namespace of the host",
		  "--pid" },
		{ "linux/namespaces/1", "-", -ENOTSUP, "no network, so the network namespace of the host",
		  "--network bridge" },
		{ "linux/namespaces/2", "-", -ENOTSUP, "no ipc, so the ipc namespace of the host", "--ipc" },
		{ "linux/namespaces/4", "-", -ENOTSUP, "no mount, so", "mount" },
		{ "linux/namespaces", "-", -ENOTSUP, "no pid", NULL },
		{ "linux/namespaces/0/path", "\"/proc/7/ns/pid\"", -ENOTSUP,
		  "the pid namespace /proc/7/ns/pid, of another container or pod: not supported", "outside the pod" },
		{ "linux/namespaces/2/path", "\"/proc/7/ns/ipc\"", -ENOTSUP, "the ipc namespace /proc/7/ns/ipc", NULL },
		{ "linux/namespaces/3/path", "\"/proc/7/ns/uts\"", -ENOTSUP, "the uts namespace /proc/7/ns/uts", NULL },
		{ "linux/namespaces/1/path", "\"ns/net\"", -EINVAL, "network: ns/net is no absolute path", NULL },
		{ "linux/namespaces/1/type", "\"netwrok\"", -EINVAL, "linux.namespaces[1].type: netwrok is no",
		  "network?" },
		{ "linux/namespaces/9", "{\"type\": \"pid\"}", -EINVAL, "linux.namespaces", NULL },
		{ "linux/namespaces/6", "{\"type\": \"pid\"}", -EINVAL, "pid stands there twice", NULL },
		{ "linux/namespaces/0", "7", -EINVAL, "linux.namespaces[0]: not an object", NULL },
		{ "linux/namespaces/0/type", "-", -EINVAL, "linux.namespaces[0].type: missing", NULL },
		{ "linux/namespaces", "{}", -EINVAL, "linux.namespaces: not an array", NULL },
		{ "linux", "-", -EINVAL, "linux: missing", NULL },
	};

	(void)state;
	check(list, COUNT(list));
}

static void mounts(void **state)
{
	static const struct refusal list[] = {
		{ "mounts/0/options/1", "\"rshared\"", -ENOTSUP, "mounts[0]: option rshared: mounts do not pass",
		  "rprivate" },
		{ "mounts/0/options/1", "\"slave\"", -ENOTSUP, "mounts[0]: option slave", "rprivate" },
		{ "mounts/1/options/3", "\"shared\"", -ENOTSUP, "mounts[1]: option shared", NULL },
		{ "mounts/0/options/1", "\"idmap\"", -ENOTSUP, "mounts[0]: option idmap", NULL },
		{ "mounts/0/uidMappings", "[]", -ENOTSUP, "mounts[0]: option uidMappings", NULL },
		{ "mounts/0/options", "\"ro\"", -EINVAL, "mounts[0].options: not an array", NULL },
		{ "mounts/0/options/0", "1", -EINVAL, "mounts[0].options[0]: not a string", NULL },
		{ "mounts/0/source", "\"@DIR@/gone\"", -ENOENT, "/gone: No such file", NULL },
		{ "mounts/0/source", "\"@DIR@/socket\"", -ENOTSUP, "/socket is a socket of the host", "regular files" },
		{ "mounts/0/source", "\"@DIR@/fifo\"", -ENOTSUP, "/fifo is a named pipe of the host", NULL },
		{ "mounts/0/source", "\"/dev/null\"", -ENOTSUP, "/dev/null belongs to the kernel of the host",
		  "leave out" },
		{ "mounts/0/source", "\"/dev\"", -ENOTSUP, "/dev belongs to the kernel", NULL },
		{ "mounts/0/source", "\"/proc/self/ns\"", -ENOTSUP, "/proc/self/ns belongs to the kernel", NULL },
		{ "mounts/0/source", "\"/sys\"", -ENOTSUP, "/sys belongs to the kernel", NULL },
		{ "mounts/0/source", "-", -EINVAL, "mounts[0].source: missing", NULL },
		{ "mounts/0/destination", "-", -EINVAL, "mounts[0].destination: missing", NULL },
		{ "mounts/0/destination", "\"data\"", -EINVAL, "mounts[0].destination: data: not an absolute path",
		  NULL },
		{ "mounts/2/type", "\"overlay\"", -ENOTSUP, "mounts[2].type: overlay: not supported", "bind mount" },
		{ "mounts/2/type", "-", -ENOTSUP, "mounts[2].type: missing: not supported", NULL },
		{ "mounts/2", "[]", -EINVAL, "mounts[2]: not an object", NULL },
		{ "mounts", "{}", -EINVAL, "mounts: not an array", NULL },
	};

	(void)state;
	check(list, COUNT(list));
}

static void of_linux(void **state)
{
	static const struct refusal list[] = {
		{ "linux/devices", "[{\"path\": \"/dev/sda\", \"type\": \"b\", \"major\": 8, \"minor\": 0}]", -ENOTSUP,
		  "linux.devices: /dev/sda (b 8:0), a device of the host", "--privileged" },
		{ "linux/devices", "[{\"path\": \"/dev/kvm\", \"type\": \"c\", \"major\": 10, \"minor\": 232}]",
		  -ENOTSUP, "/dev/kvm (c 10:232)", NULL },
		{ "linux/devices", "[{\"path\": \"/dev/null\", \"type\": \"b\", \"major\": 1, \"minor\": 3}]", -ENOTSUP,
		  "/dev/null (b 1:3)", NULL },
		{ "linux/devices", "[{\"path\": \"/dev/x\"}]", -EINVAL, "linux.devices[0].type: missing", NULL },
		{ "linux/intelRdt", "{}", -ENOTSUP, "linux.intelRdt: not supported", "resctrl" },
		{ "linux/rootfsPropagation", "\"rshared\"", -ENOTSUP, "linux.rootfsPropagation: rshared", "rprivate" },
		{ "linux/rootfsPropagation", "\"slave\"", -ENOTSUP, "linux.rootfsPropagation: slave", NULL },
		{ "linux/seccomp/listenerPath", "\"/run/s\"", -ENOTSUP, "linux.seccomp.listenerPath: /run/s",
		  "without" },
		{ "linux/resources/memory/limit", "\"1G\"", -EINVAL, "linux.resources.memory.limit: not an integer",
		  NULL },
		{ "linux/resources/memory/limit", "-2", -EINVAL, "linux.resources.memory.limit: -2 is not within",
		  NULL },
		{ "linux/resources/cpu/quota", "1.5", -EINVAL, "linux.resources.cpu.quota: not an integer", NULL },
		{ "linux/resources/cpu", "[]", -EINVAL, "linux.resources.cpu: not an object", NULL },
		{ "linux/resources/unified", "5", -EINVAL, "linux.resources.unified: not an object", NULL },
		{ "linux/maskedPaths", "[1]", -EINVAL, "linux.maskedPaths[0]: not a string", NULL },
		{ "linux/sysctl", "[]", -EINVAL, "linux.sysctl: not an object", NULL },
		{ "linux/cgroupsPath", "1", -EINVAL, "linux.cgroupsPath: not a string", NULL },
	};

	(void)state;
	check(list, COUNT(list));
}

static void of_process_and_root(void **state)
{
	static const struct refusal list[] = {
		{ "ociVersion", "\"2.0.0\"", -EINVAL, "ociVersion: 2.0.0", "version 1" },
		{ "root", "-", -EINVAL, "root: missing", NULL },
		{ "root/path", "-", -EINVAL, "root.path: missing", NULL },
		{ "root/path", "\"\"", -EINVAL, "root.path: empty", NULL },
		{ "root/readonly", "1", -EINVAL, "root.readonly: not true or false", NULL },
		{ "hostname", "1", -EINVAL, "hostname: not a string", NULL },
		{ "process", "-", -EINVAL, "process: missing", NULL },
		{ "process", "[]", -EINVAL, "process: not an object", NULL },
		{ "process/args", "-", -EINVAL, "process.args: missing", NULL },
		{ "process/args", "[]", -EINVAL, "process.args: missing", NULL },
		{ "process/args", "[null]", -EINVAL, "process.args[0]: not a string", NULL },
		{ "process/env", "[\"A=1\", 2]", -EINVAL, "process.env[1]: not a string", NULL },
		{ "process/cwd", "\"tmp\"", -EINVAL, "process.cwd: tmp: not an absolute path", NULL },
		{ "process/cwd", "-", -EINVAL, "process.cwd: missing", NULL },
		{ "process/user/uid", "-1", -EINVAL, "process.user.uid: -1 is not within", NULL },
		{ "process/user/gid", "4294967295", -EINVAL, "process.user.gid: 4294967295 is not within", NULL },
		{ "process/user/umask", "512", -EINVAL, "process.user.umask", NULL },
		{ "process/user/additionalGids", "[0, \"wheel\"]", -EINVAL,
		  "process.user.additionalGids[1]: not a group", NULL },
		{ "process/capabilities/ambient", "7", -EINVAL, "process.capabilities.ambient: not an array", NULL },
		{ "process/rlimits/0/soft", "-", -EINVAL, "process.rlimits[0].soft: missing", NULL },
		{ "process/rlimits/1", "null", -EINVAL, "process.rlimits[1]: not an object", NULL },
		{ "process/oomScoreAdj", "1001", -EINVAL, "process.oomScoreAdj: 1001 is not within", NULL },
		{ "process/noNewPrivileges", "\"yes\"", -EINVAL, "process.noNewPrivileges: not true or false", NULL },
		{ "process/terminal", "1", -EINVAL, "process.terminal: not true or false", NULL },
		{ "process/consoleSize", "{\"height\": 70000}", -EINVAL, "process.consoleSize.height: 70000", NULL },
	};

	(void)state;
	check(list, COUNT(list));
}

static void annotations_and_hooks(void **state)
{
	static const struct refusal list[] = {
		{ "annotations/io.pmvm.memroy", "\"1G\"", -EINVAL, "annotations: io.pmvm.memroy: unknown",
		  "io.pmvm.memory?" },
		{ "annotations/io.pmvm.colour", "\"red\"", -EINVAL, "annotations: io.pmvm.colour: unknown",
		  "there are" },
		{ "annotations/io.pmvm.cpus.x", "\"1\"", -EINVAL, "annotations: io.pmvm.cpus.x: unknown", NULL },
		{ "annotations/io.pmvm.memory", "\"much\"", -EINVAL, "io.pmvm.memory: much is no size", "512M" },
		{ "annotations/io.pmvm.memory", "\"0\"", -EINVAL, "io.pmvm.memory: 0 is no size", NULL },
		{ "annotations/io.pmvm.memory", "7", -EINVAL, "annotations: io.pmvm.memory: not a string", NULL },
		{ "annotations/io.pmvm.cpus", "\"0\"", -EINVAL, "io.pmvm.cpus: 0 is not within 1 and", NULL },
		{ "annotations/io.pmvm.cpus", "\"99999\"", -EINVAL, "io.pmvm.cpus: 99999 is not within 1 and", NULL },
		{ "annotations/io.pmvm.upper", "\"disk\"", -EINVAL, "io.pmvm.upper: disk", "pmem,size=1G" },
		{ "annotations/io.pmvm.upper", "\"pmem,size=0\"", -EINVAL, "io.pmvm.upper: pmem,size=0", NULL },
		{ "annotations/io.pmvm.upper", "\"pmem,size=1G,x\"", -EINVAL, "io.pmvm.upper: pmem,size=1G,x", NULL },
		{ "annotations/io.pmvm.pmem", "\"@DIR@/image\"", -EINVAL, "io.pmvm.pmem: /tmp", "FILE:/TARGET" },
		{ "annotations/io.pmvm.pmem", "\"@DIR@/image:/\"", -EINVAL, "io.pmvm.pmem: /tmp", "FILE:/TARGET" },
		{ "annotations/io.pmvm.pmem", "\"@DIR@/image:data\"", -EINVAL, "io.pmvm.pmem: /tmp", "FILE:/TARGET" },
		{ "annotations/io.pmvm.pmem", "\"@DIR@/image:/a/../b\"", -EINVAL, "io.pmvm.pmem: /tmp", NULL },
		{ "annotations/io.pmvm.pmem", "\"image:/data\"", -EINVAL, "io.pmvm.pmem: image: not an absolute path",
		  NULL },
		{ "annotations/io.pmvm.pmem", "\"@DIR@/gone:/data\"", -ENOENT, "/gone: No such file", NULL },
		{ "annotations/io.pmvm.pmem.b", "\"@DIR@/data:/data\"", -EINVAL, "io.pmvm.pmem.b: /tmp", NULL },
		{ "annotations/io.pmvm.kernel", "\"/no/kernel\"", -ENOENT, "io.pmvm.kernel: /no/kernel", NULL },
		{ "annotations", "[]", -EINVAL, "annotations: not an object", NULL },
		{ "annotations/io.kubernetes.cri.container-type", "\"container\"", -EINVAL,
		  "without the id of its sandbox", "sandbox-id" },
		{ "annotations/io.kubernetes.cri-o.ContainerType", "\"container\"", -EINVAL,
		  "without the id of its sandbox", "SandboxID" },
		{ "hooks", "{\"createContainer\": [{\"path\": \"/a\"}]}", -ENOTSUP,
		  "hooks.createContainer: runs a program of the host", "createRuntime" },
		{ "hooks", "{\"startContainer\": [{\"path\": \"/a\"}]}", -ENOTSUP, "hooks.startContainer", NULL },
		{ "hooks", "{\"prestart\": [{\"path\": \"a\"}]}", -EINVAL,
		  "hooks.prestart[0].path: a: not an absolute path", NULL },
		{ "hooks", "{\"poststop\": [{}]}", -EINVAL, "hooks.poststop[0].path: missing", NULL },
		{ "hooks", "{\"poststart\": [{\"path\": \"/a\", \"timeout\": 0}]}", -EINVAL,
		  "hooks.poststart[0].timeout: 0", NULL },
		{ "hooks", "{\"poststart\": [{\"path\": \"/a\"}, {\"path\": \"/a\", \"args\": [1]}]}", -EINVAL,
		  "hooks.poststart[1].args[0]: not a string", NULL },
		{ "hooks", "[]", -EINVAL, "hooks: not an object", NULL },
	};

	(void)state;
	check(list, COUNT(list));
}

static void of_a_container_of_a_pod(void **state)
{
	static const struct refusal {
		const char *path, *json, *text;
	} list[] = {
		{ "linux/namespaces/1/type", "\"network\"",
		  "linux.namespaces: network: one of its own for a container in the machine of pod web-0: not supported" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		struct vpmem_error err = { .text = "" };
		struct bundle bundle;

		config_use("podman.json");
		config_set("annotations/io.kubernetes.cri.container-type", "\"container\"");
		config_set("annotations/io.kubernetes.cri.sandbox-id", "\"abc123\"");
		config_set("annotations/io.kubernetes.cri.sandbox-name", "\"web-0\"");
		config_set(list[i].path, list[i].json);
		assert_int_equal(bundle_load(bundle_dir(), BUNDLE_CONFIG, &bundle, &err), -ENOTSUP);
		assert_string_equal(err.text + strlen("config.json: "), list[i].text);
		assert_true(err.hint[0] != '\0');
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bundle_make, bundle_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(namespaces),
		TEST(mounts),
		TEST(of_linux),
		TEST(of_process_and_root),
		TEST(annotations_and_hooks),
		TEST(of_a_container_of_a_pod),
	};

	return cmocka_run_group_tests_name("bundle_refused", tests, NULL, NULL);
}
