// SPDX-License-Identifier: Apache-2.0
/*
 * agent_boot.h - what init does before it is an agent: file systems, the root, kernel modules, the command line.
 */
#ifndef PMVM_OCI_AGENT_BOOT_H
#define PMVM_OCI_AGENT_BOOT_H

#include <vpmem.h>

/*
 * Mounts /proc, /sys, /dev, /dev/pts, /dev/shm, /run and cgroup2, and opens the console as 0, 1 and 2. Then the root is
 * one that pivot_root(2) takes, which the initramfs itself is not.
 */
int boot_file_systems(struct vpmem_error *err);

/* Loads the modules of /modules/list, in its order, and removes them. One that finds no device of its kind is no error. */
int boot_modules(struct vpmem_error *err);

/*
 * Free memory goes back to the host in small blocks. The kernel's own choice, 2 MiB, leaves the host with what is between
 * pages in use. After boot_modules: Linux 6.1 overwrites what its command line says when virtio_balloon is loaded. A
 * kernel without page reporting is no error.
 */
int boot_reporting(struct vpmem_error *err);

/* The value of pmvm.port= on the kernel's command line. */
int boot_port(unsigned *port, struct vpmem_error *err);
/* The same, of this text. */
int boot_port_of(const char *cmdline, unsigned *port, struct vpmem_error *err);

/* Never returns. */
_Noreturn void boot_power_off(void);

#endif
