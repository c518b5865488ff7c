// SPDX-License-Identifier: Apache-2.0
/*
 * virtq_flush_fuzz.c - the virtqueue and the flush path: a guest sets registers, fills rings, tables and
 * requests and has them served, step by step; a host whose syncs fail, or are overtaken by a reset.
 *
 * Every step is what the input says: see flush_rig_step. What holds is checked by flush_rig.c and flush_oracle.c.
 */
#include "flush_rig.h"

#define STEPS_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct flush_rig rig;
	struct input in = { .data = data, .len = len };

	flush_rig_start(&rig, true);
	for (unsigned i = 0; i < STEPS_MAX && in.len > 0; i++)
		flush_rig_step(&rig, &in);
	flush_rig_serve(&rig);
	flush_rig_end(&rig);
	return 0;
}
