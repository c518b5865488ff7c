// SPDX-License-Identifier: Apache-2.0
/*
 * confined.h - runs a function in a child process, which may then give up what the test program needs.
 */
#ifndef CONFINED_H
#define CONFINED_H

/* What the function returned, 0 to 127; -N: it was ended by signal N. */
int run_confined(int (*function)(void *arg), void *arg);

#endif
