/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From a parsed packet to its end: by its connection if it has one, else by who
 * its addresses are and what policy says of them. The same for every way in.
 */
#ifndef RINGFENCE_DECIDE_H
#define RINGFENCE_DECIDE_H

#include "echo.h"
#include "icmp_error.h"

/* A packet that no connection speaks for. */
static __noinline int rf_decide_new(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				    struct rf_flow *flow)
{
	struct rf_question q = {
		.domain = pkt->domain,
		.domain_id = pkt->domain_id,
		.ip = {pkt->src, pkt->dst},
		.number = pkt->number,
		.table = pkt->table,
	};
	enum rf_reason reason;
	int action, allowed;

	reason = rf_find_ends(pkt, &flow->ends);
	if (reason)
		return rf_drop(ctx, reason);
	if (flow->ends.to == RF_TO_GATEWAY) {
		if (pkt->from == RF_DEVICE_WORKLOAD && rf_to_gateway(pkt))
			return rf_answer_echo(ctx, pkt);
		return rf_drop(ctx, RF_REASON_GATEWAY_SERVICE);
	}
	if (pkt->icmp_role == RF_ICMP_REPLY)
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	if (pkt->l4_proto == IPPROTO_TCP &&
	    (pkt->tcp_flags & (RF_TCP_SYN | RF_TCP_ACK | RF_TCP_RST | RF_TCP_FIN)) != RF_TCP_SYN)
		return rf_drop(ctx, RF_REASON_TCP_NOT_SYN);
	allowed = rf_judge(&q, &flow->j);
	rf_count_audit(&flow->j, pkt->domain_id, flow->ends.from, flow->ends.to);
	if (!allowed)
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &flow->j);
	action = rf_forward(ctx, pkt, flow->ends.to, flow);
	if (!flow->left)
		return action;
	/* Only now: what does not get away has no connection. And early enough,
	 * since a redirect takes place after the program. */
	if (pkt->icmp_role != RF_ICMP_OTHER && rf_record_conn(pkt, flow))
		return rf_drop_judged(ctx, RF_REASON_TABLE_FULL, &flow->j);
	rf_count_from(pkt->counter);
	return action;
}

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
		return rf_decide_new(ctx, pkt, flow);
	current = rf_conn_current(conn, pkt->domain);
	if (current) {
		rf_conn_ends(conn, side, &flow->ends);
		reason = rf_check_source(pkt, flow->ends.from);
	} else {
		reason = rf_find_ends(pkt, &flow->ends);
		if (!reason && flow->ends.to == RF_TO_GATEWAY)
			reason = RF_REASON_GATEWAY_SERVICE;
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
	if (conn->denied)
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &flow->j);
	action = rf_forward(ctx, pkt, flow->ends.to, flow);
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
