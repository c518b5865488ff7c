// SPDX-License-Identifier: Apache-2.0
/*
 * failing_calls.h - what the host may refuse, refused on request: memory, eventfds, threads, sockets, mappings.
 *
 * The calls are wrapped (failing_calls_args of meson.build). They are counted while a number is set, in all threads, so
 * nothing but the code under test may make them then.
 */
#ifndef FAILING_CALLS_H
#define FAILING_CALLS_H

#include <stdbool.h>

/* The nth of the calls from now on fails, once. 0: none. */
void fail_call(unsigned nth);
/* Whether it came to that. No call fails from here on. */
bool call_has_failed(void);
/* Every sendmsg fails with this error until it is 0. */
void fail_sendmsg(int error);

#endif
