/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The length check, and the answer to who sent too much: the kernel would
 * fragment the outer packet or lose it silently.
 */
#ifndef RINGFENCE_TOO_BIG_H
#define RINGFENCE_TOO_BIG_H

#include "checksum.h"
#include "exthdr.h"

#define RF_ICMP_UNREACHABLE 3
#define RF_ICMP_FRAG_NEEDED 4
#define RF_ICMPV6_TOO_BIG 2
#define RF_TTL 64
/* As many as 64 KiB have of the least MTU of IPv4 hosts (RFC 791 3.1). */
#define RF_SEGMENTS 128

/* As much as fits the sizes below which nobody may drop: RFC 1812 4.3.2.3
 * (576 bytes), RFC 4443 2.4 (1280 bytes). Constants, since the verifier wants
 * them; what is too big is longer anyway. */
#define RF_QUOTE4 (576 - sizeof(struct iphdr) - sizeof(struct rf_too_big))
#define RF_QUOTE6 (1280 - sizeof(struct ipv6hdr) - sizeof(struct rf_too_big))

/* ICMP: 16 unused bits, then the MTU (RFC 1191). ICMPv6: the MTU in 32 bits. */
struct rf_too_big {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 mtu;
};

struct rf_too_big4 {
	__u8 align[RF_FRAME_ALIGN];
	struct ethhdr eth;
	struct iphdr ip;
	struct rf_too_big icmp;
};

struct rf_too_big6 {
	__u8 align[RF_FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct rf_too_big icmp;
};

/* The longest segment without headers, of a GSO packet that says of each how long it is;
 * the most there may be, if it has too many to look at. Global, as rf_ask is. */
__noinline int rf_longest_segment(struct __sk_buff *ctx)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx), *segment;
	const __u32 of_shared = bpf_core_type_id_kernel(struct skb_shared_info);
	struct skb_shared_info *shared = bpf_rdonly_cast(skb->head + skb->end, of_shared);
	__u32 longest = 0, length;

	segment = shared->frag_list;
	for (int i = 0; i < RF_SEGMENTS && segment; i++) {
		length = segment->len - segment->data_len;
		if (length > longest)
			longest = length;
		segment = segment->next;
	}
	return segment ? RF_GSO_BY_FRAGS : longest;
}

/* A GSO packet stands for segments, each with a copy of the headers. */
static __always_inline int rf_too_long(struct __sk_buff *ctx, const struct rf_pkt *pkt, __u32 mtu)
{
	__u32 length = pkt->l3_len, segment = ctx->gso_size;

	if (segment == RF_GSO_BY_FRAGS)
		segment = rf_longest_segment(ctx);
	if (ctx->gso_size)
		length = pkt->l4_offset - RF_L3_OFFSET + pkt->l4_header_len + segment;
	return mtu && length > mtu;
}

/*
 * What the quote's checksum will contribute. The checksum field of a
 * CHECKSUM_PARTIAL packet holds the seed S, and the device later puts there the
 * complement of the sum of all from csum_start on: that region, S in it no
 * more, will then sum to ~S. If no device ever does (veth to veth), no receiver
 * checks either.
 *
 * Returns the sum from `start` on as it will be; `sum` is the sum as it is. Global, as
 * rf_ask is.
 */
__noinline __u32 rf_sum_as_sent(struct __sk_buff *ctx, __u32 start, __u32 l4_offset, __u32 sum)
{
	struct rf_left_checksum left;
	__u64 words = 0;
	__be32 word;
	__be16 seed;

	/* Anything else than the checksum of the quoted L4 header is not known. */
	if (!rf_left_checksum(ctx, &left) || left.start != l4_offset ||
	    bpf_skb_load_bytes(ctx, left.place, &seed, sizeof(seed)))
		return sum;
	/* The IP header before it, and its extension headers: whole words, all of them. */
	for (__u32 offset = 0; offset < RF_HEADERS_BYTES; offset += sizeof(word)) {
		if (start + offset >= left.start ||
		    bpf_skb_load_bytes(ctx, start + offset, &word, sizeof(word)))
			break;
		words += word;
	}
	return rf_fold(words) + (__u16)~seed;
}

static __noinline int rf_answer_too_big4(struct __sk_buff *ctx, const struct rf_pkt *pkt, __u32 mtu,
					 __be32 gateway)
{
	const __u32 grow = sizeof(struct iphdr) + sizeof(struct rf_too_big);
	struct rf_too_big4 head = {
		.eth.h_proto = bpf_htons(ETH_P_IP),
		.ip.version = 4,
		.ip.ihl = 5,
		.ip.tot_len = bpf_htons(grow + RF_QUOTE4),
		.ip.ttl = RF_TTL,
		.ip.protocol = IPPROTO_ICMP,
		.ip.saddr = gateway,
		.ip.daddr = rf_ip_v4(&pkt->src),
		.icmp.type = RF_ICMP_UNREACHABLE,
		.icmp.code = RF_ICMP_FRAG_NEEDED,
		.icmp.mtu = bpf_htonl(mtu),
	};
	void *data, *quote;
	__u32 sum;

	if (bpf_skb_change_tail(ctx, ETH_HLEN + RF_QUOTE4, 0) || bpf_skb_change_head(ctx, grow, 0))
		return -1;
	data = (void *)(long)ctx->data;
	quote = data + ETH_HLEN + grow;
	if (quote + RF_QUOTE4 > (void *)(long)ctx->data_end)
		return -1;
	sum = rf_sum_as_sent(ctx, ETH_HLEN + grow, pkt->l4_offset + grow,
			     rf_sum(quote, RF_QUOTE4, 0));
	head.icmp.checksum = ~rf_fold((__u64)rf_sum(&head.icmp, sizeof(head.icmp), 0) + sum);
	head.ip.check = rf_ip4_checksum(&head.ip);
	__builtin_memcpy(head.eth.h_dest, pkt->src_mac, 6);
	__builtin_memcpy(head.eth.h_source, pkt->dst_mac, 6);
	return bpf_skb_store_bytes(ctx, 0, &head.eth, ETH_HLEN + grow, 0);
}

static __noinline int rf_answer_too_big6(struct __sk_buff *ctx, const struct rf_pkt *pkt, __u32 mtu,
					 const struct rf_ip *gateway)
{
	const __u32 grow = sizeof(struct ipv6hdr) + sizeof(struct rf_too_big);
	struct rf_too_big6 head = {
		.eth.h_proto = bpf_htons(ETH_P_IPV6),
		.ip.version = 6,
		.ip.payload_len = bpf_htons(sizeof(struct rf_too_big) + RF_QUOTE6),
		.ip.nexthdr = RF_IPPROTO_ICMPV6,
		.ip.hop_limit = RF_TTL,
		.icmp.type = RF_ICMPV6_TOO_BIG,
		.icmp.mtu = bpf_htonl(mtu),
	};
	void *data, *quote;
	__u32 sum;

	if (bpf_skb_change_tail(ctx, ETH_HLEN + RF_QUOTE6, 0) || bpf_skb_change_head(ctx, grow, 0))
		return -1;
	data = (void *)(long)ctx->data;
	quote = data + ETH_HLEN + grow;
	if (quote + RF_QUOTE6 > (void *)(long)ctx->data_end)
		return -1;
	sum = rf_sum_as_sent(ctx, ETH_HLEN + grow, pkt->l4_offset + grow,
			     rf_sum(quote, RF_QUOTE6, 0));
	__builtin_memcpy(&head.ip.saddr, gateway, sizeof(*gateway));
	__builtin_memcpy(&head.ip.daddr, &pkt->src, sizeof(pkt->src));
	head.icmp.checksum = rf_icmp6_checksum(&head.ip, &head.icmp, sizeof(head.icmp), sum);
	__builtin_memcpy(head.eth.h_dest, pkt->src_mac, 6);
	__builtin_memcpy(head.eth.h_source, pkt->dst_mac, 6);
	return bpf_skb_store_bytes(ctx, 0, &head.eth, ETH_HLEN + grow, 0);
}

/*
 * Drops a packet that is too long for the path, and tells its sender, as the
 * gateway of network `vni`, if the sender is behind this very device: a host
 * checks before it sends by the overlay, so nobody there has to be told. Of a packet
 * in fragments it is told once, by the first (RFC 1122 3.2.2).
 */
static __noinline int rf_too_big(struct __sk_buff *ctx, const struct rf_pkt *pkt, __u32 mtu,
				 __u32 vni)
{
	struct rf_vni *network = bpf_map_lookup_elem(&rf_vnis, &vni);
	__u32 shortest = pkt->is_v6 ? RF_QUOTE6 : RF_QUOTE4;
	int unanswered = -1;

	if (network && pkt->from != RF_DEVICE_OVERLAY && pkt->fragment != RF_FRAGMENT_LATER &&
	    pkt->l3_len >= shortest) {
		if (pkt->is_v6 && !rf_ip_is_zero(&network->gateway6))
			unanswered = rf_answer_too_big6(ctx, pkt, mtu, &network->gateway6);
		else if (!pkt->is_v6 && network->gateway4)
			unanswered = rf_answer_too_big4(ctx, pkt, mtu, network->gateway4);
	}
	return unanswered ? rf_drop(ctx, RF_REASON_TOO_BIG) : rf_drop_told(ctx, RF_REASON_TOO_BIG);
}

#endif
