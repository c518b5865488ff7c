// SPDX-License-Identifier: Apache-2.0
/*
 * session.h - one client of the monitor: a byte stream (a chardev) with a front end.
 *
 * What a front end writes is queued without limit to a call, and sent as fast as the client takes it. While more than
 * CHARDEV_OUT_MAX bytes wait, no input is taken: a client that sends requests without reading the answers is not served
 * further. A client that does not read while events pile up beyond SESSION_OUT_MAX is disconnected.
 *
 * A client that closes at once, or that only sends no more, is served to its end: all requests that it sent are
 * carried out, and as long as it reads it gets the answers. Then the session ends. It also ends when the front end
 * hangs up, or when it is dropped. It is freed later, from the event loop, never while one of its own functions runs. A
 * session on stdio, or on a multiplexed console, lasts as long as the program unless its front end hangs up.
 *
 * Input and focus come in the main thread. session_write and event may run in any thread that holds the
 * machine lock, also while the main thread released it inside `input`.
 */
#ifndef PMVM_SESSION_H
#define PMVM_SESSION_H

#include "monitor.h"

#include <stddef.h>
#include <stdint.h>

#define SESSION_OUT_MAX (4u << 20) /* bytes that wait for a client */

struct json_object;
struct session;

/* HMP or QMP. It has a state for each session, made by open and freed by close. */
struct front_end {
	/* A client is there (for stdio: at once). Greets it. Returns its state, NULL: out of memory. */
	void *(*open)(struct session *s);
	/* Bytes from the client, as they come: any length, divided anywhere. May call session_hang_up. */
	void (*input)(void *state, const uint8_t *buf, size_t len);
	/* The client is gone, or the program ends. */
	void (*close)(void *state);
	/* An event, as its QMP text without line end. NULL: the front end does not show events. */
	void (*event)(void *state, const char *text);
	/* For HMP over a multiplexed console: the person switched to it (true), or away. May be NULL. */
	void (*focus)(void *state, bool focused);
};

extern const struct front_end hmp_front_end, qmp_front_end, qmp_pretty_front_end;

struct monitor *session_monitor(struct session *s);
void session_write(struct session *s, const void *buf, size_t len);
/* Ends the session once the input callback has returned; what was written is still sent. */
void session_hang_up(struct session *s);
/* What the client is: a front end that greets does it at once, or at the first focus. */
bool session_is_mux(const struct session *s);
/* The stream is our standard input and output. */
bool session_is_stdio(const struct session *s);

#endif
