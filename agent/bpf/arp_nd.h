/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ARP and neighbour discovery of workloads, answered here: nothing of it ever
 * crosses a host, and nobody can speak for another's address.
 */
#ifndef RINGFENCE_ARP_ND_H
#define RINGFENCE_ARP_ND_H

#include "owner.h"
#include "router.h"

#define RF_ARP_REQUEST 1
#define RF_ARP_REPLY 2
#define RF_ND_SOLICITATION 135
#define RF_ND_ADVERTISEMENT 136
#define RF_ND_HOP_LIMIT 255
#define RF_ND_ROUTER 0x80
#define RF_ND_SOLICITED 0x40
#define RF_ND_OVERRIDE 0x20
#define RF_ND_OPTION_TARGET 2

struct rf_arp {
	struct ethhdr eth;
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender_ip;
	__u8 target_mac[6];
	__be32 target_ip;
} __attribute__((packed));

struct rf_nd {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__u8 flags;
	__u8 reserved[3];
	struct rf_ip target;
};

struct rf_nd_advertisement {
	struct rf_nd nd;
	__u8 option;
	__u8 option_len; /* in units of 8 bytes */
	__u8 mac[6];
};

struct rf_nd_frame {
	__u8 align[RF_FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct rf_nd_advertisement na;
};

/* fe80::/64 with the modified EUI-64 of the MAC (RFC 4291, appendix A). */
static __always_inline int rf_is_eui64(const struct rf_ip *ip, const __u8 *mac)
{
	const __u32 *words = (const void *)ip;

	return words[0] == bpf_htonl(0xfe800000) && words[1] == 0 && ip->bytes[8] == (mac[0] ^ 2) &&
	       ip->bytes[9] == mac[1] && ip->bytes[10] == mac[2] && ip->bytes[11] == 0xff &&
	       ip->bytes[12] == 0xfe && ip->bytes[13] == mac[3] && ip->bytes[14] == mac[4] &&
	       ip->bytes[15] == mac[5];
}

/* Who has the address in the sender's network: 0 and the MAC, or nobody who
 * needs an answer. The sender's own address gets none: it is asking whether
 * somebody else has it. */
static __noinline int rf_neighbour(const struct rf_pkt *pkt, const struct rf_ip *ip, __u8 *mac)
{
	struct rf_addr *addr = rf_find_addr(pkt->domain_id, ip);
	struct rf_iface *iface;
	struct rf_end end;
	__u8 gateway[6];
	__u32 index;

	for (int i = 0; i < 6; i++)
		gateway[i] = rf_config.gateway_mac[i];
	/* It announces itself by its link-local address. */
	if (rf_is_eui64(ip, gateway) || (addr && !addr->iface && addr->gateway_vni == pkt->vni)) {
		__builtin_memcpy(mac, gateway, 6);
		return 0;
	}
	if (addr && !addr->iface)
		return -1;
	rf_find_end(pkt->domain_id, ip, &end);
	index = end.iface;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!index || !iface || rf_is_sender(pkt, index) || iface->vni != pkt->vni)
		return -1;
	return rf_end_mac(pkt->domain_id, ip, &end, iface, mac);
}

/*
 * ARP between a workload and the stack of its host, by the workload's own device:
 * `host` is a peer like any, and needs to be found. The host's addresses are told by
 * no table; they are nobody's in the domain, or the stack could not be told from who
 * has them.
 */
static __noinline int rf_is_hosts_address(const struct rf_pkt *pkt, const struct rf_ip *ip)
{
	struct rf_end end;

	rf_find_end(pkt->domain_id, ip, &end);
	return rf_is_nobodys(&end);
}

/* Gives the stack what is asked of it, or answered to it. It answers for addresses of
 * this very device only (arp_ignore), and knows no other by what it hears here. */
static __always_inline int rf_arp_to_stack(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	rf_count_from(pkt->counter);
	rf_record((struct rf_decision){.action = RF_ACTION_STACK, .ifindex = ctx->ifindex}, NULL);
	ctx->mark = rf_config.guard ? rf_stack_mark() : 0;
	return RF_NEXT;
}

/* Whether a packet is ARP of Ethernet and IPv4. */
static __always_inline int rf_is_arp4(const struct rf_arp *arp)
{
	return arp->hardware == bpf_htons(1) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_len == 6 && arp->protocol_len == 4;
}

/* Whether the stack may say this to the workload: for an address of its own, and about
 * an address of the workload's. */
static __noinline int rf_admit_arp_of_host(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_ip sender, target;
	struct rf_end end;
	struct rf_arp arp;

	if (bpf_skb_load_bytes(ctx, 0, &arp, sizeof(arp)) || !rf_is_arp4(&arp))
		return 0;
	rf_ip_map4(&sender, arp.sender_ip);
	rf_ip_map4(&target, arp.target_ip);
	rf_find_end(pkt->domain_id, &target, &end);
	return rf_is_workloads(&end) && rf_is_sender(pkt, end.iface) &&
	       rf_is_hosts_address(pkt, &sender);
}

static __noinline int rf_answer_arp(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				    const struct rf_iface *iface)
{
	struct rf_ip sender, target;
	struct rf_arp arp;
	__u8 mac[6] = {};

	if (bpf_skb_load_bytes(ctx, 0, &arp, sizeof(arp)) || !rf_is_arp4(&arp))
		return rf_drop(ctx, RF_REASON_MALFORMED);
	rf_ip_map4(&sender, arp.sender_ip);
	rf_ip_map4(&target, arp.target_ip);
	if (!rf_may_use_mac(pkt, iface, &sender, pkt->src_mac))
		return rf_drop(ctx, RF_REASON_SOURCE_MAC);
	/* A probe (RFC 5227) has no sender address yet. */
	if (!rf_may_use_mac(pkt, iface, &sender, arp.sender_mac) ||
	    (arp.sender_ip && !rf_speaks_for(pkt, &sender)))
		return rf_drop(ctx, RF_REASON_ARP_SENDER);
	if ((arp.operation == bpf_htons(RF_ARP_REQUEST) || ctx->pkt_type == RF_PACKET_HOST) &&
	    rf_is_hosts_address(pkt, &target))
		return rf_arp_to_stack(ctx, pkt);
	if (arp.operation != bpf_htons(RF_ARP_REQUEST) || rf_neighbour(pkt, &target, mac))
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);

	__builtin_memcpy(arp.eth.h_dest, pkt->src_mac, 6);
	__builtin_memcpy(arp.eth.h_source, mac, 6);
	arp.operation = bpf_htons(RF_ARP_REPLY);
	__builtin_memcpy(arp.target_mac, arp.sender_mac, 6);
	__builtin_memcpy(arp.sender_mac, mac, 6);
	arp.target_ip = arp.sender_ip;
	arp.sender_ip = rf_ip_v4(&target);
	if (bpf_skb_store_bytes(ctx, 0, &arp, sizeof(arp), BPF_F_RECOMPUTE_CSUM))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

/* An advertisement in place of the solicitation. Who has no address yet is told
 * through all-nodes that the one it wants is taken (RFC 4861 7.2.4). */
static __noinline int rf_advertise(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				   const struct rf_ip *target, const __u8 *mac)
{
	struct rf_nd_frame frame = {
		.eth.h_proto = bpf_htons(ETH_P_IPV6),
		.ip.version = 6,
		.ip.payload_len = bpf_htons(sizeof(frame.na)),
		.ip.nexthdr = RF_IPPROTO_ICMPV6,
		.ip.hop_limit = RF_ND_HOP_LIMIT,
		.na.nd.type = RF_ND_ADVERTISEMENT,
		.na.nd.flags = RF_ND_SOLICITED | RF_ND_OVERRIDE,
		.na.option = RF_ND_OPTION_TARGET,
		.na.option_len = 1,
	};
	struct rf_ip to = pkt->src;
	__u8 is_router = 1;

	__builtin_memcpy(frame.eth.h_dest, pkt->src_mac, 6);
	if (rf_ip_is_zero(&to)) {
		rf_all_nodes(&to, frame.eth.h_dest);
		frame.na.nd.flags = RF_ND_OVERRIDE;
	}
	/* A router that forgets to say that it is one is none any more (RFC 4861 7.2.5). */
	for (int i = 0; i < 6; i++)
		is_router &= mac[i] == rf_config.gateway_mac[i];
	if (is_router)
		frame.na.nd.flags |= RF_ND_ROUTER;
	__builtin_memcpy(frame.eth.h_source, mac, 6);
	__builtin_memcpy(frame.na.mac, mac, 6);
	__builtin_memcpy(&frame.na.nd.target, target, sizeof(*target));
	__builtin_memcpy(&frame.ip.saddr, target, sizeof(*target));
	__builtin_memcpy(&frame.ip.daddr, &to, sizeof(to));
	frame.na.nd.checksum = rf_icmp6_checksum(&frame.ip, &frame.na, sizeof(frame.na), 0);

	if (bpf_skb_change_tail(ctx, sizeof(frame) - RF_FRAME_ALIGN, 0) ||
	    bpf_skb_store_bytes(ctx, 0, &frame.eth, sizeof(frame) - RF_FRAME_ALIGN,
				BPF_F_RECOMPUTE_CSUM))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

/* Whether neighbour discovery may come from the packet's source: from none yet, from
 * one of the sender's, and from any link-local address, which it makes as it likes,
 * but for the gateway's. Only it is answered there. */
static __always_inline int rf_discovers_from(const struct rf_pkt *pkt)
{
	__u8 gateway[6];

	for (int i = 0; i < 6; i++)
		gateway[i] = rf_config.gateway_mac[i];
	if (rf_link_local(&pkt->src))
		return !rf_is_eui64(&pkt->src, gateway);
	return rf_ip_is_zero(&pkt->src) || rf_speaks_for(pkt, &pkt->src);
}

static __noinline int rf_answer_nd(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_nd nd;
	__u8 mac[6] = {};

	if (rf_is_routers(pkt))
		return rf_drop(ctx, RF_REASON_ROUTER_GUARD);
	if (pkt->ttl != RF_ND_HOP_LIMIT)
		return rf_drop(ctx, RF_REASON_MALFORMED);
	if (!rf_discovers_from(pkt))
		return rf_drop(ctx, RF_REASON_ARP_SENDER);
	if (pkt->icmp_type == RF_ND_ROUTER_SOLICITATION)
		return rf_answer_router_solicitation(ctx, pkt);
	if (pkt->icmp_type != RF_ND_SOLICITATION)
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);
	if (bpf_skb_load_bytes(ctx, pkt->l4_offset, &nd, sizeof(nd)) || nd.code)
		return rf_drop(ctx, RF_REASON_MALFORMED);
	if (rf_is_mapped4(&nd.target) || rf_neighbour(pkt, &nd.target, mac))
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);
	return rf_advertise(ctx, pkt, &nd.target, mac);
}

#endif
