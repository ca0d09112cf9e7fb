/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Headers to struct rf_pkt. A cursor walks the linear part of the packet; what
 * is beyond it is pulled in once and the walk begins again.
 */
#ifndef RINGFENCE_PARSE_H
#define RINGFENCE_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "exthdr.h"
#include "offload.h"
#include "packet.h"
#include "verdict.h"

/* Ethernet, the longest IPv4 header and the longest TCP header. */
#define RF_PULL (ETH_HLEN + 60 + 60)
#define RF_VLAN_VID 0x0fff
#define RF_IP_FRAGMENT 0x3fff /* more fragments, or an offset */
#define RF_IP_MORE 0x2000
#define RF_IP_OFFSET 0x1fff /* in units of 8 bytes */
/* The longest TCP header. */
#define RF_PULL_L4 60

/* RFC 791 3.1, as kinds with their flag and class */
#define RF_IP_OPTION_BYTES 40
#define RF_IP_OPTIONS_END 0
#define RF_IP_OPTION_NONE 1
#define RF_IP_OPTION_LOOSE_ROUTE 131
#define RF_IP_OPTION_STRICT_ROUTE 137

struct rf_ports {
	__be16 source;
	__be16 dest;
};

struct rf_icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id; /* of an echo */
	__be16 sequence;
};

struct rf_cursor {
	void *pos;
	void *end;
};

/* The next `size` bytes, or NULL if they are not there; moves on. */
static __always_inline void *rf_take(struct rf_cursor *cursor, __u32 size)
{
	void *header = cursor->pos;

	if (header + size > cursor->end)
		return NULL;
	cursor->pos = header + size;
	return header;
}

static __always_inline enum rf_reason rf_parse_ipv4(struct rf_cursor *cursor, struct rf_pkt *pkt)
{
	struct iphdr *ip = rf_take(cursor, sizeof(*ip));
	__u32 header_len;

	if (!ip)
		return RF_REASON_MALFORMED;
	header_len = ip->ihl * 4;
	pkt->l3_len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header_len < sizeof(*ip) || pkt->l3_len < header_len)
		return RF_REASON_MALFORMED;
	rf_ip_map4(&pkt->src, ip->saddr);
	rf_ip_map4(&pkt->dst, ip->daddr);
	pkt->l4_proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->l4_offset = RF_L3_OFFSET + header_len;
	/* Of options, rf_check_options looks at what decides. */
	if (!rf_take(cursor, header_len - sizeof(*ip)))
		return RF_REASON_MALFORMED;
	return ip->frag_off & bpf_htons(RF_IP_FRAGMENT) ? RF_REASON_FRAGMENT : RF_REASON_NONE;
}

static __always_inline enum rf_reason rf_parse_ipv6(struct rf_cursor *cursor, struct rf_pkt *pkt)
{
	struct ipv6hdr *ip = rf_take(cursor, sizeof(*ip));

	if (!ip || ip->version != 6)
		return RF_REASON_MALFORMED;
	pkt->is_v6 = 1;
	pkt->l3_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	__builtin_memcpy(&pkt->src, &ip->saddr, sizeof(pkt->src));
	__builtin_memcpy(&pkt->dst, &ip->daddr, sizeof(pkt->dst));
	pkt->l4_proto = ip->nexthdr;
	pkt->ttl = ip->hop_limit;
	pkt->l4_offset = RF_L3_OFFSET + sizeof(*ip);
	return rf_is_extension(ip->nexthdr) ? RF_REASON_EXTENSION_HEADER : RF_REASON_NONE;
}

/* An echo's code is zero (RFC 792, RFC 4443 4.1). With another it is a message like
 * any, since policy tells it from an echo and an echo's connection would not. */
static __always_inline enum rf_icmp_role rf_icmp_role(const struct rf_icmp *icmp, int is_v6)
{
	enum rf_icmp_role request = icmp->code ? RF_ICMP_OTHER : RF_ICMP_REQUEST;
	enum rf_icmp_role reply = icmp->code ? RF_ICMP_OTHER : RF_ICMP_REPLY;

	if (is_v6) {
		switch (icmp->type) {
		case 1 ... 4: /* unreachable, too big, time exceeded, parameter */
			return RF_ICMP_ERROR;
		case 128:
			return request;
		case 129:
			return reply;
		}
		return RF_ICMP_OTHER;
	}
	switch (icmp->type) {
	case 3: /* unreachable, and fragmentation needed */
	case 11:
	case 12:
		return RF_ICMP_ERROR;
	case 8:
		return request;
	case 0:
		return reply;
	}
	return RF_ICMP_OTHER;
}

static __always_inline enum rf_reason rf_parse_icmp(struct rf_cursor *cursor, struct rf_pkt *pkt)
{
	struct rf_icmp *icmp = rf_take(cursor, sizeof(*icmp));

	/* ICMP means nothing in the other family. */
	if (pkt->is_v6 != (pkt->l4_proto == RF_IPPROTO_ICMPV6))
		return RF_REASON_UNSUPPORTED_PROTOCOL;
	if (!icmp)
		return RF_REASON_MALFORMED;
	pkt->l4_header_len = sizeof(*icmp);
	pkt->icmp_type = icmp->type;
	pkt->icmp_role = rf_icmp_role(icmp, pkt->is_v6);
	pkt->table = pkt->is_v6 ? RF_TABLE_ICMP6 : RF_TABLE_ICMP;
	pkt->number = icmp->type << 8 | icmp->code;
	if (pkt->icmp_role == RF_ICMP_REQUEST)
		pkt->sport = icmp->id;
	if (pkt->icmp_role == RF_ICMP_REPLY)
		pkt->dport = icmp->id;
	return RF_REASON_NONE;
}

static __always_inline enum rf_reason rf_parse_l4(struct rf_cursor *cursor, struct rf_pkt *pkt)
{
	struct rf_ports *ports = cursor->pos;
	struct tcphdr *tcp;

	switch (pkt->l4_proto) {
	case IPPROTO_ICMP:
	case RF_IPPROTO_ICMPV6:
		return rf_parse_icmp(cursor, pkt);
	case IPPROTO_TCP:
		tcp = rf_take(cursor, sizeof(*tcp));
		if (!tcp || tcp->doff < 5)
			return RF_REASON_MALFORMED;
		pkt->l4_header_len = tcp->doff * 4;
		/* FIN, SYN, RST, PSH, ACK, URG as on the wire. */
		pkt->tcp_flags = ((__u8 *)tcp)[13];
		pkt->table = RF_TABLE_TCP;
		break;
	case IPPROTO_UDP:
		if (!rf_take(cursor, 8))
			return RF_REASON_MALFORMED;
		pkt->l4_header_len = 8;
		pkt->table = RF_TABLE_UDP;
		break;
	case RF_IPPROTO_SCTP:
		if (!rf_take(cursor, 12))
			return RF_REASON_MALFORMED;
		pkt->l4_header_len = 12;
		pkt->table = RF_TABLE_SCTP;
		break;
	default:
		pkt->table = RF_TABLE_OTHER;
		pkt->number = pkt->l4_proto;
		return RF_REASON_NONE;
	}
	pkt->sport = ports->source;
	pkt->dport = ports->dest;
	pkt->number = bpf_ntohs(ports->dest);
	return RF_REASON_NONE;
}

/* What holds for every IP packet, once its headers are read. */
static __always_inline enum rf_reason rf_check_whole(struct __sk_buff *ctx,
						     const struct rf_pkt *pkt)
{
	if ((rf_is_martian(&pkt->src, pkt->is_v6) && !rf_seeks_address(pkt)) ||
	    rf_is_martian(&pkt->dst, pkt->is_v6))
		return RF_REASON_MARTIAN;
	/* Ethernet may pad a short packet, but nothing may be cut off. */
	if (RF_L3_OFFSET + pkt->l3_len > ctx->len ||
	    pkt->l4_offset + pkt->l4_header_len > RF_L3_OFFSET + pkt->l3_len)
		return RF_REASON_MALFORMED;
	return RF_REASON_NONE;
}

/* From the Ethernet header on. ARP is left to who answers it, and fragments and
 * extension headers, which are the reason then, to rf_parse_rare. */
static __noinline enum rf_reason rf_parse_headers(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	struct rf_cursor cursor = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct ethhdr *eth = rf_take(&cursor, sizeof(*eth));
	enum rf_reason reason;

	if (!eth)
		return RF_REASON_MALFORMED;
	__builtin_memcpy(pkt->dst_mac, eth->h_dest, sizeof(pkt->dst_mac));
	__builtin_memcpy(pkt->src_mac, eth->h_source, sizeof(pkt->src_mac));
	pkt->eth_proto = bpf_ntohs(eth->h_proto);
	if (pkt->eth_proto == ETH_P_ARP)
		return RF_REASON_NONE;
	if (pkt->eth_proto == ETH_P_IP)
		reason = rf_parse_ipv4(&cursor, pkt);
	else if (pkt->eth_proto == ETH_P_IPV6)
		reason = rf_parse_ipv6(&cursor, pkt);
	else
		return RF_REASON_UNSUPPORTED_ETHERTYPE;
	if (!reason)
		reason = rf_parse_l4(&cursor, pkt);
	return reason ? reason : rf_check_whole(ctx, pkt);
}

/* The part of its packet that a fragment is, and whether it may be one. */
static __always_inline enum rf_reason rf_parse_part(struct __sk_buff *ctx, struct rf_pkt *pkt,
						    const struct rf_chain *chain)
{
	__u32 length = chain->end - chain->part;
	/* An IPv6 header is no part of the length that its packet may have. */
	__u32 before = chain->part - RF_L3_OFFSET - (pkt->is_v6 ? sizeof(struct ipv6hdr) + 8 : 0);

	if (chain->end <= chain->part || (chain->more && length % 8) ||
	    before + chain->start + length > 0xffff || ctx->gso_size)
		return RF_REASON_MALFORMED;
	/* RFC 1858, 3128: it would be over the header of the first. */
	if (chain->start == 8)
		return RF_REASON_FRAGMENT;
	pkt->fragment = chain->start ? RF_FRAGMENT_LATER : RF_FRAGMENT_FIRST;
	pkt->part.id = chain->id;
	pkt->part.offset = chain->start;
	pkt->part.length = length;
	pkt->part.judged = 0;
	pkt->part.l4_proto = pkt->is_v6 ? 0 : pkt->l4_proto;
	pkt->part.more = chain->more;
	return RF_REASON_NONE;
}

/* The L4 header where extension headers led to, and what must not be behind them
 * or in fragments: neighbour discovery (RFC 6980), which guards could not see, and
 * errors, whose quote is judged. */
static __always_inline enum rf_reason rf_parse_rare_l4(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	__u32 offset = pkt->l4_offset, wanted = offset + RF_PULL_L4;
	struct rf_cursor cursor;
	enum rf_reason reason;

	if (offset > RF_L3_OFFSET + RF_HEADERS_BYTES)
		return RF_REASON_EXTENSION_HEADER;
	if (bpf_skb_pull_data(ctx, wanted < ctx->len ? wanted : ctx->len))
		return RF_REASON_INTERNAL;
	cursor.pos = (void *)(long)ctx->data + offset;
	cursor.end = (void *)(long)ctx->data_end;
	reason = rf_parse_l4(&cursor, pkt);
	if (reason)
		return reason;
	if (rf_is_nd(pkt))
		return RF_REASON_EXTENSION_HEADER;
	return pkt->fragment && pkt->icmp_role == RF_ICMP_ERROR ? RF_REASON_FRAGMENT
								: RF_REASON_NONE;
}

/* A packet whose headers rf_parse_headers read but for its extension headers, or
 * that is a fragment. Global, as rf_ask is. */
__noinline int rf_parse_rare(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	struct rf_chain chain = {};
	enum rf_reason reason = RF_REASON_NONE;
	struct iphdr ip;

	if (!pkt)
		return RF_REASON_INTERNAL;
	chain.offset = pkt->l4_offset;
	chain.end = RF_L3_OFFSET + pkt->l3_len;
	chain.next = pkt->l4_proto;
	if (pkt->is_v6) {
		if (rf_walk_extensions(ctx, &chain))
			return RF_REASON_EXTENSION_HEADER;
		pkt->l4_offset = chain.offset;
		pkt->l4_proto = chain.next;
	} else {
		if (bpf_skb_load_bytes(ctx, RF_L3_OFFSET, &ip, sizeof(ip)))
			return RF_REASON_MALFORMED;
		chain.part = pkt->l4_offset;
		chain.id = ip.id;
		chain.start = (bpf_ntohs(ip.frag_off) & RF_IP_OFFSET) * 8;
		chain.more = !!(ip.frag_off & bpf_htons(RF_IP_MORE));
	}
	/* One that is alone is a whole packet (RFC 6946). */
	if (chain.part && (chain.start || chain.more))
		reason = rf_parse_part(ctx, pkt, &chain);
	if (!reason && pkt->fragment != RF_FRAGMENT_LATER)
		reason = rf_parse_rare_l4(ctx, pkt);
	if (!reason && pkt->fragment == RF_FRAGMENT_FIRST)
		pkt->part.judged = pkt->l4_offset + pkt->l4_header_len - chain.part;
	return reason ? reason : rf_check_whole(ctx, pkt);
}

/* Whether a packet with IPv4 options may go its way: a source route would take it past
 * its destination address (RFC 791 3.1). */
static __noinline enum rf_reason rf_check_options(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u32 at = RF_L3_OFFSET + sizeof(struct iphdr), end = pkt->l4_offset;
	__u8 kind, length;

	for (int i = 0; i < RF_IP_OPTION_BYTES && at < end; i++) {
		if (bpf_skb_load_bytes(ctx, at, &kind, sizeof(kind)))
			return RF_REASON_MALFORMED;
		if (kind == RF_IP_OPTIONS_END)
			break;
		if (kind == RF_IP_OPTION_LOOSE_ROUTE || kind == RF_IP_OPTION_STRICT_ROUTE)
			return RF_REASON_SOURCE_ROUTE;
		length = 1;
		if (kind != RF_IP_OPTION_NONE &&
		    (bpf_skb_load_bytes(ctx, at + 1, &length, sizeof(length)) || length < 2))
			return RF_REASON_MALFORMED;
		at += length;
	}
	return at > end ? RF_REASON_MALFORMED : RF_REASON_NONE;
}

static __always_inline int rf_is_tag(__be16 eth_proto)
{
	return eth_proto == bpf_htons(ETH_P_8021Q) || eth_proto == bpf_htons(ETH_P_8021AD);
}

/* A priority tag says no network and is taken off; any other is not for us, also
 * one behind it: the helper would put that beside the frame's bytes, unseen by the
 * parser and sent with them, or fail if it is cut short. */
static __always_inline enum rf_reason rf_untag(struct __sk_buff *ctx)
{
	__u16 tag = ctx->vlan_tci;
	__be16 inner = ctx->protocol;
	__be16 in_frame[2]; /* tag control, and the ethertype behind it */

	if (!ctx->vlan_present) {
		/* A second tag, which the kernel left in the frame. */
		if (inner != bpf_htons(ETH_P_8021Q))
			return RF_REASON_NONE;
		if (bpf_skb_load_bytes(ctx, ETH_HLEN, in_frame, sizeof(in_frame)))
			return RF_REASON_MALFORMED;
		tag = bpf_ntohs(in_frame[0]);
		inner = in_frame[1];
	}
	if (tag & RF_VLAN_VID || rf_is_tag(inner))
		return RF_REASON_VLAN_TAGGED;
	return bpf_skb_vlan_pop(ctx) ? RF_REASON_INTERNAL : RF_REASON_NONE;
}

/* Of a later fragment all but what its first one says. */
static __always_inline enum rf_reason rf_parse_frame(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	enum rf_reason reason = rf_untag(ctx);
	__u32 linear;

	if (reason)
		return reason;
	reason = rf_parse_headers(ctx, pkt);
	linear = ctx->data_end - ctx->data;
	if (reason == RF_REASON_MALFORMED && linear < ctx->len && linear < RF_PULL) {
		if (bpf_skb_pull_data(ctx, ctx->len < RF_PULL ? ctx->len : RF_PULL))
			return RF_REASON_INTERNAL;
		reason = rf_parse_headers(ctx, pkt);
	}
	if (reason == RF_REASON_FRAGMENT || reason == RF_REASON_EXTENSION_HEADER)
		reason = rf_parse_rare(ctx, pkt);
	if (!reason && !pkt->is_v6 && pkt->l4_offset > RF_L3_OFFSET + sizeof(struct iphdr))
		reason = rf_check_options(ctx, pkt);
	if (!reason && !rf_checksum_in_place(ctx, pkt))
		reason = RF_REASON_CHECKSUM_PLACE;
	return reason;
}

#endif
