// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_crowd.c - a process of a container that holds as many connections to the keeper of its machine as it gets, says
 * nothing on them, and connects again when one is closed.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CROWD 24
#define PORT "pmvm.port="
#define PAUSE_US 2000

static unsigned keeper_port(void)
{
	char line[4096] = "";
	FILE *file = fopen("/proc/cmdline", "re");
	const char *port;

	if (!file || !fgets(line, sizeof(line), file))
		return 0;
	fclose(file);
	port = strstr(line, PORT);
	return port ? (unsigned)strtoul(port + strlen(PORT), NULL, 10) : 0;
}

static int connect_to(unsigned port)
{
	const struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&host, sizeof(host)) == 0)
		return fd;
	close(fd);
	return -1;
}

int main(void)
{
	struct pollfd crowd[CROWD];
	unsigned port = keeper_port();

	for (unsigned i = 0; i < CROWD; i++)
		crowd[i] = (struct pollfd) { .fd = connect_to(port) };
	if (crowd[0].fd < 0) {
		printf("port %u: %s\n", port, strerror(errno));
		return 1;
	}
	puts("crowded");
	fflush(stdout);
	for (;;) {
		poll(crowd, CROWD, 0);
		for (unsigned i = 0; i < CROWD; i++) {
			if (crowd[i].fd >= 0 && !(crowd[i].revents & POLLHUP))
				continue;
			if (crowd[i].fd >= 0)
				close(crowd[i].fd);
			crowd[i].fd = connect_to(port);
		}
		usleep(PAUSE_US);
	}
}
