/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ICMP errors: about a flow that is tracked they go to the sender of what they quote. */
#ifndef RINGFENCE_ICMP_ERROR_H
#define RINGFENCE_ICMP_ERROR_H

#include "exthdr.h"
#include "flow.h"

enum rf_quote {
	RF_QUOTE_UNREADABLE = 0, /* cut short, not of a packet that could pass, or another's */
	RF_QUOTE_UNTRACKED,	 /* of a packet that no connection is ever for */
	RF_QUOTE_TRACKED,	 /* of one that may belong to a connection */
};

/* The IP header that is quoted at `offset`, and its extension headers; where what
 * they carry begins, or 0: it cannot be told, as of a later fragment. */
static __always_inline __u32 rf_quoted_ip(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					  __u32 offset, struct rf_pkt *quoted)
{
	struct rf_chain chain = {.end = RF_L3_OFFSET + pkt->l3_len};
	struct ipv6hdr ip6;
	struct iphdr ip4;

	if (quoted->is_v6) {
		if (bpf_skb_load_bytes(ctx, offset, &ip6, sizeof(ip6)) || ip6.version != 6)
			return 0;
		__builtin_memcpy(&quoted->src, &ip6.saddr, sizeof(quoted->src));
		__builtin_memcpy(&quoted->dst, &ip6.daddr, sizeof(quoted->dst));
		chain.offset = offset + sizeof(ip6);
		chain.next = ip6.nexthdr;
		if (rf_is_extension(chain.next) && (rf_walk_extensions(ctx, &chain) || chain.start))
			return 0;
		quoted->l4_proto = chain.next;
		return chain.offset;
	}
	if (bpf_skb_load_bytes(ctx, offset, &ip4, sizeof(ip4)) || ip4.version != 4 || ip4.ihl < 5 ||
	    ip4.frag_off & bpf_htons(RF_IP_OFFSET))
		return 0;
	rf_ip_map4(&quoted->src, ip4.saddr);
	rf_ip_map4(&quoted->dst, ip4.daddr);
	quoted->l4_proto = ip4.protocol;
	return offset + ip4.ihl * 4;
}

/* What an ICMP error quotes; the tuple of the packet, if it may be tracked. */
static __noinline enum rf_quote rf_quoted(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					  struct rf_tuple *tuple)
{
	__u32 offset = pkt->l4_offset + sizeof(struct rf_icmp);
	struct rf_pkt quoted = {.domain_id = pkt->domain_id, .is_v6 = pkt->is_v6};
	struct rf_icmp l4; /* ports are at its start */

	offset = rf_quoted_ip(ctx, pkt, offset, &quoted);
	/* It tells a sender of its own packet, nobody else. What pads the frame is no
	 * part of it. */
	if (!offset || !rf_ip_equal(&quoted.src, &pkt->dst) ||
	    offset + sizeof(l4) > RF_L3_OFFSET + pkt->l3_len ||
	    bpf_skb_load_bytes(ctx, offset, &l4, sizeof(l4)))
		return RF_QUOTE_UNREADABLE;
	switch (quoted.l4_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case RF_IPPROTO_SCTP:
		__builtin_memcpy(&quoted.sport, &l4, sizeof(quoted.sport));
		quoted.dport = l4.checksum;
		break;
	case IPPROTO_ICMP:
	case RF_IPPROTO_ICMPV6:
		if (pkt->is_v6 != (quoted.l4_proto == RF_IPPROTO_ICMPV6))
			return RF_QUOTE_UNREADABLE;
		if (rf_icmp_role(&l4, pkt->is_v6) == RF_ICMP_REQUEST)
			quoted.sport = l4.id;
		else if (rf_icmp_role(&l4, pkt->is_v6) == RF_ICMP_REPLY)
			quoted.dport = l4.id;
		else
			return RF_QUOTE_UNTRACKED;
	}
	rf_tuple_make(tuple, &quoted);
	return RF_QUOTE_TRACKED;
}

/* Whether an error that comes from `from` may be about what is on its way to an end: it
 * is the end itself, or outside, as routers on the way to outside are, to a machine and
 * beyond a NIC. That it came in where outside does was checked with its source. */
static __always_inline int rf_is_on_way(const struct rf_pkt *pkt, const struct rf_end *end,
					const struct rf_end *from)
{
	if (rf_same_place(end, from))
		return 1;
	return from->whose == RF_WHOSE_NOBODY && !from->iface &&
	       (pkt->from == RF_DEVICE_NIC || rf_is_bare_metal(end->iface));
}

/*
 * Whether an error is about a flow that is tracked. If so it passes if the flow
 * may, and if it comes from the flow's other side or the way there; else flow->reason says so. The
 * packet that it quotes came through here a moment ago, and had the flow judged
 * again if there was a change; so an entry that is not current lets nothing pass.
 */
static __noinline int rf_ask_quoted(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				    struct rf_flow *flow, __u64 now)
{
	struct rf_conn *conn = NULL;
	enum rf_quote quote;

	flow->reason = rf_find_source(pkt, &flow->ends.from);
	if (flow->reason)
		return 1;
	quote = rf_quoted(ctx, pkt, &flow->tuple);
	if (quote == RF_QUOTE_UNREADABLE) {
		/* It may be about any flow, also one that is tracked. */
		flow->reason = RF_REASON_NO_CONNECTION;
		return 1;
	}
	if (quote == RF_QUOTE_TRACKED)
		conn = rf_conn_find(&flow->tuple, now);
	if (!conn)
		return 0;
	if (rf_conn_ends(conn, !flow->tuple.side, &flow->quoted) ||
	    !rf_conn_current(conn, pkt->domain) || conn->denied ||
	    !rf_is_on_way(pkt, &flow->quoted.from, &flow->ends.from))
		flow->reason = RF_REASON_NO_CONNECTION;
	flow->ends.to = flow->quoted.to;
	return 1;
}

#endif
