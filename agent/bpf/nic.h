/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A machine's NIC: the packets of a bare-metal workload, and the built-in rules.
 *
 * Built-in rules come before policy and need no connection, so they hold with every
 * policy and with a full table: without them a policy could cut a machine off from
 * who could take it back.
 */
#ifndef RINGFENCE_NIC_H
#define RINGFENCE_NIC_H

#include "decide.h"
#include "frag.h"
#include "mld.h"

#define RF_SSH_PORT 22

/* What a packet's built-in rule depends on, of the packet or of one that an ICMP error quotes. */
struct rf_ports_at_nic {
	const struct rf_ip *src;
	const struct rf_ip *dst;
	__be16 sport;
	__be16 dport;
	__u8 l4_proto;
	__u8 arrives;
	__u8 answers; /* TCP: it opens nothing */
};

/* DHCP between the machine as a client and whoever serves. */
static __always_inline int rf_is_dhcp_client(const struct rf_pkt *pkt)
{
	__be16 client = bpf_htons(pkt->is_v6 ? RF_DHCP6_CLIENT_PORT : RF_DHCP4_CLIENT_PORT);
	__be16 server = bpf_htons(pkt->is_v6 ? RF_DHCP6_SERVER_PORT : RF_DHCP4_SERVER_PORT);

	return pkt->l4_proto == IPPROTO_UDP &&
	       (pkt->arrives ? pkt->sport == server && pkt->dport == client
			     : pkt->sport == client && pkt->dport == server);
}

/* As rf_parse. A checksum may be left to the NIC in a place of its own: of a packet
 * inside a tunnel. The machine's kernel made it, and nobody else can. And who asks for an
 * address has none yet. */
static __always_inline enum rf_reason rf_parse_at_nic(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	enum rf_reason reason = rf_parse(ctx, pkt);

	if (reason == RF_REASON_CHECKSUM_PLACE && !pkt->fragment)
		return RF_REASON_NONE;
	if (reason == RF_REASON_MARTIAN && !pkt->is_v6 && !pkt->arrives && !rf_ip_v4(&pkt->src) &&
	    rf_is_dhcp_client(pkt))
		return RF_REASON_NONE;
	return reason;
}

/* Whether a built-in rule of that kind names the address. */
static __always_inline int rf_is_named(const struct rf_ip *ip, __u32 kind)
{
	struct rf_builtin_key key = {.prefixlen = 128, .ip = *ip};
	__u32 *kinds = bpf_map_lookup_elem(&rf_builtins, &key);

	return kinds && *kinds & kind;
}

/* The overlay's outer packets between hosts; SSH to the machine, and what answers it;
 * what an agent and its controller say, on either's machine. */
static __noinline int rf_keeps_reachable(const struct rf_ports_at_nic *of)
{
	__be16 ssh = bpf_htons(RF_SSH_PORT), controller = rf_config.controller_port;

	if (of->l4_proto == IPPROTO_UDP)
		return of->dport == rf_config.vxlan_port &&
		       rf_is_named(of->arrives ? of->src : of->dst, RF_BUILTIN_UNDERLAY);
	if (of->l4_proto != IPPROTO_TCP)
		return 0;
	if (of->arrives ? of->dport == ssh : of->sport == ssh && of->answers) {
		if (rf_is_named(of->arrives ? of->src : of->dst, RF_BUILTIN_SSH))
			return 1;
	}
	if (of->dport == controller && rf_is_named(of->dst, RF_BUILTIN_CONTROLLER))
		return 1;
	return of->sport == controller && of->answers &&
	       rf_is_named(of->src, RF_BUILTIN_CONTROLLER);
}

/* ARP, and neighbour and router discovery but for redirects. */
static __always_inline int rf_is_discovery(const struct rf_pkt *pkt)
{
	return pkt->eth_proto == ETH_P_ARP || (rf_is_nd(pkt) && pkt->ttl == RF_ND_HOP_LIMIT &&
					       pkt->icmp_type <= RF_ND_ADVERTISEMENT);
}

/* "Fragmentation needed" and "packet too big" about what a built-in rule let out. */
static __noinline int rf_tells_built_in(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u32 offset = pkt->l4_offset + sizeof(struct rf_icmp);
	struct rf_pkt quoted = {.is_v6 = pkt->is_v6};
	struct rf_ports ports;

	offset = rf_quoted_ip(ctx, pkt, offset, &quoted);
	if (!offset || !rf_ip_equal(&quoted.src, &pkt->dst) ||
	    bpf_skb_load_bytes(ctx, offset, &ports, sizeof(ports)))
		return 0;
	struct rf_ports_at_nic of = {
		.src = &quoted.src,
		.dst = &quoted.dst,
		.sport = ports.source,
		.dport = ports.dest,
		.l4_proto = quoted.l4_proto,
		.answers = 1,
	};
	return rf_keeps_reachable(&of);
}

static __always_inline int rf_is_too_big(const struct rf_pkt *pkt)
{
	return pkt->icmp_role == RF_ICMP_ERROR &&
	       pkt->number == (pkt->is_v6 ? RF_ICMPV6_TOO_BIG << 8
					  : RF_ICMP_UNREACHABLE << 8 | RF_ICMP_FRAG_NEEDED);
}

/* A query, or what answers it: without them a switch that listens in does not pass
 * neighbour discovery on. */
static __always_inline int rf_is_listening(const struct rf_pkt *pkt)
{
	return pkt->arrives ? rf_is_mld(pkt) && pkt->icmp_type == RF_MLD_QUERY
			    : rf_reports_listening(pkt);
}

/* Whether a built-in rule lets the packet pass. None is about fragments. */
static __always_inline int rf_is_built_in(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_ports_at_nic of = {
		.src = &pkt->src,
		.dst = &pkt->dst,
		.sport = pkt->sport,
		.dport = pkt->dport,
		.l4_proto = pkt->l4_proto,
		.arrives = pkt->arrives,
		.answers = (pkt->tcp_flags & (RF_TCP_ACK | RF_TCP_RST)) != 0,
	};

	if (pkt->fragment)
		return 0;
	if (rf_is_discovery(pkt) || rf_is_listening(pkt) || rf_is_dhcp_client(pkt))
		return 1;
	if (pkt->arrives && rf_is_too_big(pkt))
		return rf_tells_built_in(ctx, pkt);
	return rf_keeps_reachable(&of);
}

static __always_inline int rf_pass_at_nic(struct __sk_buff *ctx, const struct rf_judgement *j)
{
	rf_record((struct rf_decision){.action = RF_ACTION_DELIVER, .ifindex = ctx->ifindex}, j);
	return RF_NEXT;
}

static __always_inline int rf_pass_built_in(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u32 counter = pkt->counter;
	struct rf_passed *passed = bpf_map_lookup_elem(&rf_passed, &counter);

	if (passed && !rf_config.dry)
		passed->builtin++;
	return rf_pass_at_nic(ctx, NULL);
}

/* What no built-in rule speaks for: by its connection, or by policy. */
static __noinline int rf_decide_at_nic(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_flow *flow = rf_flow_begin(pkt);
	struct rf_conn *conn;

	if (!flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	conn = rf_may_pass(ctx, pkt, flow, now);
	/* An address of the machine's that its interface does not have is nobody's: who
	 * may speak to outside may not speak to that. */
	if (!flow->reason && pkt->arrives && !rf_is_sender(pkt, flow->ends.to.iface))
		flow->reason = RF_REASON_NO_ROUTE;
	if (!flow->reason)
		flow->reason = rf_keep(ctx, pkt, flow, conn, now);
	if (flow->reason)
		return rf_drop_judged(ctx, flow->reason, &flow->j);
	if (pkt->arrives)
		rf_count_to(pkt->counter);
	else
		rf_count_from(pkt->counter);
	return rf_pass_at_nic(ctx, &flow->j);
}

#endif
