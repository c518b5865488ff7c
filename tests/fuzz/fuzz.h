// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz.h - what the fuzz targets share: the input as a stream of little-endian numbers, and checks.
 *
 * A target is one program, LLVMFuzzerTestOneInput, for clang's libFuzzer. Each input starts from nothing and
 * leaves nothing behind, so that a finding is reproduced by its input alone.
 */
#ifndef PMVM_FUZZ_H
#define PMVM_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A property that holds for every input; also with NDEBUG. */
#define CHECK(cond)                                                                          \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                             \
		}                                                                            \
	} while (0)

struct input {
	const uint8_t *data;
	size_t len;
};

/* The next `width` bytes as a number; bytes beyond the end are 0. */
static inline uint64_t input_take(struct input *in, unsigned width)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < width && in->len > 0; i++, in->len--)
		val |= (uint64_t)*in->data++ << (8 * i);
	return val;
}

static inline uint8_t take8(struct input *in)
{
	return (uint8_t)input_take(in, 1);
}

static inline uint16_t take16(struct input *in)
{
	return (uint16_t)input_take(in, 2);
}

static inline uint32_t take32(struct input *in)
{
	return (uint32_t)input_take(in, 4);
}

/* The next n bytes, or the rest if there are fewer. */
static inline struct input input_slice(struct input *in, size_t n)
{
	struct input slice = { .data = in->data, .len = n < in->len ? n : in->len };

	in->data += slice.len;
	in->len -= slice.len;
	return slice;
}

#endif
