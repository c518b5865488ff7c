// SPDX-License-Identifier: Apache-2.0
// Bundles for tests.
#include "config.h"
#include "unit_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64];
static struct json_object *config;

const char *bundle_dir(void)
{
	return dir;
}

const char *bundle_file(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make_file(const char *name)
{
	int fd = open(bundle_file(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void make_socket(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", bundle_file(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

int bundle_make(void **state)
{
	static const char *const dirs[] = { "merged", "rootfs", "data", "shm" };
	static const char *const files[] = { "hosts", "containerenv", "hostname", "image" };

	(void)state;
	strcpy(dir, "/tmp/pmvm-bundle-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < COUNT(dirs); i++)
		assert_int_equal(mkdir(bundle_file(dirs[i]), 0700), 0);
	for (unsigned i = 0; i < COUNT(files); i++)
		make_file(files[i]);
	make_socket("socket");
	assert_int_equal(mkfifo(bundle_file("fifo"), 0600), 0);
	config_use("podman.json");
	return 0;
}

int bundle_remove(void **state)
{
	char command[128];

	(void)state;
	json_object_put(config);
	config = NULL;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

// ---- config.json

void config_write(const char *text, size_t len)
{
	FILE *file = fopen(bundle_file("config.json"), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void save(void)
{
	const char *text = json_object_to_json_string(config);

	config_write(text, strlen(text));
}

// The text with the bundle's path for each @DIR@. The caller frees it.
static char *with_dir(const char *text)
{
	char *copy = calloc(1, 65536), *to = copy;

	assert_non_null(copy);
	while (*text && to < copy + 65000) {
		if (strncmp(text, "@DIR@", 5) == 0) {
			to = stpcpy(to, dir);
			text += 5;
		} else {
			*to++ = *text++;
		}
	}
	return copy;
}

static struct json_object *parse(const char *text)
{
	char *copy = with_dir(text);
	struct json_object *val = json_tokener_parse(copy);

	assert_true(val || strcmp(copy, "null") == 0);
	free(copy);
	return val;
}

void config_use(const char *name)
{
	static char text[65536];
	char path[512];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), CONFIGS "/%s", name);
	file = fopen(path, "re");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	json_object_put(config);
	config = parse(text);
	save();
}

static struct json_object *step(struct json_object *at, const char *name)
{
	if (json_object_is_type(at, json_type_array))
		return json_object_array_get_idx(at, strtoul(name, NULL, 10));
	return json_object_is_type(at, json_type_object) ? json_object_object_get(at, name) : NULL;
}

void config_set(const char *path, const char *json)
{
	char copy[128], *rest = copy, *name;
	struct json_object *at = config;

	// Names with dots, of annotations, are the last ones: '/' separates the steps.
	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")) && rest) {
		at = step(at, name);
		assert_non_null(at);
	}
	if (json_object_is_type(at, json_type_array) && strcmp(json, "-") == 0)
		json_object_array_del_idx(at, strtoul(name, NULL, 10), 1);
	else if (json_object_is_type(at, json_type_array))
		json_object_array_put_idx(at, strtoul(name, NULL, 10), parse(json));
	else if (strcmp(json, "-") == 0)
		json_object_object_del(at, name);
	else
		json_object_object_add(at, name, parse(json));
	save();
}

void config_load(struct bundle *bundle)
{
	struct vpmem_error err = { .text = "" };

	if (bundle_load(dir, BUNDLE_CONFIG, bundle, &err))
		fail_msg("%s", err.text);
}

const char *config_get(struct json_object *object, const char *path)
{
	char copy[128], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	while (object && (name = strsep(&rest, "/")))
		object = step(object, name);
	return object ? json_object_get_string(object) : "";
}
