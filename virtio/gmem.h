// SPDX-License-Identifier: Apache-2.0
/*
 * gmem.h - guest memory: the type of a guest-physical address.
 *
 * A gpa_t is a number and is never dereferenced. The one way from it to a pointer is vpmem_gmem_hva, which
 * always takes the length with it.
 */
#ifndef VPMEM_GMEM_H
#define VPMEM_GMEM_H

#include <vpmem.h>

typedef uint64_t gpa_t;

#define GMEM_REGIONS_MAX 16

#endif
