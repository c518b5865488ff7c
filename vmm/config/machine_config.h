// SPDX-License-Identifier: Apache-2.0
/*
 * machine_config.h - the configuration of a machine: the command line, parsed and checked.
 */
#ifndef PMVM_MACHINE_CONFIG_H
#define PMVM_MACHINE_CONFIG_H

#include "chardev_config.h"
#include "config.h"

/* -monitor, -qmp, -qmp-pretty, -mon: one each. */
enum monitor_protocol { MONITOR_HMP, MONITOR_QMP, MONITOR_QMP_PRETTY };
struct monitor_config {
	enum monitor_protocol protocol;
	char *chardev; /* id */
};
#define MONITORS_MAX 8u

/* -share: one virtiofsd each. */
struct share_config {
	char *dir, *sandbox; /* sandbox: NULL: virtiofsd's default */
	char *chardev;       /* id of that which is connected to it */
};
#define SHARES_MAX 16u

/* -sandbox. */
enum sandbox_mode { SANDBOX_OFF, SANDBOX_ON, SANDBOX_LOG };
#define SANDBOX_DIRS_MAX 16u
struct sandbox_config {
	unsigned mode; /* enum sandbox_mode */
	bool net;      /* the broker permits any address of IPv4 and IPv6 */
	unsigned ndirs;
	char *dirs[SANDBOX_DIRS_MAX]; /* it permits these, besides those that follow from the other options */
};

/* Strings and lists are owned by the struct. */
struct machine_config {
	char *name, *pidfile, *uuid;
	char *run_user, *run_root; /* -run-with user=, chroot=; NULL: as we are */
	struct sandbox_config sandbox;
	char *kernel, *initrd, *append;
	/* Bytes, a multiple of 8 KiB, 2 MiB to 16 TiB; default 128 MiB as QEMU. 0: that of the memory backend. */
	uint64_t ram_size;
	char *memory_backend; /* id of the object that is RAM: -machine memory-backend=, -numa node,memdev=. NULL: none */
	unsigned ncpus;
	bool no_vmx, no_svm, no_pmu; /* -cpu host,-vmx,-svm,pmu=off: hidden from the guest */
	bool no_guest_core;          /* -machine dump-guest-core=off: a core dump is without guest memory */
	unsigned nbuses; /* -machine pci-buses=; while the command line is parsed, 0: as many as the devices need */
	bool no_reboot, no_shutdown, daemonize;
	bool timestamps;      /* -msg timestamp=on */
	unsigned char escape; /* -echr: the character before a command of a mux=on chardev; 0: Ctrl-a */
	bool stopped;         /* -S: the guest does not start before cont */
	char *serial;         /* id of the serial port's chardev; NULL: none */
	unsigned nmonitors;
	struct monitor_config monitors[MONITORS_MAX];
	unsigned nshares;
	struct share_config shares[SHARES_MAX];
	unsigned nchardevs, nobjects, nnetdevs, ndevices;
	struct chardev_config **chardevs;          /* of -chardev, and those that -serial, -monitor and -qmp make */
	struct object_config **objects, **netdevs; /* each is owned; NULL: somebody took it */
	struct device_config **devices;
};

/* Frees what it owns and leaves it all zeros. */
void machine_config_free(struct machine_config *cfg);

#endif
