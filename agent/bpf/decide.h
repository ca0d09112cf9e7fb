/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From a parsed packet to its end: by its connection if it has one, else by who
 * its addresses are and what policy says of them. The same for every way in.
 */
#ifndef RINGFENCE_DECIDE_H
#define RINGFENCE_DECIDE_H

#include "icmp_error.h"

/* A packet that may have a connection. */
static __noinline int rf_decide_flow(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_flow *flow = rf_flow_begin();
	struct rf_conn *conn = NULL;
	enum rf_reason reason;
	int current, action;
	__u32 side;

	if (!flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	rf_tuple_make(&flow->tuple, pkt);
	side = flow->tuple.side;
	if (pkt->icmp_role != RF_ICMP_OTHER)
		conn = rf_conn_find(&flow->tuple, now);
	if (!conn || rf_conn_reopens(conn, pkt, side))
		return rf_decide_untracked(ctx, pkt, flow);
	current = rf_conn_current(conn, pkt->domain);
	if (current) {
		rf_conn_ends(conn, side, &flow->ends);
		reason = rf_check_source(pkt, flow->ends.from.iface);
	} else {
		reason = rf_find_ends_again(pkt, conn, side, &flow->ends);
	}
	if (reason)
		return rf_drop(ctx, reason);
	/* Both sides may use one echo identifier; only who opened may ask. */
	if (pkt->icmp_role && (pkt->icmp_role == RF_ICMP_REQUEST) != (conn->origin == side))
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	if (!current) {
		rf_judge_again(pkt, conn, flow);
		conn = rf_renew_conn(pkt, conn, flow);
		if (!conn)
			return rf_drop_judged(ctx, RF_REASON_TABLE_FULL, &flow->j);
	}
	if (conn->denied || (conn->reply_denied && conn->origin != side))
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &flow->j);
	action = rf_forward(ctx, pkt, &flow->ends.to, flow);
	if (flow->left) {
		rf_conn_advance(conn, pkt, side, now);
		rf_count_from(pkt->counter);
	}
	return action;
}

/* Every IP packet, after its way in has been checked. */
static __always_inline int rf_decide(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	if (pkt->icmp_role == RF_ICMP_ERROR)
		return rf_decide_error(ctx, pkt);
	return rf_decide_flow(ctx, pkt);
}

#endif
