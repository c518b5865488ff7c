// SPDX-License-Identifier: Apache-2.0
/*
 * bundle.h - a container as the engine describes it: config.json of the OCI runtime specification, version 1.
 *
 * bundle_load reads and checks it, and refuses by name, with the reason, what a machine cannot do: namespaces of the
 * host, namespaces of others but a network and a pod, propagation of mounts to the host, devices of the host, Intel RDT, and
 * hooks that would have to run inside the guest. What remains is split in two: the fields below, which are for the
 * host, and bundle_guest_config, which is for the runtime inside the guest.
 *
 * A *share* is a directory or file of the host that the container sees by a bind mount. It has a number, its index
 * here; the guest finds it at share/NUMBER in the container's directory.
 *
 * A *pod* is a machine with several containers: the sandbox, which is created first, and those that are created in it. They
 * share the network, and the namespaces of the sandbox that they have a path for.
 *
 * /dev/shm is no share, also where the engine gives a tmpfs of the host: the guest has a tmpfs of the same size, as
 * shared memory needs one page for all who map it. Labels of SELinux and AppArmor are left out: the guest has neither.
 *
 * Paths are text of the file: they may lead anywhere, also by symbolic links, and the engine, which is root, has
 * written them. The content of the container's file system is not trusted, and nothing here opens a path in it.
 */
#ifndef PMVM_OCI_BUNDLE_H
#define PMVM_OCI_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmem.h>

struct json_object;

#define BUNDLE_CONFIG "config.json"

/* In the guest: the directory of a container by its number there, with `rootfs`, `share` and `pmem`; volumes of memory. */
#define BUNDLE_GUEST_DIR "/run/oci/%u"
#define BUNDLE_GUEST_MEMORY "/run/oci/memory"
#define BUNDLE_GUEST_CGROUP "/container-%u" /* cgroupsPath, below /sys/fs/cgroup */
#define BUNDLE_GUEST_SHM "/dev/shm"         /* what the containers of a pod have at the same path */

struct share {
	char *host; /* absolute; it exists */
	bool readonly, is_file;
	bool recursive; /* with what is mounted below it: rbind */
};

/* Annotation io.pmvm.pmem, or io.pmvm.pmem.NAME for several: an image that is a volume, FILE:TARGET[:ro]. */
struct pmem_volume {
	char *file, *target; /* absolute path of the host; absolute path in the container */
	bool readonly;
};

/* A directory in memory that the containers of a pod share: an emptyDir of Kubernetes. The guest has it, not the host. */
struct memory_volume {
	char *name; /* within the pod */
	uint64_t size;
	unsigned mode, uid, gid;
};

enum pod_role {
	POD_NONE,
	POD_SANDBOX,   /* it starts the machine of a pod */
	POD_CONTAINER, /* it comes into the machine of a sandbox */
};

/* By the annotations of containerd and CRI-O. Texts are borrowed from config. */
struct pod {
	enum pod_role role;
	const char *sandbox_id; /* POD_CONTAINER: of the sandbox */
	const char *name;       /* NULL: not given */
	bool has_ipc, has_uts;  /* it has that of the sandbox */
	char *pidns_path;       /* of the pid namespace that it joins; NULL: it has its own */
	uint64_t memory;        /* POD_SANDBOX: the limits of the containers that will come, as far as known */
	unsigned cpus;
};

enum bundle_net {
	/*
	 * A new network namespace, which has lo only. The engine may fill it between create and start: buildah does, and podman
	 * where the container has a user namespace.
	 */
	NET_NEW,
	NET_PATH, /* that of netns_path */
};

enum upper_kind {
	UPPER_SHARE, /* what the container writes goes to the engine's upper directory */
	UPPER_PMEM,  /* to a scratch image of upper_size, which is dropped with the container */
};

/* A hook that runs on the host, with the state of the container on its standard input. */
struct hook {
	char *path;         /* absolute */
	char **args, **env; /* end with NULL; args[0] is the name, never missing */
	unsigned timeout_s; /* 0: none */
};

enum hook_point {
	HOOK_PRESTART,       /* in create, before create_runtime (deprecated by the specification) */
	HOOK_CREATE_RUNTIME, /* in create, when the container is created; a failure ends create with an error */
	HOOK_POSTSTART,      /* in start, after it; a failure is a warning in the log */
	HOOK_POSTSTOP,       /* in delete, after it; a failure is a warning in the log */
	HOOK_POINTS,
};

struct hooks {
	struct hook *list; /* in their order */
	size_t n;
};

struct bundle {
	struct json_object *config; /* all of config.json; owned */
	char *dir;                  /* absolute path of the bundle */
	char *root_path;            /* absolute path of root.path */
	bool root_readonly, terminal;
	unsigned console_rows, console_columns; /* 0: not given */
	uint64_t memory_limit;                  /* linux.resources.memory.limit; 0: none */
	uint64_t ram;                           /* of io.pmvm.memory; 0: not given */
	unsigned cpus; /* io.pmvm.cpus, else the quota of cpu time rounded up; at most the host's; 0: not given */
	bool has_user_namespace;
	enum bundle_net net;
	char *netns_path;   /* NET_PATH; else NULL. Of a POD_CONTAINER it is another name of the machine's network. */
	char *cgroups_path; /* as it stands there; NULL: none */
	struct share *shares;
	size_t nshares;
	struct pmem_volume *pmem;
	size_t npmem;
	struct memory_volume *memory;
	size_t nmemory;
	struct pod pod;
	enum upper_kind upper;
	uint64_t upper_size; /* UPPER_PMEM; 0: not given */
	char *kernel;        /* io.pmvm.kernel: absolute path; NULL: not given */
	struct hooks hooks[HOOK_POINTS];
	struct json_object *annotations;  /* borrowed from config; NULL: none */
	struct json_object *guest_mounts; /* for bundle_guest_config; owned */
};

/*
 * Reads `file`, relative to dir: BUNDLE_CONFIG, unless the caller has another one. *bundle is overwritten;
 * bundle_fini is legal afterwards in any case. -EINVAL: it is no valid configuration. -ENOTSUP: it is valid, and a
 * machine cannot do it. -errno of a file that cannot be read. The text names the field
 * ("config.json: linux.namespaces: ...").
 */
int bundle_load(const char *dir, const char *file, struct bundle *bundle, struct vpmem_error *err);
void bundle_fini(struct bundle *bundle);

/* The name of its pod, or the id, for a message. */
const char *bundle_pod_name(const struct bundle *bundle);

/* Reads the superblocks of the volumes of pmem. -EINVAL: one has no ext4 that can be mounted with DAX. -errno of a file. */
int bundle_check_volumes(const struct bundle *bundle, struct vpmem_error *err);

/* Where a container is in its guest. */
struct guest_place {
	unsigned number; /* of the container; 0 is the first */
	int pod_pid;     /* the guest's number of the process whose namespaces a POD_CONTAINER shares */
	int pidns_pid;   /* the same of its pid namespace, which may be that of another container */
};

/*
 * config.json for the runtime inside the guest: its root and its bind mounts are in the directory of this number. Its
 * namespaces are new ones but for the network's, which is that of process 1 of the guest, and those that a container shares
 * with its pod. The caller owns it. NULL: out of memory.
 */
struct json_object *bundle_guest_config(const struct bundle *bundle, const struct guest_place *place);

/* Removes from linux.resources, for the runtime inside the guest, what is a matter of the host. */
void bundle_guest_resources(struct json_object *resources);
/* Whether a member of linux.resources.unified is a limit of the host. The others are the guest's. */
bool bundle_is_host_limit(const char *file);

/* Checks an OCI process, such as that of exec --process. -EINVAL with the name of the field. */
int bundle_process_check(struct json_object *process, struct vpmem_error *err);
/* The same for the runtime inside the guest. The caller owns it. NULL: out of memory. */
struct json_object *bundle_guest_process(struct json_object *process);

#endif
