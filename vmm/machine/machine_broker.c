// SPDX-License-Identifier: Apache-2.0
// All operations of the broker. Their order is the protocol between the two processes, which are one program.
#include "machine_broker.h"

#include "broker_process.h"
#include "chardev_pty.h"
#include "file_id.h"
#include "host_memory.h"
#include "inet.h"
#include "listen.h"
#include "machine_file.h"
#include "machine_rng.h"
#include "net_dgram.h"
#include "net_remote.h"
#include "nonblock.h"
#include "outfile.h"
#include "tap.h"
#include "vhost_kernel.h"
#include "vhost_user.h"

const struct broker_op *const machine_broker_ops[] = {
	// sandbox
	&broker_report_op,
	&broker_settle_op,
	// base
	&file_id_unlink_op,
	&nonblock_reopen_op,
	// chardev
	&chardev_pty_op,
	&inet_connect_op,
	&inet_listen_op,
	&listen_unix_op,
	&outfile_open_op,
	// net
	&net_dgram_bind_op,
	&net_remote_connect_op,
	&tap_queue_op,
	// virtio
	&vhost_kernel_open_op,
	&vhost_kernel_regions_max_op,
	&vhost_user_channel_op,
	// machine
	&host_memory_available_op,
	&host_memory_memfd_op,
	&machine_file_open_op,
	&machine_file_remove_op,
	&rng_random_open_op,
};

const unsigned machine_broker_nops = sizeof(machine_broker_ops) / sizeof(machine_broker_ops[0]);
