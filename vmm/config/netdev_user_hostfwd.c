// SPDX-License-Identifier: Apache-2.0
// -netdev user,hostfwd=: rules as QEMU writes them.
#include "config.h"
#include "error.h"
#include "parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// The part of the rule before a separator, which *rule moves behind. False: there is no such separator, or no room.
static bool take(const char **rule, char separator, char *out, size_t size)
{
	const char *end = strchr(*rule, separator);
	size_t len = end ? (size_t)(end - *rule) : 0;

	if (!end || len >= size)
		return false;
	memcpy(out, *rule, len);
	out[len] = '\0';
	*rule = end + 1;
	return true;
}

static bool is_address(const char *text)
{
	struct in_addr addr;

	return !*text || inet_pton(AF_INET, text, &addr) == 1;
}

static bool parse_port(const char *text, uint16_t *out)
{
	uint64_t port;

	if (uint_parse(text, &port) < 0 || port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

// What is wrong with it, in QEMU's words, or NULL.
static const char *parse_rule(const char *rule, struct hostfwd *out)
{
	char word[16];

	*out = (struct hostfwd) { .udp = false };
	if (!take(&rule, ':', word, sizeof(word)))
		return "No : separators";
	out->udp = strcmp(word, "udp") == 0;
	if (*word && !out->udp && strcmp(word, "tcp") != 0)
		return "Bad protocol name";
	if (!take(&rule, ':', out->host, sizeof(out->host)))
		return "Missing : separator";
	if (!is_address(out->host))
		return "Bad host address";
	if (!take(&rule, '-', word, sizeof(word)))
		return "Bad host port separator";
	if (!parse_port(word, &out->host_port))
		return "Bad host port";
	if (!take(&rule, ':', out->guest, sizeof(out->guest)))
		return "Missing guest address";
	if (!is_address(out->guest))
		return "Bad guest address";
	return parse_port(rule, &out->guest_port) && out->guest_port > 0 ? NULL : "Bad guest port";
}

int hostfwd_next(const char **text, struct hostfwd *out, struct vpmem_error *err)
{
	const char *line = *text, *fault;
	size_t len = line ? strcspn(line, "\n") : 0;
	char rule[96];

	if (!line || !*line)
		return 0;
	snprintf(rule, sizeof(rule), "%.*s", (int)(len < sizeof(rule) ? len : sizeof(rule)), line);
	*text = line + len + (line[len] == '\n');
	fault = parse_rule(rule, out);
	if (fault)
		return error_set(err, -EINVAL, "Invalid host forwarding rule '%s' (%s)", rule, fault);
	if (out->host_port > 0)
		return 1;
	error_set(err, -EINVAL, "Invalid host forwarding rule '%s' (Bad host port)", rule);
	error_hint(err, "passt cannot choose a port: name one");
	return -EINVAL;
}
