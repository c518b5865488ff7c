// SPDX-License-Identifier: Apache-2.0
// delete: removes a container, or several, and all that belongs to it.
#include "container.h"
#include "error.h"
#include "oci_log.h"
#include "verb.h"

#include <errno.h>
#include <regex.h>

struct deletion {
	struct command *cmd;
	regex_t regex;
	bool is_forced;
	int rc; // the first error
};

static int delete_match(void *owner, const struct state *state)
{
	struct deletion *deletion = owner;
	struct vpmem_error err = { "", "" };
	int rc;

	if (regexec(&deletion->regex, state->id, 0, NULL, 0) != 0)
		return 0;
	rc = container_delete(deletion->cmd, state->id, deletion->is_forced, &err);
	if (rc == 0 || rc == -ENOENT)
		return 0;
	oci_log_warn("%s", err.text);
	deletion->rc = deletion->rc ? deletion->rc : rc;
	return 0;
}

static int delete_matching(struct command *cmd, const char *pattern, bool is_forced, struct vpmem_error *err)
{
	struct deletion deletion = { .cmd = cmd, .is_forced = is_forced };
	int rc;

	if (regcomp(&deletion.regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return error_set(err, -EINVAL, "--regex: '%.200s' is no regular expression", pattern);
	rc = state_each(cmd->root, delete_match, &deletion, err);
	regfree(&deletion.regex);
	if (rc == 0 && deletion.rc < 0)
		rc = error_set(err, deletion.rc, "--regex: not all containers could be deleted");
	return rc;
}

static int run(struct command *cmd, int argc, char **argv, struct vpmem_error *err)
{
	bool is_forced = false, is_regex = false;
	const struct argument table[] = {
		ARGUMENT("force", 'f', FLAG, &is_forced,
		         "end the container first; one that does not exist is no error"),
		ARGUMENT("regex", 0, FLAG, &is_regex,
		         "ID is an extended regular expression: all containers that match"),
	};
	const struct verb_operands operands = { .table = table, .n = 2, .min = 1, .max = 1 };
	int rc = verb_parse(&verb_delete, argc, argv, &operands, err);

	if (rc < 0)
		return rc;
	if (is_regex)
		return delete_matching(cmd, argv[rc], is_forced, err);
	rc = container_delete(cmd, argv[rc], is_forced, err);
	return rc == -ENOENT && is_forced ? 0 : rc;
}

const struct verb verb_delete = {
	.name = "delete",
	.operands = "ID",
	.summary = "remove a container that has stopped or was never started",
	.run = run,
};
