// SPDX-License-Identifier: Apache-2.0
/*
 * machine_file.h - the files of memory backends, opened by the broker where there is one.
 */
#ifndef PMVM_MACHINE_FILE_H
#define PMVM_MACHINE_FILE_H

#include "broker.h"

/* For struct vpmem_backing_options; its opaque pointer is the machine. */
extern const struct vpmem_file_ops machine_file_ops;
extern const struct broker_op machine_file_open_op, machine_file_remove_op;

#endif
