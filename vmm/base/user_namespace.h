// SPDX-License-Identifier: Apache-2.0
/*
 * user_namespace.h - whether this process is root of the host, or of a user namespace alone.
 *
 * In a user namespace that an ordinary user has made, as engines without root do, user 0 is that user, and the capabilities
 * are those over what belongs to the namespace. The map in /proc/self/uid_map says which users of the parent its users are.
 */
#ifndef PMVM_USER_NAMESPACE_H
#define PMVM_USER_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The namespace of the host, which maps each user to itself. True also where there is no /proc/self/uid_map. */
bool user_namespace_is_initial(void);

/* The effective user as the parent of the namespace knows it; in the initial one it is the same. */
uint32_t user_namespace_outer_uid(void);

/* For the two above and the tests: a map; lines `INSIDE OUTSIDE LENGTH`. */
bool user_map_is_identity(FILE *map);
/* false: this user is not in the map. */
bool user_map_outside(FILE *map, uint32_t inside, uint32_t *outside);

#endif
