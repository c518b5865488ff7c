// SPDX-License-Identifier: Apache-2.0
/*
 * fake_container.h - stands in for what the agent does outside of itself: it counts and checks what it is asked for.
 */
#ifndef FAKE_CONTAINER_H
#define FAKE_CONTAINER_H

#include "agent.h"

struct fake_container {
	unsigned ncalls;          /* that would start crun */
	const char *last;         /* the name of the function */
	unsigned number;          /* of the container */
	char cgroup[256];         /* of exec; empty: none */
	struct json_object *sent; /* the last message of the agent; NULL: there was none */
	unsigned nsent;
};

extern struct fake_container fake_container;

void fake_container_clear(void);

#endif
