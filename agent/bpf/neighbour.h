/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What ARP and ND say alike: read from a frame, and written into one from nothing. */
#ifndef RINGFENCE_NEIGHBOUR_H
#define RINGFENCE_NEIGHBOUR_H

#include "arp_nd.h"

#define RF_ND_OPTION_SOURCE 1

/* "I am sender, at sender_mac; who is target?", or an answer to that. */
struct rf_neighbour {
	struct rf_ip sender; /* all zero: a probe, whose sender has no address yet */
	struct rf_ip target; /* the sender itself: it announces */
	__u8 sender_mac[6];
	__u8 answers;
	__u8 pad;
};

static __always_inline int rf_read_arp(struct __sk_buff *ctx, struct rf_neighbour *said)
{
	struct rf_arp arp;

	if (bpf_skb_load_bytes(ctx, 0, &arp, sizeof(arp)) || !rf_is_arp4(&arp))
		return -1;
	if (arp.operation != bpf_htons(RF_ARP_REQUEST) && arp.operation != bpf_htons(RF_ARP_REPLY))
		return -1;
	if (arp.sender_ip)
		rf_ip_map4(&said->sender, arp.sender_ip);
	rf_ip_map4(&said->target, arp.target_ip);
	__builtin_memcpy(said->sender_mac, arp.sender_mac, 6);
	said->answers = arp.operation == bpf_htons(RF_ARP_REPLY);
	return 0;
}

/* An advertisement speaks for its target, whatever address it is sent from. */
static __always_inline int rf_read_nd(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				      struct rf_neighbour *said)
{
	struct rf_nd_advertisement na;

	if (pkt->ttl != RF_ND_HOP_LIMIT || pkt->fragment ||
	    bpf_skb_load_bytes(ctx, pkt->l4_offset, &na.nd, sizeof(na.nd)) || na.nd.code ||
	    rf_is_mapped4(&na.nd.target))
		return -1;
	said->target = na.nd.target;
	__builtin_memcpy(said->sender_mac, pkt->src_mac, 6);
	if (na.nd.type == RF_ND_SOLICITATION) {
		said->sender = pkt->src;
		return 0;
	}
	said->sender = na.nd.target;
	said->answers = 1;
	if (!bpf_skb_load_bytes(ctx, pkt->l4_offset, &na, sizeof(na)) &&
	    na.option == RF_ND_OPTION_TARGET && na.option_len == 1)
		__builtin_memcpy(said->sender_mac, na.mac, 6);
	return na.nd.type == RF_ND_ADVERTISEMENT ? 0 : -1;
}

/* -1: it says nothing of the kind. */
static __noinline int rf_read_neighbour(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					struct rf_neighbour *said)
{
	return pkt->eth_proto == ETH_P_ARP ? rf_read_arp(ctx, said) : rf_read_nd(ctx, pkt, said);
}

/* As many bytes as the message has, whatever the frame had. */
static __noinline int rf_write_arp(struct __sk_buff *ctx, const struct rf_neighbour *say)
{
	struct rf_arp arp = {
		.eth.h_proto = bpf_htons(ETH_P_ARP),
		.hardware = bpf_htons(1),
		.protocol = bpf_htons(ETH_P_IP),
		.hardware_len = 6,
		.protocol_len = 4,
		.operation = bpf_htons(RF_ARP_REQUEST),
		.sender_ip = rf_ip_v4(&say->sender),
		.target_ip = rf_ip_v4(&say->target),
	};

	__builtin_memset(arp.eth.h_dest, 0xff, 6);
	__builtin_memcpy(arp.eth.h_source, say->sender_mac, 6);
	__builtin_memcpy(arp.sender_mac, say->sender_mac, 6);
	return bpf_skb_change_tail(ctx, sizeof(arp), 0) ||
	       bpf_skb_store_bytes(ctx, 0, &arp, sizeof(arp), BPF_F_RECOMPUTE_CSUM);
}

static __noinline int rf_write_nd(struct __sk_buff *ctx, const struct rf_neighbour *say)
{
	int announces = rf_ip_equal(&say->sender, &say->target);
	struct rf_nd_frame frame = {
		.eth.h_proto = bpf_htons(ETH_P_IPV6),
		.ip.version = 6,
		.ip.payload_len = bpf_htons(sizeof(frame.na)),
		.ip.nexthdr = RF_IPPROTO_ICMPV6,
		.ip.hop_limit = RF_ND_HOP_LIMIT,
		.na.nd.type = announces ? RF_ND_ADVERTISEMENT : RF_ND_SOLICITATION,
		.na.nd.flags = announces ? RF_ND_OVERRIDE : 0,
		.na.option = announces ? RF_ND_OPTION_TARGET : RF_ND_OPTION_SOURCE,
		.na.option_len = 1,
	};
	struct rf_ip to;

	rf_all_nodes(&to, frame.eth.h_dest);
	/* A question goes to the target's solicited-node group (RFC 4291 2.7.1). */
	if (!announces) {
		to.bytes[11] = 1;
		to.bytes[12] = frame.eth.h_dest[2] = 0xff;
		to.bytes[13] = frame.eth.h_dest[3] = say->target.bytes[13];
		to.bytes[14] = frame.eth.h_dest[4] = say->target.bytes[14];
		to.bytes[15] = frame.eth.h_dest[5] = say->target.bytes[15];
	}
	__builtin_memcpy(frame.eth.h_source, say->sender_mac, 6);
	__builtin_memcpy(frame.na.mac, say->sender_mac, 6);
	__builtin_memcpy(&frame.na.nd.target, &say->target, sizeof(say->target));
	__builtin_memcpy(&frame.ip.saddr, &say->sender, sizeof(say->sender));
	__builtin_memcpy(&frame.ip.daddr, &to, sizeof(to));
	frame.na.nd.checksum = rf_icmp6_checksum(&frame.ip, &frame.na, sizeof(frame.na), 0);
	return bpf_skb_change_tail(ctx, sizeof(frame) - RF_FRAME_ALIGN, 0) ||
	       bpf_skb_store_bytes(ctx, 0, &frame.eth, sizeof(frame) - RF_FRAME_ALIGN,
				   BPF_F_RECOMPUTE_CSUM);
}

/* An announcement (RFC 5227 3; RFC 4861 7.2.6) where sender and target are one, else
 * a question, in place of the frame. */
static __always_inline int rf_write_neighbour(struct __sk_buff *ctx, const struct rf_neighbour *say,
					      int is_v6)
{
	return is_v6 ? rf_write_nd(ctx, say) : rf_write_arp(ctx, say);
}

#endif
