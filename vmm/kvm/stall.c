// SPDX-License-Identifier: Apache-2.0
// Whether a vCPU stands at an access that never succeeds.
#include "stall.h"

#include <string.h>

void stall_add(struct stall *stall, uint64_t nfaults, const struct kvm_regs *regs)
{
	if (stall->nlooks == STALL_LOOKS) {
		memmove(&stall->looks[0], &stall->looks[1], (STALL_LOOKS - 1) * sizeof(stall->looks[0]));
		stall->nlooks--;
	}
	stall->looks[stall->nlooks++] = (struct stall_look) { .nfaults = nfaults, .regs = *regs };
}

bool stall_is_one(const struct stall *stall)
{
	for (unsigned first = 0; first < stall->nlooks; first++) {
		const struct stall_look *from = &stall->looks[first];
		unsigned nsame = 0;
		uint64_t nfaults = 0;

		for (unsigned i = first; i < stall->nlooks; i++) {
			const struct stall_look *look = &stall->looks[i];

			// Nothing but 64-bit registers: there is no padding.
			if (memcmp(&look->regs, &from->regs, sizeof(look->regs)) != 0)
				continue;
			nsame++;
			nfaults = look->nfaults - from->nfaults;
		}
		if (nsame >= STALL_SAME_MIN && nfaults >= STALL_FAULTS_MIN)
			return true;
	}
	return false;
}
