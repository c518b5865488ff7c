// SPDX-License-Identifier: Apache-2.0
/*
 * bundle_fuzz.c - config.json of a container.
 *
 * The input is the file. Every one ends in an error with a text, or in a bundle that keeps its promises and a
 * configuration for the guest that has nothing of the host.
 */
#include "bundle.h"
#include "fuzz.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

static char dir[] = "/tmp/pmvm-bundle-fuzz-XXXXXX", config_path[sizeof(dir) + 16];

static void remove_dir(void)
{
	unlink(config_path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	CHECK(mkdtemp(dir));
	snprintf(config_path, sizeof(config_path), "%s/config.json", dir);
	return atexit(remove_dir);
}

static void write_config(const uint8_t *data, size_t len)
{
	int fd = open(config_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *val = json_object_object_get(object, name);

	return json_object_is_type(val, json_type_string) ? json_object_get_string(val) : "";
}

static void check_fields(const struct bundle *bundle)
{
	CHECK(bundle->root_path && bundle->root_path[0] == '/' && strcmp(bundle->dir, dir) == 0);
	CHECK((bundle->net == NET_PATH) == (bundle->netns_path != NULL));
	CHECK(bundle->upper == UPPER_PMEM || bundle->upper_size == 0);
	CHECK(bundle->cpus <= 4096);
	for (size_t i = 0; i < bundle->nshares; i++)
		CHECK(bundle->shares[i].host[0] == '/');
	for (size_t i = 0; i < bundle->npmem; i++)
		CHECK(bundle->pmem[i].file[0] == '/' && bundle->pmem[i].target[0] == '/');
	for (unsigned point = 0; point < HOOK_POINTS; point++) {
		for (size_t i = 0; i < bundle->hooks[point].n; i++)
			CHECK(bundle->hooks[point].list[i].path[0] == '/' && bundle->hooks[point].list[i].args[0]);
	}
}

// Each of its binds is a share of ours, or a volume.
static void check_mounts(struct json_object *mounts)
{
	for (size_t i = 0; i < json_object_array_length(mounts); i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);
		const char *source = text_of(mount, "source");

		CHECK(text_of(mount, "destination")[0] == '/');
		if (strcmp(text_of(mount, "type"), "bind") == 0)
			CHECK(strncmp(source, "/run/oci/7/share/", 17) == 0 ||
			      strncmp(source, "/run/oci/7/pmem/", 16) == 0 ||
			      strncmp(source, BUNDLE_GUEST_MEMORY "/", strlen(BUNDLE_GUEST_MEMORY) + 1) == 0 ||
			      strcmp(source, BUNDLE_GUEST_SHM) == 0);
	}
}

static void check_guest(const struct bundle *bundle)
{
	const struct guest_place place = { .number = 7, .pod_pid = 9 };
	struct json_object *config = bundle_guest_config(bundle, &place);

	CHECK(config);
	CHECK(strcmp(text_of(json_object_object_get(config, "root"), "path"), "/run/oci/7/rootfs") == 0);
	CHECK(!json_object_object_get(config, "hooks") && !json_object_object_get(config, "annotations"));
	check_mounts(json_object_object_get(config, "mounts"));
	json_object_put(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vpmem_error err = { .text = "" };
	struct bundle bundle;
	int rc;

	write_config(data, len);
	rc = bundle_load(dir, BUNDLE_CONFIG, &bundle, &err);
	if (rc == 0) {
		check_fields(&bundle);
		check_guest(&bundle);
	} else {
		CHECK(rc < 0 && err.text[0] != '\0' && !bundle.config);
	}
	bundle_fini(&bundle);
	return 0;
}
