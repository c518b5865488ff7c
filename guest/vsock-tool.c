// SPDX-License-Identifier: Apache-2.0
// Connections by vsock from inside the guest, for the tests: busybox has no program for them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "vsock-tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned number(const char *text)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 0);

	if (end == text || *end || value > UINT32_MAX) {
		fprintf(stderr, "vsock-tool: not a number: %s\n", text);
		exit(2);
	}
	return (unsigned)value;
}

static int vsock(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int dial(unsigned cid, unsigned port)
{
	const struct sockaddr_vm peer = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = vsock();

	if (connect(fd, (const struct sockaddr *)&peer, sizeof(peer)) < 0)
		die("connect");
	return fd;
}

static int listening(unsigned port)
{
	const struct sockaddr_vm own = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	int fd = vsock();

	if (bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0)
		die("bind");
	if (listen(fd, 8) < 0)
		die("listen");
	return fd;
}

static int answer(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		die("accept");
	return fd;
}

// Until the end of `from`. Returns -1 with errno if either side fails.
static int copy(int from, int to)
{
	static char buffer[65536];
	ssize_t len;

	while ((len = read(from, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0; done < len;) {
			const ssize_t n = write(to, buffer + done, (size_t)(len - done));

			if (n < 0)
				return -1;
			done += n;
		}
	}
	return len < 0 ? -1 : 0;
}

static int print_cid(void)
{
	int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	unsigned cid;

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		die("/dev/vsock");
	printf("%u\n", cid);
	return 0;
}

static int send_to(unsigned cid, unsigned port)
{
	int fd = dial(cid, port);

	if (copy(STDIN_FILENO, fd) < 0)
		die("send");
	// The peer has read all of it when it closes its side.
	shutdown(fd, SHUT_WR);
	if (copy(fd, STDOUT_FILENO) < 0)
		die("receive");
	return 0;
}

static int receive_at(unsigned port)
{
	if (copy(answer(listening(port)), STDOUT_FILENO) < 0)
		die("receive");
	return 0;
}

// Any number of connections, one after the other; each gets back what it sends.
static _Noreturn void echo_at(unsigned port)
{
	int listener = listening(port);

	for (;;) {
		int fd = answer(listener);

		(void)copy(fd, fd);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "cid") == 0)
		return print_cid();
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		return send_to(number(argv[2]), number(argv[3]));
	if (argc == 3 && strcmp(argv[1], "receive") == 0)
		return receive_at(number(argv[2]));
	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo_at(number(argv[2]));
	fputs("usage: vsock-tool cid\n"
	      "       vsock-tool send CID PORT <FILE      to the host: CID 2\n"
	      "       vsock-tool receive PORT >FILE       one connection\n"
	      "       vsock-tool echo PORT                sends back what comes, without end\n",
	      stderr);
	return 2;
}
