// SPDX-License-Identifier: Apache-2.0
// Whether a vCPU is at an access that never succeeds.
#include "stall.h"

#include <string.h>

void stall_add(struct stall *stall, uint64_t nfaults, const struct kvm_regs *regs)
{
	if (stall->nsamples == STALL_SAMPLES) {
		memmove(&stall->samples[0], &stall->samples[1], (STALL_SAMPLES - 1) * sizeof(stall->samples[0]));
		stall->nsamples--;
	}
	stall->samples[stall->nsamples++] = (struct stall_sample) { .nfaults = nfaults, .regs = *regs };
}

bool stall_is_one(const struct stall *stall)
{
	for (unsigned first = 0; first < stall->nsamples; first++) {
		const struct stall_sample *from = &stall->samples[first];
		unsigned nsame = 0;
		uint64_t nfaults = 0;

		for (unsigned i = first; i < stall->nsamples; i++) {
			const struct stall_sample *sample = &stall->samples[i];

			// Nothing but 64-bit registers: there is no padding.
			if (memcmp(&sample->regs, &from->regs, sizeof(sample->regs)) != 0)
				continue;
			nsame++;
			nfaults = sample->nfaults - from->nfaults;
		}
		if (nsame >= STALL_SAME_MIN && nfaults >= STALL_FAULTS_MIN)
			return true;
	}
	return false;
}
