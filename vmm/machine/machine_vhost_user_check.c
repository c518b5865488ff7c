// SPDX-License-Identifier: Apache-2.0
// What every back end in another process needs: RAM that it can map, and a connection.
#include "error.h"
#include "machine.h"
#include "machine_memdev.h"
#include "machine_vhost_user.h"

#include <errno.h>

int machine_vhost_user_check_ram(const struct machine *m, struct vpmem_error *err)
{
	if (m->ram_memdev && machine_memdev_region(m->ram_memdev).fd >= 0)
		return 0;
	error_set(err, -EINVAL,
	          "Failed initializing vhost-user memory map, consider using -object "
	          "memory-backend-file share=on");
	error_hint(err, "the back end maps the guest's RAM: start with -object memory-backend-memfd,id=ram,size=SIZE "
	                "-machine memory-backend=ram");
	return -EINVAL;
}

int machine_vhost_user_no_peer(const struct chardev *chr, const char *id, struct vpmem_error *err)
{
	error_set(err, -ENOTCONN, "chardev '%s': no back end is connected", id);
	if (chardev_expects_peers(chr))
		error_hint(err, "start the back end first, or add what needs it later, by the monitor");
	else
		error_hint(err,
		           "its one connection has ended: give it reconnect=SECONDS, or remove it by chardev-remove "
		           "and add it again");
	return -ENOTCONN;
}
