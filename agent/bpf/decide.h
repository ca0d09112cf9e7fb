/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From a parsed packet to its end: by its connection if it has one, else by who
 * its addresses are and what policy says of them. The same for every way in.
 */
#ifndef RINGFENCE_DECIDE_H
#define RINGFENCE_DECIDE_H

#include "conn.h"
#include "echo.h"
#include "forward.h"

/* Whether the frame came from that host. */
static __noinline int rf_outer_is(const struct rf_pkt *pkt, __u32 index)
{
	struct rf_host *host = bpf_map_lookup_elem(&rf_hosts, &index);

	if (!host || index == RF_HOST_HERE || index == RF_HOST_NONE)
		return 0;
	if (pkt->outer_family == RF_AF_INET6)
		return !rf_ip_is_zero(&host->v6) && rf_ip_equal(&pkt->outer, &host->v6);
	return host->v4 && rf_ip_v4(&pkt->outer) == host->v4;
}

/* Whether a packet of interface `source` (0: of beyond the uplink) may come in
 * where it did. Array reads only: this runs for every packet. */
static __noinline enum rf_reason rf_check_source(const struct rf_pkt *pkt, __u32 source)
{
	struct rf_iface *iface;
	struct rf_domain *domain;
	__u32 index = pkt->domain, host;

	switch (pkt->from) {
	case RF_DEVICE_WORKLOAD:
		return source == pkt->iface ? RF_REASON_NONE : RF_REASON_SOURCE_ADDRESS;
	case RF_DEVICE_UPLINK:
		return source ? RF_REASON_SPOOFED : RF_REASON_NONE;
	case RF_DEVICE_OVERLAY:
		if (source) {
			iface = bpf_map_lookup_elem(&rf_ifaces, &source);
			host = iface ? iface->host : RF_HOST_NONE;
		} else {
			domain = bpf_map_lookup_elem(&rf_domains, &index);
			host = domain ? domain->uplink_host : RF_HOST_NONE;
		}
		return rf_outer_is(pkt, host) ? RF_REASON_NONE : RF_REASON_OUTER_SOURCE;
	default:
		return RF_REASON_INTERNAL;
	}
}

static __always_inline int rf_on_link(const struct rf_pkt *pkt, const struct rf_ip *ip)
{
	struct rf_subnet_key key = {
		.prefixlen = RF_SUBNET_FIXED_BITS + 128,
		.domain_id = pkt->domain_id,
		.ip = *ip,
	};

	return bpf_map_lookup_elem(&rf_subnets, &key) != NULL;
}

/* The interface of the source, by its address; 0: beyond the uplink. */
static __noinline enum rf_reason rf_find_source(const struct rf_pkt *pkt, __u32 *iface)
{
	struct rf_addr *addr = rf_find_addr(pkt->domain_id, &pkt->src);

	*iface = addr ? addr->iface : 0;
	/* A gateway sends nothing that would come in from anywhere, and an
	 * on-link address without an interface is nobody's. */
	if (pkt->from != RF_DEVICE_WORKLOAD && !*iface &&
	    (addr || rf_not_unicast(&pkt->src, pkt->is_v6) || rf_on_link(pkt, &pkt->src)))
		return pkt->from == RF_DEVICE_UPLINK ? RF_REASON_SPOOFED : RF_REASON_OUTER_SOURCE;
	return rf_check_source(pkt, *iface);
}

#define RF_TO_GATEWAY 0xffffffffU

/* The interface of the destination; 0: beyond the uplink; or RF_TO_GATEWAY. */
static __noinline enum rf_reason rf_find_destination(const struct rf_pkt *pkt, __u32 *iface)
{
	struct rf_addr *addr = rf_find_addr(pkt->domain_id, &pkt->dst);

	if (addr) {
		*iface = addr->iface ? addr->iface : RF_TO_GATEWAY;
		return RF_REASON_NONE;
	}
	*iface = 0;
	return rf_on_link(pkt, &pkt->dst) ? RF_REASON_NO_ROUTE : RF_REASON_NONE;
}

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

/* Passes if the flow may, and if it comes from the flow's other side. */
static __noinline int rf_decide_error(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_judgement j = {};
	struct rf_tuple tuple = {};
	struct rf_conn *conn;
	enum rf_reason reason;
	__u32 source, to;

	reason = rf_find_source(pkt, &source);
	if (reason)
		return rf_drop(ctx, reason);
	if (rf_quoted(ctx, pkt, &tuple))
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	conn = rf_conn_find(&tuple, bpf_ktime_get_coarse_ns());
	if (conn && !rf_conn_current(conn, pkt->domain))
		conn = rf_conn_judge_again(&tuple, conn, pkt->domain, &j);
	if (!conn || conn->denied || conn->iface[!tuple.side] != source)
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	to = tuple.side ? conn->iface[1] : conn->iface[0];
	return rf_forward(ctx, pkt, to, &j);
}

/* The host of the side that is not here. */
static __always_inline __u32 rf_remote_host(__u32 domain_index, __u32 from, __u32 to)
{
	__u32 ends[2] = {from, to};

	for (int i = 0; i < 2; i++) {
		__u32 host = RF_HOST_NONE, index = ends[i];

		if (index) {
			struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);

			host = iface ? iface->host : RF_HOST_NONE;
		} else {
			struct rf_domain *domain = bpf_map_lookup_elem(&rf_domains, &domain_index);

			host = domain ? domain->uplink_host : RF_HOST_NONE;
		}
		if (host != RF_HOST_HERE)
			return host;
	}
	return RF_HOST_HERE;
}

static __noinline int rf_record_conn(const struct rf_pkt *pkt, const struct rf_tuple *tuple,
				     const struct rf_judgement *j, __u32 from, __u32 to)
{
	struct rf_conn conn = {
		.state = RF_CONN_OPENING,
		.origin = tuple->side,
		.origin_iface = from,
		.remote_host = rf_remote_host(pkt->domain, from, to),
	};

	conn.iface[0] = tuple->side ? to : from;
	conn.iface[1] = tuple->side ? from : to;
	rf_conn_judged(&conn, j, 1);
	rf_conn_advance(&conn, pkt, tuple->side, bpf_ktime_get_coarse_ns());
	return rf_conn_put(tuple, &conn);
}

/* A packet that no connection speaks for. */
static __noinline int rf_decide_new(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				    const struct rf_tuple *tuple)
{
	struct rf_question q = {
		.domain = pkt->domain,
		.domain_id = pkt->domain_id,
		.ip = {pkt->src, pkt->dst},
		.number = pkt->number,
		.table = pkt->table,
	};
	struct rf_judgement j = {};
	enum rf_reason reason;
	__u32 from, to;

	reason = rf_find_source(pkt, &from);
	if (!reason)
		reason = rf_find_destination(pkt, &to);
	if (reason)
		return rf_drop(ctx, reason);
	if (to == RF_TO_GATEWAY) {
		if (pkt->from == RF_DEVICE_WORKLOAD && rf_to_gateway(pkt))
			return rf_answer_echo(ctx, pkt);
		return rf_drop(ctx, RF_REASON_GATEWAY_SERVICE);
	}
	if (pkt->icmp_role == RF_ICMP_REPLY)
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	if (pkt->l4_proto == IPPROTO_TCP &&
	    (pkt->tcp_flags & (RF_TCP_SYN | RF_TCP_ACK | RF_TCP_RST | RF_TCP_FIN)) != RF_TCP_SYN)
		return rf_drop(ctx, RF_REASON_TCP_NOT_SYN);
	if (!rf_judge(&q, &j))
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &j);
	if (pkt->icmp_role != RF_ICMP_OTHER && rf_record_conn(pkt, tuple, &j, from, to))
		return rf_drop_judged(ctx, RF_REASON_TABLE_FULL, &j);
	return rf_forward(ctx, pkt, to, &j);
}

/* A packet that may have a connection. */
static __noinline int rf_decide_flow(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_tuple tuple = {};
	struct rf_judgement j = {};
	struct rf_conn *conn;
	enum rf_reason reason;
	__u32 from, to;

	rf_tuple_make(&tuple, pkt);
	conn = pkt->icmp_role == RF_ICMP_OTHER ? NULL : rf_conn_find(&tuple, now);
	if (!conn || rf_conn_reopens(conn, pkt, tuple.side))
		return rf_decide_new(ctx, pkt, &tuple);
	from = tuple.side ? conn->iface[1] : conn->iface[0];
	to = tuple.side ? conn->iface[0] : conn->iface[1];
	reason = rf_check_source(pkt, from);
	if (reason)
		return rf_drop(ctx, reason);
	/* Both sides may use one echo identifier; only who opened may ask. */
	if (pkt->icmp_role && (pkt->icmp_role == RF_ICMP_REQUEST) != (conn->origin == tuple.side))
		return rf_drop(ctx, RF_REASON_NO_CONNECTION);
	if (!rf_conn_current(conn, pkt->domain)) {
		conn = rf_conn_judge_again(&tuple, conn, pkt->domain, &j);
		if (!conn)
			return rf_drop_judged(ctx, RF_REASON_TABLE_FULL, &j);
	}
	if (conn->denied)
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &j);
	rf_conn_advance(conn, pkt, tuple.side, now);
	return rf_forward(ctx, pkt, to, &j);
}

/* Every IP packet, after its way in has been checked. */
static __always_inline int rf_decide(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	if (pkt->icmp_role == RF_ICMP_ERROR)
		return rf_decide_error(ctx, pkt);
	return rf_decide_flow(ctx, pkt);
}

#endif
