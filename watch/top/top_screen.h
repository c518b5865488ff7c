// SPDX-License-Identifier: Apache-2.0
/*
 * top_screen.h - the live view on a terminal, by ncurses. Machines are sampled in a thread of their own, so keys and
 * resizes are served at once even while a machine hangs.
 */
#ifndef PMVM_TOP_SCREEN_H
#define PMVM_TOP_SCREEN_H

#include "top_view.h"

/* Until the user quits. The thread has the machines meanwhile. order is the first one. */
int top_screen_run(struct machines *machines, unsigned interval_ms, const struct top_order *order,
                   struct vpmem_error *err);

#endif
