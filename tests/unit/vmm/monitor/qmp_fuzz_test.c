// SPDX-License-Identifier: Apache-2.0
/*
 * qmp_fuzz_test.c - QMP against clients that send what they like: random bytes, requests with mistakes,
 * truncated requests. Nothing crashes or leaks, what comes back is lines of JSON, and the session
 * still serves the next request. Iterations are bounded; the seed is fixed, and in the name of a failure.
 */
#include "qmp_rig.h"
#include "unit_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 600

static uint32_t rng_state;

static uint32_t rng(uint32_t below)
{
	// xorshift32
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 17;
	rng_state ^= rng_state << 5;
	return rng_state % below;
}

static const char *const valid[] = {
	"{\"execute\": \"query-qmp-schema\", \"id\": 1}",
	"{'execute': 'query-status', 'id': {'a': [null, 1.5, true]}}",
	"{\"execute\": \"stop\"}{\"execute\": \"cont\"}",
	"{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", "
	"\"mem-path\": \"p\", \"size\": 67108864, \"share\": true, \"host-nodes\": [0, 1], \"policy\": \"bind\"}}",
	"{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"virtio-pmem-pci\", \"id\": \"nv1\", \"memdev\": \"m1\", "
	"\"memaddr\": 4294967296, \"addr\": \"1f\", \"event_idx\": \"off\"}}",
	"{\"execute\": \"device_del\", \"arguments\": {\"id\": \"nv1\"}}",
	"{\"execute\": \"object-del\", \"arguments\": {\"id\": \"m1\"}}",
	"{\"execute\": \"query-pmem\"}{\"execute\": \"query-pci\"}{\"execute\": \"query-memory-devices\"}",
	"{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"/machine/peripheral/nv1\", \"property\": \"memaddr\"}}",
	"{\"execute\": \"qom-list\", \"arguments\": {\"path\": \"/objects/m1\"}}",
	"{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"\\u00e9\\\"\\\\\", \"cpu-index\": 0}}",
	"{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
	"{\"exec-oob\": \"query-status\", \"id\": \"x\"}",
	"[[[[[[]]]]]] null 17 \"\\ud83d\\ude00\"",
};

// Bytes and pieces that mean something to one layer or the other.
static const char *const spice[] = {
	"{",
	"}",
	"[",
	"]",
	":",
	",",
	"\"",
	"'",
	"\\",
	"\\u",
	"\\u0000",
	"\n",
	"\r\n",
	"\x01",
	"\xff",
	"\xfe",
	"\xc3",
	"\xed\xa0\x80",
	"-",
	"1e999",
	"99999999999999999999",
	"null",
	"tru",
	"\"id\"",
	"\"execute\":",
	"nv1",
	"m1",
	"/machine/peripheral/",
	"\"\":",
	"[0]",
	"{}",
	"\"arguments\": {}",
};

static size_t splice(char *buf, size_t len, const char *piece, size_t piece_len)
{
	size_t at = len ? rng((uint32_t)len) : 0;

	if (len + piece_len > REQUEST_MAX)
		return len;
	memmove(buf + at + piece_len, buf + at, len - at);
	memcpy(buf + at, piece, piece_len);
	return len + piece_len;
}

static size_t mutate(char *buf, size_t len)
{
	const char *piece;
	char byte;

	switch (rng(5)) {
	case 0: // another byte
		if (len > 0)
			buf[rng((uint32_t)len)] = (char)rng(256);
		return len;
	case 1: // one less
		if (len == 0)
			return 0;
		len--;
		memmove(buf + rng((uint32_t)len + 1), buf + len, 1);
		return len;
	case 2: // truncated
		return len ? rng((uint32_t)len) : 0;
	case 3:
		byte = (char)rng(256);
		return splice(buf, len, &byte, 1);
	default:
		piece = spice[rng(COUNT(spice))];
		return splice(buf, len, piece, strlen(piece));
	}
}

static size_t make_input(char *buf)
{
	const char *request = valid[rng(COUNT(valid))];
	size_t len = strlen(request);

	if (rng(8) == 0) {
		len = rng(200);
		for (size_t i = 0; i < len; i++)
			buf[i] = (char)rng(256);
		return len;
	}
	memcpy(buf, request, len);
	for (unsigned n = rng(4); n > 0; n--)
		len = mutate(buf, len);
	return len;
}

// Every line is one JSON object with a return or an error, in plain ASCII.
static void check_output(const char *text, uint32_t seed)
{
	while (*text) {
		size_t len = strcspn(text, "\r");
		struct json_tokener *tok = json_tokener_new_ex(1100);
		struct json_object *reply = json_tokener_parse_ex(tok, text, (int)len);
		bool known = json_object_object_get_ex(reply, "return", NULL) ||
		             json_object_object_get_ex(reply, "error", NULL);

		if (!known || strncmp(text + len, "\r\n", 2) != 0)
			fail_msg("seed %u: %s", seed, text);
		for (size_t i = 0; i < len; i++)
			assert_in_range(text[i], 0x20, 0x7e);
		json_object_put(reply);
		json_tokener_free(tok);
		text += len + 2;
	}
}

static void feed(struct qmp_rig *rig, const char *buf, size_t len)
{
	for (size_t off = 0; off < len;) {
		size_t piece = 1 + rng((uint32_t)len);

		if (piece > len - off)
			piece = len - off;
		// A copy of its own size: a read beyond it is seen.
		uint8_t *copy = malloc(piece);

		assert_non_null(copy);
		memcpy(copy, buf + off, piece);
		rig->front_end->input(rig->state, copy, piece);
		free(copy);
		off += piece;
	}
}

static void whatever_comes_the_session_goes_on(void **state)
{
	struct qmp_rig rig;

	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		rng_state = seed * 2654435761u;
		qmp_rig_start(&rig);
		for (unsigned i = 0; i < 100; i++) {
			char buf[REQUEST_MAX];

			feed(&rig, buf, make_input(buf));
			check_output(qmp_rig_output(&rig), seed);
		}
		// The specification's way back to a known state: it ends an unfinished request.
		check_output(qmp_rig_ask(&rig, "\xff\n"), seed);
		qmp_rig_expect(&rig, "{\"execute\": \"query-kvm\", \"id\": 9}",
		               "{\"return\": {\"enabled\": true, \"present\": true}, \"id\": 9}");
		qmp_rig_close(&rig);
	}
}

static void before_negotiation_nothing_is_reached(void **state)
{
	struct qmp_rig rig;

	(void)state;
	qmp_rig_open(&rig, &qmp_front_end);
	qmp_rig_output(&rig);
	rng_state = 77;
	for (unsigned i = 0; i < 2000; i++) {
		char buf[REQUEST_MAX + 1];
		size_t len = make_input(buf);

		buf[len] = '\0';
		if (memmem(buf, len, "qmp_cap", 7))
			continue;
		feed(&rig, buf, len);
		check_output(qmp_rig_output(&rig), 77);
	}
	assert_string_equal(rig.fake->calls, "");
	assert_int_equal(rig.fake->nopen, 0);
	qmp_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_comes_the_session_goes_on),
		cmocka_unit_test(before_negotiation_nothing_is_reached),
	};

	return cmocka_run_group_tests_name("qmp fuzz", tests, NULL, NULL);
}
