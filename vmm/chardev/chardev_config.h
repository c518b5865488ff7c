// SPDX-License-Identifier: Apache-2.0
/*
 * chardev_config.h - one character device as the user asked for it.
 */
#ifndef PMVM_CHARDEV_CONFIG_H
#define PMVM_CHARDEV_CONFIG_H

#include <stdbool.h>

enum chardev_kind { CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_NULL, CHARDEV_UNIX };

struct chardev_config {
	enum chardev_kind kind;
	char *path;   /* file, unix */
	bool wait;    /* unix: do not start before a peer has connected */
	bool mux;     /* stdio: Ctrl-a is the escape character (-nographic) */
	bool signals; /* stdio without mux: Ctrl-c ends the program */
};

#endif
