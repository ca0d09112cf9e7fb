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

/* Whether an end's device, if it is here, was there before our programs a moment ago. */
static __noinline int rf_was_there(const struct rf_end *end, __u64 now)
{
	__u32 index = end->iface;
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	struct rf_device *device;

	if (!index || !iface || !iface->ifindex)
		return 0;
	device = rf_find_device(iface->ifindex);
	return device && device->adopt_until_ns > now;
}

/* Whether TCP that is under way may get a connection: in every segment but the
 * first ACK is set, or RST (RFC 9293 3.10.7). */
static __always_inline int rf_may_adopt(const struct rf_pkt *pkt, const struct rf_flow *flow)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	return pkt->l4_proto == IPPROTO_TCP && pkt->tcp_flags & (RF_TCP_ACK | RF_TCP_RST) &&
	       (rf_was_there(&flow->ends.from, now) || rf_was_there(&flow->ends.to, now));
}

/* Judges the flow as one that the packet's destination opened: whether it may go
 * on, which is so only if somebody tracks it. The judgement is of this direction
 * then. */
static __noinline int rf_judge_turned(const struct rf_pkt *pkt, struct rf_flow *flow)
{
	flow->turned = 1;
	rf_conn_question(&flow->tuple, !flow->tuple.side, 0, pkt->domain, &flow->q);
	rf_question_ends(&flow->q, &flow->ends.to, &flow->ends.from);
	return rf_judge(&flow->q, &flow->j) && flow->j.answer.notes & RF_STATEFUL_BOTH;
}

/* What follows from a judgement that allows the flow, or not. */
static __noinline enum rf_reason rf_conclude(const struct rf_pkt *pkt, struct rf_flow *flow,
					     int opens)
{
	const struct rf_end *opener = flow->turned ? &flow->ends.to : &flow->ends.from;
	const struct rf_end *asked = flow->turned ? &flow->ends.from : &flow->ends.to;

	rf_count_audit(&flow->j.answer, pkt->domain_id, opener->iface, asked->iface);
	if (!rf_allows(&flow->j))
		return RF_REASON_POLICY_DENY;
	flow->tracked = opens && flow->j.answer.notes & RF_STATEFUL_BOTH;
	if (flow->tracked)
		flow->j.reply_denied = rf_refuses_reply(flow, flow->tuple.side ^ flow->turned,
							pkt->domain, opener, asked);
	return flow->turned && flow->j.reply_denied ? RF_REASON_POLICY_DENY : RF_REASON_NONE;
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
	if (stray && (!allowed || (tracked && pkt->icmp_role != RF_ICMP_ERROR))) {
		flow->adopted = rf_may_adopt(pkt, flow);
		if (!flow->adopted || (!allowed && !rf_judge_turned(pkt, flow)))
			return stray;
		stray = RF_REASON_NONE;
	}
	return rf_conclude(pkt, flow, !stray && pkt->icmp_role != RF_ICMP_OTHER);
}

#endif
