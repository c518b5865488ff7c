// SPDX-License-Identifier: Apache-2.0
/*
 * options.h - the command line. Nothing here opens, creates or starts anything.
 */
#ifndef PMVM_OPTIONS_H
#define PMVM_OPTIONS_H

#include "machine_config.h"

enum options_result { OPTIONS_RUN, OPTIONS_DONE /* -help, ...,help: printed, exit 0 */, OPTIONS_ERROR };

/*
 * Parses the command line. On OPTIONS_ERROR, err says what is wrong in QEMU's words, after the option and
 * its argument ("-device virtio-pmem-pci,memdev=zz: Device 'zz' not found"), and the next step; nothing
 * was created. Deprecation warnings are logged. Unless the result is OPTIONS_RUN, *cfg is empty.
 */
enum options_result options_parse(int argc, char **argv, struct machine_config *cfg, struct vpmem_error *err);

#endif
