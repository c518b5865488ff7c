// SPDX-License-Identifier: Apache-2.0
/*
 * settings.h - what the administrator chose: /etc/pmvm/oci.conf.
 *
 * A line of the file is `name = value`; '#' begins a comment line. An engine calls us with an almost empty environment, so
 * neither PATH nor any other variable counts: programs are absolute paths.
 *
 * The defaults of our own files depend on where the program is. In a build tree (BUILD/pmvm-oci) they are BUILD/pmvm,
 * BUILD/oci/kernel and BUILD/oci/initrd.img; installed (PREFIX/bin/pmvm-oci), PREFIX/bin/pmvm and those of
 * PREFIX/lib/pmvm.
 */
#ifndef PMVM_OCI_SETTINGS_H
#define PMVM_OCI_SETTINGS_H

#include <vpmem.h>

#include <stdint.h>

#define SETTINGS_FILE "/etc/pmvm/oci.conf"
#define SETTINGS_FILE_OWN ".config/pmvm/oci.conf" /* in the home directory of a user who is not root */

struct settings {
	char *pmvm, *kernel, *initrd, *virtiofsd, *mkfs_erofs; /* absolute paths */
	char *layer_cache;                                     /* a directory */
	uint64_t layer_cache_size;                             /* bytes; 0: no limit */
	uint64_t layer_timeout_s;                              /* that an image of a layer may take; 0: no limit */
	uint64_t share_layers;                                 /* enum layer_share */
	uint64_t memory;                                       /* bytes of RAM of a machine without a memory limit */
	uint64_t memory_overhead; /* bytes that the cgroup's limit has beyond the container's */
	uint64_t cpus;            /* vCPUs of a machine without a cpu limit */
	uint64_t create_timeout_s;
	uint64_t machine_uid; /* users of machines have a number of 28 bits added to it; 0: root */
};

/*
 * Reads the file; path NULL: SETTINGS_FILE, which need not exist. *settings is all zeros before, and settings_fini is legal
 * afterwards in any case. -EINVAL: a line that is none of ours, with its number and what is meant.
 *
 * For a user who is not root (rootless.h) SETTINGS_FILE_OWN is read after SETTINGS_FILE. The cache of layers is then below
 * .local/share/pmvm, and machine_uid is 0, unless SETTINGS_FILE_OWN or `path` say otherwise. -ENOTSUP: a machine_uid.
 */
int settings_load(const char *path, struct settings *settings, struct vpmem_error *err);
void settings_fini(struct settings *settings);

/* The defaults for a program at this path, "/build/pmvm-oci"; the rest of settings_load. */
int settings_set_defaults(const char *program, struct settings *settings, struct vpmem_error *err);

#endif
