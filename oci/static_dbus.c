// SPDX-License-Identifier: Apache-2.0
/*
 * static_dbus.c - what the static libdbus wants of libsystemd, of which Debian has no static library: the sockets that
 * systemd passes to a server of the bus. pmvm-oci is a client, and never calls what calls these.
 */
int sd_listen_fds(int unset_environment);
int sd_listen_fds(int unset_environment)
{
	(void)unset_environment;
	return 0;
}

int sd_is_socket(int fd, int family, int type, int listening);
int sd_is_socket(int fd, int family, int type, int listening)
{
	(void)fd;
	(void)family;
	(void)type;
	(void)listening;
	return 0;
}
