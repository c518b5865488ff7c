// SPDX-License-Identifier: Apache-2.0
/* fake_card.h - network cards that only remember how they were created, and whether they have a link. */
#ifndef FAKE_CARD_H
#define FAKE_CARD_H

#include "vhost_net.h"

struct fake_card {
	struct vhost_net_options opts; /* of the last one; its list of back ends is not there any more, */
	struct vhost_backend *backend; /* but the first of them; NULL: there was none */
	int error;                     /* that the next one ends with; 0: none */
	bool link_is_up;
	unsigned nsets; /* of the link */
	struct vhost_net_filter filter;
};
extern struct fake_card card;

#endif
