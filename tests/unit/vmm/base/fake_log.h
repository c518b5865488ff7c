// SPDX-License-Identifier: Apache-2.0
/*
 * fake_log.h - stands in for log.c: keeps what was logged instead of printing it.
 */
#ifndef FAKE_LOG_H
#define FAKE_LOG_H

#include "log.h"

/* Everything since fake_log_clear, a line each; what does not fit is dropped. */
extern char fake_log_text[4096];
void fake_log_clear(void);

#endif
