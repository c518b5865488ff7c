// SPDX-License-Identifier: Apache-2.0
/*
 * vm_args.h - the command line of pmvm for one container.
 */
#ifndef PMVM_OCI_VM_ARGS_H
#define PMVM_OCI_VM_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vpmem.h>

/* Images of a machine. The kernel's vhost takes 64 regions of memory: RAM has some. */
#define VM_PMEM_MAX 60u
#define VM_NICS_MAX 8u
/* Buses of a machine to which VM_PMEM_MAX devices can be plugged later. */
#define VM_BUSES 3u

struct vm_pmem {
	const char *path;
	bool readonly;
};

struct vm_nic {
	int tap_fd, vhost_fd; /* -1: without vhost */
	uint8_t mac[6];
};

struct vm_config {
	const char *pmvm, *kernel, *initrd;
	const char *console_path; /* the serial port goes to this file; NULL: there is none */
	uint64_t ram_size;
	unsigned cpus;
	uint32_t uid;     /* the user and group that it runs as; 0: as its starter */
	const char *root; /* what pmvm sees as root once it runs, for what is plugged later; NULL: nothing is */
	uint32_t cid;
	unsigned port; /* of the keeper, for the agent */
	int qmp_fd;
	int vhost_vsock_fd;
	int share_fd; /* -1: no shares */
	const struct vm_pmem *pmem;
	size_t npmem;
	const struct vm_nic *nics;
	size_t nnics;
};

#define VM_TAG_SIZE 24u
#define VM_ADDRESS_SIZE 16u
#define VM_WORD_SIZE 16u

/* The address at which the guest finds the idx-th of pmem, "0000:00:0a.0". Returns buf. */
const char *vm_pmem_address(size_t idx, char buf[VM_ADDRESS_SIZE]);
/* The same for device_add: "pcie.0" and "0xa". */
void vm_pmem_place(size_t idx, char bus[VM_WORD_SIZE], char addr[VM_WORD_SIZE]);
/* The same of the network cards. */
const char *vm_nic_address(size_t idx, char buf[VM_ADDRESS_SIZE]);

/* The tag of the share of a container by its number: "share", "share-3". Returns buf. */
const char *vm_share_tag(unsigned number, char buf[VM_TAG_SIZE]);

/* The words, with a NULL at the end. NULL: out of memory, or more of something than there may be, and *err is set. */
char **vm_args_make(const struct vm_config *cfg, struct vpmem_error *err);
void vm_args_free(char **argv);

#endif
