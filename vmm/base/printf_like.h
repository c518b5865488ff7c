// SPDX-License-Identifier: Apache-2.0
/*
 * printf_like.h - lets the compiler check the arguments of functions that format text.
 */
#ifndef PMVM_PRINTF_LIKE_H
#define PMVM_PRINTF_LIKE_H

/* fmt_idx is the position of the format among the parameters, arg_idx that of the first value; both from 1. */
#define PRINTF_LIKE(fmt_idx, arg_idx) __attribute__((format(printf, fmt_idx, arg_idx)))

#endif
