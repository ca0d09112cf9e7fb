/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* A gateway answers echo, so that a workload can tell it is there, and nothing else. */
#ifndef RINGFENCE_ECHO_H
#define RINGFENCE_ECHO_H

#include "checksum.h"

#define RF_ICMP_CHECKSUM_OFFSET 2

static __always_inline int rf_swap_macs(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct {
		__u8 dst[6];
		__u8 src[6];
	} macs;

	__builtin_memcpy(macs.dst, pkt->src_mac, 6);
	__builtin_memcpy(macs.src, pkt->dst_mac, 6);
	return bpf_skb_store_bytes(ctx, 0, &macs, sizeof(macs), 0);
}

/* Turning the addresses round changes no checksum, so only the type does. */
static __always_inline int rf_swap_ips(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct {
		struct rf_ip src;
		struct rf_ip dst;
	} v6 = {pkt->dst, pkt->src};
	struct {
		__be32 src;
		__be32 dst;
	} v4 = {rf_ip_v4(&pkt->dst), rf_ip_v4(&pkt->src)};

	if (pkt->is_v6)
		return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct ipv6hdr, saddr), &v6,
					   sizeof(v6), BPF_F_RECOMPUTE_CSUM);
	return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct iphdr, saddr), &v4,
				   sizeof(v4), BPF_F_RECOMPUTE_CSUM);
}

static __noinline int rf_answer_echo(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	/* Type and code as one 16-bit word of the checksum. */
	__be16 request = bpf_htons(pkt->number);
	__be16 reply = bpf_htons(pkt->is_v6 ? 129 << 8 : 0);
	__u32 type = pkt->l4_offset;

	/* Nothing is put together here, and no extension header is answered. */
	if (pkt->icmp_role != RF_ICMP_REQUEST || pkt->fragment || rf_has_extensions(pkt))
		return rf_drop(ctx, RF_REASON_GATEWAY_SERVICE);
	/* As with a TTL, the message's checksum makes up for its type. */
	if (rf_swap_macs(ctx, pkt) || rf_swap_ips(ctx, pkt) ||
	    bpf_l4_csum_replace(ctx, type + RF_ICMP_CHECKSUM_OFFSET, request, reply,
				sizeof(reply)) ||
	    bpf_skb_store_bytes(ctx, type, &reply, sizeof(reply), 0))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

#endif
