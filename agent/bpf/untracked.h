/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A packet that no connection speaks for: by who its addresses are and what
 * policy says of them. It gets a connection if some side wants one.
 */
#ifndef RINGFENCE_UNTRACKED_H
#define RINGFENCE_UNTRACKED_H

#include "flow.h"

/* Why a packet that opens nothing is dropped unless its flow is untracked. */
static __always_inline enum rf_reason rf_stray(const struct rf_pkt *pkt)
{
	if (pkt->icmp_role == RF_ICMP_REPLY || pkt->icmp_role == RF_ICMP_ERROR)
		return RF_REASON_NO_CONNECTION;
	if (pkt->l4_proto == IPPROTO_TCP &&
	    (pkt->tcp_flags & (RF_TCP_SYN | RF_TCP_ACK | RF_TCP_RST | RF_TCP_FIN)) != RF_TCP_SYN)
		return RF_REASON_TCP_NOT_SYN;
	return RF_REASON_NONE;
}

static __noinline int rf_judge_first(const struct rf_pkt *pkt, struct rf_flow *flow)
{
	flow->q.domain = pkt->domain;
	flow->q.domain_id = pkt->domain_id;
	flow->q.ip[0] = pkt->src;
	flow->q.ip[1] = pkt->dst;
	flow->q.number = pkt->number;
	flow->q.table = pkt->table;
	rf_question_ends(&flow->q, &flow->ends.from, &flow->ends.to);
	return rf_judge(&flow->q, &flow->j);
}

/* Why the packet may not pass. Fills the ends, the judgement and `tracked`. */
static __noinline enum rf_reason rf_ask_policy(const struct rf_pkt *pkt, struct rf_flow *flow)
{
	enum rf_reason stray = rf_stray(pkt), reason;
	int allowed, tracked;

	reason = rf_find_ends(pkt, &flow->ends);
	if (reason)
		return reason;
	if (flow->ends.to.whose == RF_WHOSE_GATEWAY)
		return RF_REASON_GATEWAY_SERVICE;
	allowed = rf_judge_first(pkt, flow);
	tracked = flow->j.answer.notes & RF_STATEFUL_BOTH;
	/* A side that wants its flows tracked wants no packet that opens none; but
	 * an error is about another flow, and needs no more than to be allowed. */
	if (stray && (!allowed || (tracked && pkt->icmp_role != RF_ICMP_ERROR)))
		return stray;
	rf_count_audit(&flow->j.answer, pkt->domain_id, flow->ends.from.iface, flow->ends.to.iface);
	if (!allowed)
		return RF_REASON_POLICY_DENY;
	flow->tracked = tracked && !stray && pkt->icmp_role != RF_ICMP_OTHER;
	if (flow->tracked)
		flow->j.reply_denied = rf_refuses_reply(flow, flow->tuple.side, pkt->domain,
							&flow->ends.from, &flow->ends.to);
	return RF_REASON_NONE;
}

#endif
