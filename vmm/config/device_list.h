// SPDX-License-Identifier: Apache-2.0
/*
 * device_list.h - the types of -object and the models of -device, a line for each.
 *
 * From a line X(NAME, ...) follow NAME_type or NAME_model with its table of properties (this room), and NAME_kind (the
 * room of the machine), what the machine does with it. Nothing else lists them: help, hints, completion, QMP's schema and
 * device-list-properties walk these lists. docs/architecture.md, "A new device", has an example.
 */
#ifndef PMVM_DEVICE_LIST_H
#define PMVM_DEVICE_LIST_H

/* NAME, QEMU's name, the name of its type in QMP's schema; sorted as -object help shows them. */
#define OBJECT_LIST(X)                                                                  \
	X(memory_backend_file, "memory-backend-file", "MemoryBackendFileProperties")    \
	X(memory_backend_memfd, "memory-backend-memfd", "MemoryBackendMemfdProperties") \
	X(memory_backend_ram, "memory-backend-ram", "MemoryBackendProperties")          \
	X(rng_builtin, "rng-builtin", "RngProperties")                                  \
	X(rng_random, "rng-random", "RngRandomProperties")

/* NAME, QEMU's name, the name of its type in QMP's schema: the types of -netdev. */
#define NETDEV_LIST(X)                                    \
	X(netdev_dgram, "dgram", "NetdevDgramOptions")    \
	X(netdev_stream, "stream", "NetdevStreamOptions") \
	X(netdev_tap, "tap", "NetdevTapOptions")          \
	X(netdev_user, "user", "NetdevUserOptions")       \
	X(netdev_vhost_user, "vhost-user", "NetdevVhostUserOptions")

/* NAME; sorted as -device help shows them. */
#define DEVICE_LIST(X)           \
	X(vhost_user_blk_pci)    \
	X(vhost_user_device_pci) \
	X(vhost_user_fs_pci)     \
	X(vhost_vsock_pci)       \
	X(virtconsole)           \
	X(virtio_balloon_pci)    \
	X(virtio_net_pci)        \
	X(virtio_pmem_pci)       \
	X(virtio_rng_pci)        \
	X(virtio_serial_pci)     \
	X(virtserialport)        \
	X(vmgenid)

#endif
