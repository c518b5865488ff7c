// SPDX-License-Identifier: Apache-2.0
// ringbuf-read, ringbuf-write: the contents of a ring buffer.
#include "command.h"

#include "base64.h"
#include "chardev.h"
#include "error.h"
#include "json_get.h"
#include "machine.h"
#include "schema_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX (1u << 20) /* bytes in one answer */

static ENUM(format_words, "DataFormat", "utf8", "base64");
static OBJECT(write_args_type, "ringbuf-write-arg", MEMBER("device", schema_str), MEMBER("data", schema_str),
              OPTIONAL("format", format_words));
static OBJECT(read_args_type, "ringbuf-read-arg", MEMBER("device", schema_str), MEMBER("size", schema_int),
              OPTIONAL("format", format_words));

static struct chardev *find(const struct command_context *ctx, struct json_object *args, struct vpmem_error *err)
{
	const char *id = get_str(args, "device");
	struct chardev *chr = chardev_find(&ctx->machine->chardevs, id);

	if (!chr)
		error_set(err, -ENOENT, "Device '%s' not found", id);
	else if (chardev_kind(chr) != CHARDEV_RINGBUF)
		error_set(err, -EINVAL, "%s is not a ringbuf device", id);
	else
		return chr;
	return NULL;
}

static bool is_base64(struct json_object *args)
{
	return strcmp(get_str(args, "format"), "base64") == 0;
}

static int write_ring(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                      struct vpmem_error *err)
{
	struct chardev *chr = find(ctx, args, err);
	const char *data = get_str(args, "data");
	size_t len = strlen(data);
	uint8_t *decoded;
	ssize_t n;

	(void)ret;
	if (!chr)
		return -EINVAL;
	if (!is_base64(args)) {
		chardev_queue(chr, (const uint8_t *)data, len);
		return 0;
	}
	decoded = malloc(len + 1);
	if (!decoded)
		return error_set(err, -ENOMEM, "out of memory");
	n = base64_decode(data, len, decoded);
	if (n >= 0)
		chardev_queue(chr, decoded, (size_t)n);
	free(decoded);
	return n < 0 ? error_set(err, -EINVAL, "Base64 data '%.200s' is not valid", data) : 0;
}

static struct json_object *encode(const uint8_t *buf, size_t len)
{
	char *text = malloc(BASE64_SIZE(len));
	struct json_object *json = NULL;

	if (text)
		json = json_object_new_string_len(text, (int)base64_encode(buf, len, text));
	free(text);
	return json;
}

static int read_ring(const struct command_context *ctx, struct json_object *args, struct json_object **ret,
                     struct vpmem_error *err)
{
	struct chardev *chr = find(ctx, args, err);
	int64_t size = json_object_get_int64(get(args, "size"));
	struct json_object *text;
	uint8_t *buf;
	size_t len;

	if (!chr)
		return -EINVAL;
	if (size <= 0)
		return error_set(err, -EINVAL, "size must be greater than zero");
	len = size < READ_MAX ? (size_t)size : READ_MAX;
	buf = malloc(len);
	if (!buf)
		return error_set(err, -ENOMEM, "out of memory");
	len = chardev_ring_read(chr, buf, len);
	// JSON's text shows what is not UTF-8 as U+FFFD. QEMU's ends at the first NUL.
	text = is_base64(args) ? encode(buf, len) :
	                         json_object_new_string_len((const char *)buf, (int)strnlen((const char *)buf, len));
	free(buf);
	return command_return(text, ret, err);
}

const struct command cmd_ringbuf_write = {
	.name = "ringbuf-write",
	.args = &write_args_type,
	.run = write_ring,
};

const struct command cmd_ringbuf_read = {
	.name = "ringbuf-read",
	.args = &read_args_type,
	.ret = &schema_str,
	.run = read_ring,
};
