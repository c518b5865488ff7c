// SPDX-License-Identifier: Apache-2.0
// Whether a vCPU is at an access that never succeeds.
#include "stall.h"

#include <string.h>

void stall_add(struct stall *stall, struct kvm_faults faults, const struct kvm_regs *regs)
{
	if (stall->nsamples == STALL_SAMPLES) {
		memmove(&stall->samples[0], &stall->samples[1], (STALL_SAMPLES - 1) * sizeof(stall->samples[0]));
		stall->nsamples--;
	}
	stall->samples[stall->nsamples++] = (struct stall_sample) { .faults = faults, .regs = *regs };
}

// The faults between the first and the last of the samples that are at the place of this one. False: they are too few.
static bool find_faults(const struct stall *stall, unsigned first, struct kvm_faults *out)
{
	const struct stall_sample *from = &stall->samples[first];
	unsigned nsame = 0;

	for (unsigned i = first; i < stall->nsamples; i++) {
		const struct stall_sample *sample = &stall->samples[i];

		// Nothing but 64-bit registers: there is no padding.
		if (memcmp(&sample->regs, &from->regs, sizeof(sample->regs)) != 0)
			continue;
		nsame++;
		out->taken = sample->faults.taken - from->faults.taken;
		out->fixed = sample->faults.fixed - from->faults.fixed;
	}
	return nsame >= STALL_SAME_MIN && out->taken >= STALL_FAULTS_MIN;
}

static bool is_stall(const struct stall *stall, bool refused)
{
	struct kvm_faults faults;

	for (unsigned first = 0; first < stall->nsamples; first++)
		if (find_faults(stall, first, &faults) && (!refused || faults.fixed * STALL_FIXED_PART <= faults.taken))
			return true;
	return false;
}

bool stall_is_one(const struct stall *stall)
{
	return is_stall(stall, false);
}

bool stall_is_refused(const struct stall *stall)
{
	return is_stall(stall, true);
}
