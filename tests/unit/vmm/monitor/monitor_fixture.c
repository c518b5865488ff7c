// SPDX-License-Identifier: Apache-2.0
// A machine that is only a loop, its monitor, and clients on sockets.
#include "monitor_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 20000u

struct rig rig;

void rig_add_monitor(enum monitor_protocol protocol, const struct chardev_config *cfg)
{
	static char ids[MONITORS_MAX][4] = { "m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7" };
	struct chardev_config with_id = *cfg;
	unsigned idx = rig.opts.nmonitors++;
	struct chardev *chr;

	with_id.id = ids[idx];
	with_id.monitor = true;
	assert_int_equal(chardev_list_add(&rig.machine.chardevs, &with_id, &rig.machine.loop, NULL, NULL, &chr, NULL),
	                 0);
	rig.opts.monitors[idx] = (struct monitor_config) { .protocol = protocol, .chardev = ids[idx] };
}

int rig_up(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	memset(&fake_qmp, 0, sizeof(fake_qmp));
	fake_args[0] = '\0';
	pthread_mutex_init(&rig.machine.lock, NULL);
	pthread_mutex_lock(&rig.machine.lock);
	snprintf(rig.dir, sizeof(rig.dir), "%s/pmvm-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.hmp_path, sizeof(rig.hmp_path), "%s/hmp", rig.dir);
	snprintf(rig.qmp_path, sizeof(rig.qmp_path), "%s/qmp", rig.dir);
	rig.object_config = (struct object_config) { .type = &memory_backend_file_type, .id = (char *)"mem1" };
	rig.device_config = (struct device_config) { .model = &virtio_pmem_pci_model, .id = (char *)"nv1" };
	rig.object.cfg = &rig.object_config;
	rig.device.cfg = &rig.device_config;
	rig.machine.opts = &rig.opts;
	rig.objects[0] = &rig.object;
	rig.devices[0] = &rig.device;
	rig.machine.objects = rig.objects;
	rig.machine.devices = rig.devices;
	rig.machine.nobjects = rig.machine.ndevices = 1;
	assert_int_equal(loop_init(&rig.machine.loop, &rig.machine.lock), 0);
	signal(SIGPIPE, SIG_IGN);
	rig_add_monitor(MONITOR_HMP,
	                &(struct chardev_config) {
				.kind = CHARDEV_SOCKET, .path = rig.hmp_path, .server = true, .wait = true });
	rig_add_monitor(MONITOR_QMP,
	                &(struct chardev_config) { .kind = CHARDEV_SOCKET, .path = rig.qmp_path, .server = true });
	return monitor_create(&rig.machine, &rig.monitor, NULL);
}

int rig_down(void **state)
{
	(void)state;
	monitor_destroy(rig.monitor);
	assert_null(rig.machine.chardevs.first);
	assert_int_equal(rig.machine.loop.nsources, 0);
	assert_int_equal(rig.machine.loop.ntimers, 0);
	loop_fini(&rig.machine.loop);
	pthread_mutex_unlock(&rig.machine.lock);
	// The sockets are gone.
	return rmdir(rig.dir);
}

void rig_turn(void)
{
	loop_wake(&rig.machine.loop);
	assert_int_equal(loop_once(&rig.machine.loop), 0);
}

int rig_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void rig_send(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && !memcmp(text + len - end_len, end, end_len);
}

const char *rig_read_until(int fd, const char *end)
{
	static char text[1 << 20];
	size_t len = 0;

	for (unsigned i = 0; i < TURNS_MAX; i++) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);

		if (n > 0)
			len += (size_t)n;
		text[len] = '\0';
		if (ends_with(text, len, end))
			return text;
		if (n <= 0)
			usleep(100);
		rig_turn();
	}
	fail_msg("'%s' does not end with '%s'", text, end);
	return NULL;
}

void rig_read_to_end(int fd)
{
	char buf[4096];

	for (unsigned i = 0; i < TURNS_MAX; i++) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return;
		if (n < 0)
			usleep(1000);
		rig_turn();
	}
	fail_msg("the peer is still there");
}

void rig_take_stdio(void)
{
	int in[2], out[2];

	assert_int_equal(pipe(in) | pipe(out), 0);
	rig.saved_stdin = dup(0);
	rig.saved_stdout = dup(1);
	dup2(in[0], 0);
	dup2(out[1], 1);
	close(in[0]);
	close(out[1]);
	rig.in_fd = in[1];
	rig.out_fd = out[0];
	fcntl(rig.out_fd, F_SETFL, O_NONBLOCK);
}

void rig_give_stdio(void)
{
	dup2(rig.saved_stdin, 0);
	dup2(rig.saved_stdout, 1);
	close(rig.saved_stdin);
	close(rig.saved_stdout);
	close(rig.in_fd);
	close(rig.out_fd);
}
