// SPDX-License-Identifier: Apache-2.0
// A mirror: all frames that an interface receives leave by another one.
#include "mirror.h"

#include "error.h"
#include "rtnl.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/action.h>
#include <netlink/route/classifier.h>
#include <netlink/route/cls/u32.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>

/* The ingress hook, whose qdisc may be ours ("ingress") or one that was there before ("clsact"). */
#define HOOK TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define PRIORITY 0x504d /* "PM" */

static int no_memory(struct vpmem_error *err)
{
	return error_set(err, -ENOMEM, "tc: out of memory");
}

static struct rtnl_qdisc *ingress_qdisc(int link_idx)
{
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();

	if (!qdisc)
		return NULL;
	rtnl_tc_set_ifindex(TC_CAST(qdisc), link_idx);
	rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_INGRESS);
	rtnl_tc_set_handle(TC_CAST(qdisc), TC_H_MAKE(TC_H_INGRESS, 0));
	if (rtnl_tc_set_kind(TC_CAST(qdisc), "ingress") == 0)
		return qdisc;
	rtnl_qdisc_put(qdisc);
	return NULL;
}

static struct rtnl_cls *our_filter(int link_idx)
{
	struct rtnl_cls *filter = rtnl_cls_alloc();

	if (!filter)
		return NULL;
	rtnl_tc_set_ifindex(TC_CAST(filter), link_idx);
	rtnl_tc_set_parent(TC_CAST(filter), HOOK);
	rtnl_cls_set_prio(filter, PRIORITY);
	rtnl_cls_set_protocol(filter, ETH_P_ALL);
	if (rtnl_tc_set_kind(TC_CAST(filter), "u32") == 0)
		return filter;
	rtnl_cls_put(filter);
	return NULL;
}

/*
 * A key without a bit in its mask matches each frame, here in the Ethernet header, as each frame has one. Offsets are
 * multiples of 4. cls_matchall would do the same, but some kernels are without it.
 */
static int set_redirect(struct rtnl_cls *filter, int to_idx)
{
	struct rtnl_act *action = rtnl_act_alloc();
	int rc = action ? rtnl_tc_set_kind(TC_CAST(action), "mirred") : -NLE_NOMEM;

	if (rc == 0)
		rc = rtnl_mirred_set_action(action, TCA_EGRESS_REDIR);
	if (rc == 0)
		rc = rtnl_mirred_set_policy(action, TC_ACT_STOLEN);
	if (rc == 0)
		rc = rtnl_mirred_set_ifindex(action, (uint32_t)to_idx);
	if (rc == 0)
		rc = rtnl_u32_add_key_uint32(filter, 0, 0, -12, 0);
	if (rc == 0)
		rc = rtnl_u32_set_cls_terminal(filter);
	if (rc == 0)
		rc = rtnl_u32_add_action(filter, action);
	/* The filter has a reference of its own. */
	if (action)
		rtnl_act_put(action);
	return rc;
}

static int add_failed(struct vpmem_error *err, int nle, const char *name, const char *what)
{
	int rc = rtnl_error(err, nle, "%s: could not add %s", name, what);

	if (rc == -ENOENT)
		error_hint(err, "load the modules: modprobe -a sch_ingress cls_u32 act_mirred");
	return rc;
}

static int add_qdisc(struct nl_sock *sock, const char *name, int link_idx, struct vpmem_error *err)
{
	struct rtnl_qdisc *qdisc = ingress_qdisc(link_idx);
	int rc;

	if (!qdisc)
		return no_memory(err);
	rc = rtnl_qdisc_add(sock, qdisc, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_qdisc_put(qdisc);
	return rc == 0 || rc == -NLE_EXIST ? 0 : add_failed(err, rc, name, "an ingress qdisc");
}

int mirror_add(struct nl_sock *sock, const char *name, int from_idx, int to_idx, struct vpmem_error *err)
{
	struct rtnl_cls *filter;
	int rc = mirror_remove(sock, name, from_idx, err);

	if (rc == 0)
		rc = add_qdisc(sock, name, from_idx, err);
	if (rc)
		return rc;
	filter = our_filter(from_idx);
	if (!filter)
		return no_memory(err);
	rc = set_redirect(filter, to_idx);
	if (rc == 0)
		rc = rtnl_cls_add(sock, filter, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_cls_put(filter);
	return rc ? add_failed(err, rc, name, "a filter that redirects its frames") : 0;
}

/* Where other filters are, it is not ours alone. */
static int remove_qdisc_if_empty(struct nl_sock *sock, const char *name, int link_idx, struct vpmem_error *err)
{
	struct rtnl_qdisc *qdisc;
	struct nl_cache *filters;
	int rc = rtnl_cls_alloc_cache(sock, link_idx, HOOK, &filters);

	if (rc)
		return rtnl_error(err, rc, "%s: could not read its filters", name);
	rc = nl_cache_nitems(filters);
	nl_cache_free(filters);
	if (rc > 0)
		return 0;
	qdisc = ingress_qdisc(link_idx);
	if (!qdisc)
		return no_memory(err);
	rc = rtnl_qdisc_delete(sock, qdisc);
	rtnl_qdisc_put(qdisc);
	/* A clsact is not ours: the kind differs, which is -EINVAL. */
	if (rc == 0 || rc == -NLE_OBJ_NOTFOUND || rc == -NLE_INVAL)
		return 0;
	return rtnl_error(err, rc, "%s: could not remove the ingress qdisc", name);
}

int mirror_remove(struct nl_sock *sock, const char *name, int from_idx, struct vpmem_error *err)
{
	struct rtnl_cls *filter = our_filter(from_idx);
	int rc;

	if (!filter)
		return no_memory(err);
	rc = rtnl_cls_delete(sock, filter, 0);
	rtnl_cls_put(filter);
	/* No qdisc is -EINVAL, no filter of this priority -ENOENT, no interface -ENODEV. */
	if (rc == -NLE_OBJ_NOTFOUND || rc == -NLE_INVAL || rc == -NLE_NODEV)
		return 0;
	if (rc)
		return rtnl_error(err, rc, "%s: could not remove the filter that redirects its frames", name);
	return remove_qdisc_if_empty(sock, name, from_idx, err);
}
