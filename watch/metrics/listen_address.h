// SPDX-License-Identifier: Apache-2.0
/*
 * listen_address.h - a listening socket by an address in text.
 */
#ifndef PMVM_LISTEN_ADDRESS_H
#define PMVM_LISTEN_ADDRESS_H

#include <vpmem.h>

/*
 * "unix:PATH", "HOST:PORT", "[IPV6]:PORT" or ":PORT" (all addresses). Returns a descriptor that the caller owns, or
 * -errno with err filled. *unix_path is what the caller removes and frees at the end, or NULL. A Unix socket on which
 * nobody listens any more is replaced.
 */
int listen_address(const char *address, char **unix_path, struct vpmem_error *err);

#endif
