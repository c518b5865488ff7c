// SPDX-License-Identifier: Apache-2.0
/*
 * machine_share.h - folders of the host: a virtiofsd for each -share, which is started here and ends with the machine.
 *
 * virtiofsd gets a socket that listens, and this process is connected to it before anybody else could be. The connected end
 * becomes the chardev that the share's vhost-user-fs-pci names. virtiofsd serves one connection, so it ends by itself when
 * that is closed, also if this process is killed.
 */
#ifndef PMVM_MACHINE_SHARE_H
#define PMVM_MACHINE_SHARE_H

struct machine;
struct vpmem_error;

/* A stage of machine_build, before the chardevs. Waits until each virtiofsd is ready, with the machine lock released. */
int machine_shares_up(struct machine *m, struct vpmem_error *err);
void machine_shares_down(struct machine *m);

#endif
