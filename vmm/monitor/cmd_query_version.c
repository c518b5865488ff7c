// SPDX-License-Identifier: Apache-2.0
/*
 * query-version. Tools choose by the number which commands they use, so it is that of the QEMU release whose behaviour
 * pmvm follows. pmvm's own version is the package.
 */
#include "command.h"

#include "json_get.h"
#include "json_make.h"
#include "schema_make.h"

#include <inttypes.h>

static OBJECT(triple_type, "VersionTriple", MEMBER("major", schema_int), MEMBER("minor", schema_int),
              MEMBER("micro", schema_int));
static OBJECT(version_type, "VersionInfo", MEMBER("qemu", triple_type), MEMBER("package", schema_str));

static struct json_object *query(const struct machine *m)
{
	struct json_object *version = json_object_new_object(), *qemu = json_object_new_object();

	(void)m;
	put_int(qemu, "micro", 0);
	put_int(qemu, "minor", 2);
	put_int(qemu, "major", 8);
	put(version, "qemu", qemu);
	put_str(version, "package", "pmvm " VPMEM_VERSION);
	return version;
}

static void print(struct json_object *ret, struct hmp_out *out)
{
	struct json_object *qemu = get(ret, "qemu");
	const char *package = get_str(ret, "package");

	hmp_printf(out, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 "%s%s\n", get_uint(qemu, "major"), get_uint(qemu, "minor"),
	           get_uint(qemu, "micro"), *package && *package != ' ' ? " " : "", package);
}

const struct command cmd_query_version = {
	.name = "query-version",
	.ret = &version_type,
	.query = query,
	.hmp_name = "info version",
	.hmp_help = "show the version of pmvm",
	.hmp_print = print,
};
