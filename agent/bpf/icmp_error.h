/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ICMP errors: about a flow that is tracked they go to the sender of what they quote. */
#ifndef RINGFENCE_ICMP_ERROR_H
#define RINGFENCE_ICMP_ERROR_H

#include "flow.h"

/* The entry of the flow whose packet an ICMP error quotes, and which side sent
 * that packet; -1 if the quote is none of a flow. */
static __noinline int rf_quoted(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				struct rf_tuple *tuple)
{
	__u32 offset = pkt->l4_offset + sizeof(struct rf_icmp);
	struct rf_pkt quoted = {.domain_id = pkt->domain_id, .is_v6 = pkt->is_v6};
	struct rf_icmp l4; /* ports are at its start */
	struct ipv6hdr ip6;
	struct iphdr ip4;

	if (pkt->is_v6) {
		if (bpf_skb_load_bytes(ctx, offset, &ip6, sizeof(ip6)))
			return -1;
		__builtin_memcpy(&quoted.src, &ip6.saddr, sizeof(quoted.src));
		__builtin_memcpy(&quoted.dst, &ip6.daddr, sizeof(quoted.dst));
		quoted.l4_proto = ip6.nexthdr;
		offset += sizeof(ip6);
	} else {
		if (bpf_skb_load_bytes(ctx, offset, &ip4, sizeof(ip4)))
			return -1;
		rf_ip_map4(&quoted.src, ip4.saddr);
		rf_ip_map4(&quoted.dst, ip4.daddr);
		quoted.l4_proto = ip4.protocol;
		offset += ip4.ihl * 4;
	}
	/* It tells a sender of its own packet, nobody else. */
	if (!rf_ip_equal(&quoted.src, &pkt->dst) ||
	    bpf_skb_load_bytes(ctx, offset, &l4, sizeof(l4)))
		return -1;
	if (quoted.l4_proto == IPPROTO_TCP || quoted.l4_proto == IPPROTO_UDP ||
	    quoted.l4_proto == RF_IPPROTO_SCTP) {
		__builtin_memcpy(&quoted.sport, &l4, sizeof(quoted.sport));
		quoted.dport = l4.checksum;
	} else if (quoted.l4_proto == (pkt->is_v6 ? RF_IPPROTO_ICMPV6 : IPPROTO_ICMP)) {
		if (rf_icmp_role(l4.type, pkt->is_v6) == RF_ICMP_REQUEST)
			quoted.sport = l4.id;
		else if (rf_icmp_role(l4.type, pkt->is_v6) == RF_ICMP_REPLY)
			quoted.dport = l4.id;
		else
			return -1;
	}
	rf_tuple_make(tuple, &quoted);
	return 0;
}

/*
 * Whether an error is about a flow that is tracked. If so it passes if the flow
 * may, and if it comes from the flow's other side; else flow->reason says so. The
 * packet that it quotes came through here a moment ago, and had the flow judged
 * again if there was a change; so an entry that is not current lets nothing pass.
 */
static __noinline int rf_ask_quoted(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				    struct rf_flow *flow, __u64 now)
{
	struct rf_conn *conn = NULL;

	flow->reason = rf_find_source(pkt, &flow->ends.from);
	if (flow->reason)
		return 1;
	if (!rf_quoted(ctx, pkt, &flow->tuple))
		conn = rf_conn_find(&flow->tuple, now);
	if (!conn)
		return 0;
	rf_conn_ends(conn, !flow->tuple.side, &flow->quoted);
	if (!rf_conn_current(conn, pkt->domain) || conn->denied ||
	    !rf_same_place(&flow->quoted.from, &flow->ends.from))
		flow->reason = RF_REASON_NO_CONNECTION;
	flow->ends.to = flow->quoted.to;
	return 1;
}

#endif
