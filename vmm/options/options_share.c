// SPDX-License-Identifier: Apache-2.0
// -share DIR: a folder of the host for the guest: a virtiofsd, a -chardev, a -device vhost-user-fs-pci, and RAM that can be shared.
#include "config_chardev.h"
#include "error.h"
#include "options_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TAG "share"
#define RAM_ID "share-ram"

struct share_args {
	char *dir, *id, *tag;
	unsigned sandbox;
};

static const char *const sandbox_words[] = { "auto", "namespace", "chroot", "none", NULL };

static const struct prop share_props[] = {
	{ .name = "dir", .type = PROP_STR, .offset = offsetof(struct share_args, dir), .help = "The folder" },
	{ .name = "id", .type = PROP_ID, .offset = offsetof(struct share_args, id), .help = "ID of the device" },
	{ .name = "sandbox",
	  .type = PROP_WORD,
	  .type_name = "VirtiofsdSandbox",
	  .offset = offsetof(struct share_args, sandbox),
	  .words = sandbox_words,
	  .def = "auto",
	  .help = "How virtiofsd locks itself in; auto: as it chooses" },
	{ .name = "tag",
	  .type = PROP_STR,
	  .offset = offsetof(struct share_args, tag),
	  .help = "What the guest mounts: mount -t virtiofs TAG /mnt; default: the last part of dir" },
};
static const struct prop_class share_class = {
	.name = "share",
	.prefix = "",
	.unknown = PROP_UNKNOWN_INVALID,
	.props = share_props,
	.nprops = sizeof(share_props) / sizeof(share_props[0]),
};

// The last part of the path; *len: without slashes at its end.
static const char *default_tag(const char *dir, int *len)
{
	size_t end = strlen(dir), start;

	while (end > 0 && dir[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && dir[start - 1] != '/')
		start--;
	*len = (int)(end - start);
	if (*len > 0 && strncmp(dir + start, "..", (size_t)*len) != 0)
		return dir + start;
	*len = (int)strlen(DEFAULT_TAG);
	return DEFAULT_TAG;
}

static int check(struct cmdline *cl, const struct share_args *args)
{
	if (!args->dir || !*args->dir) {
		error_set(cl->err, -EINVAL, "Parameter 'dir' is missing");
		error_hint(cl->err, "for example -share /srv/data,tag=data");
		return -EINVAL;
	}
	if (cl->opts->nshares == SHARES_MAX)
		return error_set(cl->err, -ENOSPC, "too many shares: at most %u", SHARES_MAX);
	return 0;
}

static void put(struct json_object *json, const char *key, const char *text)
{
	json_object_object_add(json, key, json_object_new_string(text));
}

// It gets its descriptor when virtiofsd runs.
static int add_chardev(struct cmdline *cl, const char *id)
{
	struct chardev_config *cfg = calloc(1, sizeof(*cfg));
	int rc;

	if (!cfg)
		return error_set(cl->err, -ENOMEM, "out of memory");
	cfg->kind = CHARDEV_SOCKET;
	rc = option_string(cl, &cfg->id, id);
	if (rc == 0)
		rc = option_add_chardev(cl, cfg);
	if (rc < 0)
		chardev_config_free(cfg);
	return rc;
}

static int add_device(struct cmdline *cl, const struct share_args *args, const char *id, const char *chardev)
{
	struct json_object *json = json_object_new_object();
	int len, rc;
	const char *tag = default_tag(args->dir, &len);

	put(json, "driver", vhost_user_fs_pci_class.name);
	put(json, "id", id);
	put(json, "chardev", chardev);
	if (args->tag)
		put(json, "tag", args->tag);
	else
		json_object_object_add(json, "tag", json_object_new_string_len(tag, len));
	rc = option_add_device(cl, json, PROPS_TEXT);
	json_object_put(json);
	return rc;
}

// A guest finds one of two folders with the same tag.
static int check_tag(struct cmdline *cl)
{
	const char *tag = vhost_user_config_of(cl->devices[cl->ndevices - 1])->tag;

	for (unsigned i = 0; i + 1 < cl->ndevices; i++) {
		if (cl->devices[i]->model != &vhost_user_fs_pci_model ||
		    strcmp(vhost_user_config_of(cl->devices[i])->tag, tag) != 0)
			continue;
		error_set(cl->err, -EEXIST, "the tag '%s' is taken by another folder", tag);
		error_hint(cl->err, "give this one another: tag=NAME");
		return -EEXIST;
	}
	return 0;
}

static int add_share(struct cmdline *cl, const struct share_args *args)
{
	struct share_config *share = &cl->opts->shares[cl->opts->nshares];
	char made[16], chardev[80];
	const char *id = args->id;
	int rc = check(cl, args);

	if (rc < 0)
		return rc;
	snprintf(made, sizeof(made), "share%u", cl->opts->nshares);
	id = id ? id : made;
	snprintf(chardev, sizeof(chardev), "%.60s-socket", id);
	cl->opts->nshares++;
	rc = option_string(cl, &share->dir, args->dir);
	if (rc == 0)
		rc = option_string(cl, &share->chardev, chardev);
	if (rc == 0 && args->sandbox > 0)
		rc = option_string(cl, &share->sandbox, sandbox_words[args->sandbox]);
	if (rc == 0)
		rc = add_chardev(cl, chardev);
	if (rc == 0)
		rc = add_device(cl, args, id, chardev);
	return rc ? rc : check_tag(cl);
}

int handle_share(struct cmdline *cl, const char *arg)
{
	struct share_args args = { .dir = NULL };
	int rc = option_keyval(cl, arg, "dir", &share_class, &args);

	if (rc == 0)
		rc = add_share(cl, &args);
	props_release(&share_class, &args);
	return rc;
}

// virtiofsd maps the guest's RAM. If the user has not said what it is made of, it is a memfd.
int finish_share(struct cmdline *cl)
{
	struct json_object *json;
	char size[32];
	int rc;

	if (cl->opts->nshares == 0 || cl->opts->memory_backend || cl->nnodes > 0)
		return 0;
	json = json_object_new_object();
	snprintf(size, sizeof(size), "%" PRIu64 "B", cl->opts->ram_size);
	put(json, "qom-type", memory_backend_memfd_class.name);
	put(json, "id", RAM_ID);
	put(json, "size", size);
	put(json, "share", "on");
	rc = option_add_object(cl, json, PROPS_TEXT);
	json_object_put(json);
	return rc ? rc : option_string(cl, &cl->opts->memory_backend, RAM_ID);
}
