// SPDX-License-Identifier: Apache-2.0
// Tests of bytes as text: the vectors of RFC 4648, and texts that are refused.
#include "base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static void bytes_become_text_and_come_back(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xfe", "/+/+" },
	};
	char text[BASE64_SIZE(6)];
	uint8_t buf[6];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i][0]);

		assert_int_equal(base64_encode((const uint8_t *)cases[i][0], len, text), strlen(cases[i][1]));
		assert_string_equal(text, cases[i][1]);
		assert_int_equal(base64_decode(text, strlen(text), buf), len);
		assert_memory_equal(buf, cases[i][0], len);
	}
}

static void other_texts_are_refused(void **state)
{
	static const char *const cases[] = {
		"Z", "Zg", "Zg=", "Zh==", "Zm9=", "=m9v", "Z===", "Zg==Zm9v", "Zm 9v", "Zm9v\n", "Zm9*", "Zg=v",
	};
	uint8_t buf[8];

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (base64_decode(cases[i], strlen(cases[i]), buf) != -EINVAL)
			fail_msg("accepted: '%s'", cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_become_text_and_come_back),
		cmocka_unit_test(other_texts_are_refused),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
