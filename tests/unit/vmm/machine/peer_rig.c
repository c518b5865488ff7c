// SPDX-License-Identifier: Apache-2.0
// A fake host with a chardev that back ends connect to.
#include "peer_rig.h"

#include "machine_chardev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit_test.h"

struct peer_rig peers;

int peer_rig_setup(void **state)
{
	int rc = fake_host_setup(state);

	peers = (struct peer_rig) { .m = &fake_host->m };
	peers.m->ram_memdev = fake_host_memdev("ram");
	snprintf(peers.dir, sizeof(peers.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(peers.dir));
	snprintf(peers.path, sizeof(peers.path), "%s/x", peers.dir);
	return rc;
}

int peer_rig_teardown(void **state)
{
	machine_chardevs_down(peers.m);
	for (unsigned i = 0; i < peers.n; i++)
		close(peers.fds[i]);
	unlink(peers.path);
	rmdir(peers.dir);
	return fake_host_teardown(state);
}

void peer_rig_add_chardev(struct chardev_config cfg)
{
	struct vpmem_error err;
	struct chardev *chr;

	cfg.id = (char *)"c0";
	assert_int_equal(machine_chardev_add(peers.m, &cfg, &chr, &err), 0);
}

void peer_rig_listen(void)
{
	peer_rig_add_chardev((struct chardev_config) { .kind = CHARDEV_SOCKET, .path = peers.path, .server = true });
}

void peer_rig_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(peers.n < PEERS_MAX);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", peers.path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	peers.fds[peers.n++] = fd;
	for (unsigned i = 0; i < 4; i++)
		peer_rig_turn();
}

void peer_rig_turn(void)
{
	loop_wake(&peers.m->loop);
	assert_int_equal(loop_once(&peers.m->loop), 0);
}
