// SPDX-License-Identifier: Apache-2.0
// Frames: what goes in comes out, in pieces of any length, and a hostile peer gets an error.
#include "frame.h"
#include "unit_test.h"

#include <endian.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static void write_bytes(const void *buf, size_t len)
{
	assert_int_equal(write(pair[1], buf, len), len);
}

static void write_frame(const char *text, size_t len)
{
	const uint32_t head = htole32((uint32_t)len);

	write_bytes(&head, sizeof(head));
	write_bytes(text, len);
}

static void assert_message(struct json_object *message, const char *text)
{
	assert_non_null(message);
	assert_string_equal(json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN), text);
	json_object_put(message);
}

static void what_is_sent_is_received(void **state)
{
	static const char text[] = "{\"id\":1,\"do\":\"start\",\"args\":[\"a\\u0001\",\"\xc3\xa4\"]}";
	struct json_object *message = json_tokener_parse(text), *got;

	(void)state;
	assert_int_equal(wire_send(pair[1], message, NULL), 0);
	assert_int_equal(wire_send(pair[1], message, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(wire_receive(pair[0], 1000, &got, NULL), 0);
		assert_message(got, text);
	}
	json_object_put(message);
}

static void the_length_is_little_endian(void **state)
{
	struct json_object *message = json_object_new_object();
	uint8_t bytes[8];

	(void)state;
	assert_int_equal(wire_send(pair[1], message, NULL), 0);
	assert_int_equal(read(pair[0], bytes, sizeof(bytes)), 6);
	assert_memory_equal(bytes, "\x02\0\0\0{}", 6);
	json_object_put(message);
}

static void pieces_of_one_byte_are_enough(void **state)
{
	static const char frame[] = "\x07\0\0\0{\"a\":1}";
	struct wire_reader reader = { .nhead = 0 };
	struct json_object *got;

	(void)state;
	for (unsigned i = 0; i < sizeof(frame) - 1; i++) {
		assert_int_equal(wire_read(&reader, pair[0], &got, NULL), 0);
		assert_null(got);
		write_bytes(&frame[i], 1);
	}
	assert_int_equal(wire_read(&reader, pair[0], &got, NULL), 1);
	assert_message(got, "{\"a\":1}");
	assert_int_equal(wire_read(&reader, pair[0], &got, NULL), 0);
}

static void raw_bytes_after_a_frame_stay(void **state)
{
	struct wire_reader reader = { .nhead = 0 };
	struct json_object *got;
	char raw[8];

	(void)state;
	write_frame("{}", 2);
	write_bytes("raw", 3);
	assert_int_equal(wire_read(&reader, pair[0], &got, NULL), 1);
	assert_message(got, "{}");
	assert_int_equal(read(pair[0], raw, sizeof(raw)), 3);
	assert_memory_equal(raw, "raw", 3);
}

static void refuses_what_is_no_frame(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *error;
	} cases[] = {
		{ "", 0, "premature EOI" },
		{ "{", 1, "premature EOI" },
		{ "{} {}", 5, "at most one JSON value" },
		{ "{}\0", 3, "NUL byte" },
		{ "{\"a\":1,\"a\":2}", 13, "duplicate key" },
		{ "[]", 2, "no object" },
		{ "null", 4, "no object" },
		{ "\"a\"", 3, "no object" },
		{ "{\"a\":\"\xff\"}", 9, "JSON parse error" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct vpmem_error err = { .text = "" };
		struct json_object *got;

		write_frame(cases[i].text, cases[i].len);
		assert_int_equal(wire_receive(pair[0], 1000, &got, &err), -EBADMSG);
		assert_null(got);
		assert_non_null(strstr(err.text, cases[i].error));
	}
}

static void refuses_a_length_before_the_text(void **state)
{
	const uint32_t heads[] = { htole32(WIRE_FRAME_MAX + 1), UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < COUNT(heads); i++) {
		struct vpmem_error err = { .text = "" };
		struct json_object *got;

		write_bytes(&heads[i], sizeof(heads[i]));
		assert_int_equal(wire_receive(pair[0], 1000, &got, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "at most 1048576"));
	}
}

static void the_depth_has_a_limit(void **state)
{
	struct vpmem_error err = { .text = "" };
	struct json_object *got;
	char deep[8192];

	(void)state;
	memset(deep, '[', sizeof(deep));
	write_frame(deep, sizeof(deep));
	assert_int_equal(wire_receive(pair[0], 1000, &got, &err), -EBADMSG);
	assert_true(err.text[0] != '\0');
}

static void an_end_within_a_frame_is_an_error(void **state)
{
	static const char frame[] = "\x02\0\0\0{}";

	for (size_t len = 0; len < sizeof(frame) - 1; len++) {
		struct json_object *got;

		if (len > 0)
			assert_int_equal(open_pair(state), 0);
		write_bytes(frame, len);
		close(pair[1]);
		pair[1] = -1;
		assert_int_equal(wire_receive(pair[0], 1000, &got, NULL), len == 0 ? -EPIPE : -EBADMSG);
		if (len + 1 < sizeof(frame) - 1)
			close(pair[0]);
	}
}

static void a_peer_that_is_silent_or_gone(void **state)
{
	struct json_object *message = json_object_new_object(), *got;

	(void)state;
	assert_int_equal(wire_receive(pair[0], 10, &got, NULL), -ETIMEDOUT);
	write_bytes("\x02", 1);
	assert_int_equal(wire_receive(pair[0], 10, &got, NULL), -ETIMEDOUT);
	close(pair[1]);
	pair[1] = -1;
	// Without SIGPIPE, which would end the test.
	assert_int_equal(wire_send(pair[0], message, NULL), -EPIPE);
	json_object_put(message);
}

static struct json_object *long_message(size_t len)
{
	struct json_object *message = json_object_new_object();
	char *text = malloc(len);

	assert_non_null(text);
	memset(text, 'x', len);
	json_object_object_add(message, "t", json_object_new_string_len(text, (int)len));
	free(text);
	return message;
}

static void *receive_slowly(void *into)
{
	usleep(50 * 1000);
	assert_int_equal(wire_receive(pair[0], 10 * 1000, into, NULL), 0);
	return NULL;
}

static void a_long_message_waits_for_its_reader(void **state)
{
	const size_t frame_without_text = sizeof("{\"t\":\"\"}") - 1;
	struct json_object *message = long_message(WIRE_FRAME_MAX - frame_without_text), *got = NULL;
	struct vpmem_error err = { .text = "" };
	pthread_t reader;

	(void)state;
	assert_int_equal(pthread_create(&reader, NULL, receive_slowly, &got), 0);
	assert_int_equal(wire_send(pair[1], message, NULL), 0);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_true(json_object_equal(message, got));
	json_object_put(message);
	json_object_put(got);

	message = long_message(WIRE_FRAME_MAX - frame_without_text + 1);
	assert_int_equal(wire_send(pair[1], message, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "at most 1048576"));
	assert_int_equal(wire_receive(pair[0], 0, &got, NULL), -ETIMEDOUT);
	json_object_put(message);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
	const struct CMUnitTest tests[] = {
		TEST(what_is_sent_is_received),      TEST(the_length_is_little_endian),
		TEST(pieces_of_one_byte_are_enough), TEST(raw_bytes_after_a_frame_stay),
		TEST(refuses_what_is_no_frame),      TEST(refuses_a_length_before_the_text),
		TEST(the_depth_has_a_limit),         TEST(an_end_within_a_frame_is_an_error),
		TEST(a_peer_that_is_silent_or_gone), TEST(a_long_message_waits_for_its_reader),
	};

	return cmocka_run_group_tests_name("oci_frame", tests, NULL, NULL);
}
