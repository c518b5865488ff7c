// SPDX-License-Identifier: Apache-2.0
/*
 * config.h - bundles for tests: config.json as podman and containerd write it, with changes.
 *
 * The bundle is a temporary directory with what podman.json shares, and files and directories for changes.
 */
#ifndef OCI_CONFIG_H
#define OCI_CONFIG_H

#include "bundle.h"

#include <json-c/json.h>

/* Setup and teardown of a test. */
int bundle_make(void **state);
int bundle_remove(void **state);
/* The path of the bundle, and of a file in it (a buffer that the next call overwrites). */
const char *bundle_dir(void);
const char *bundle_file(const char *name);

/* "podman.json" or "containerd.json" becomes config.json. */
void config_use(const char *name);
/*
 * Changes config.json: the member at the path, "linux/namespaces/0/type", becomes this JSON; "-" removes it; an index
 * at the end of an array appends. @DIR@ in the JSON is the bundle.
 */
void config_set(const char *path, const char *json);
/* Any text as config.json. */
void config_write(const char *text, size_t len);

/* Loads it, which has to succeed. */
void config_load(struct bundle *bundle);
/* The text of a member of a JSON object, by its path; "" if it is missing. It belongs to the object. */
const char *config_get(struct json_object *object, const char *path);

#endif
