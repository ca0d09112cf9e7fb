/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The checksum that a sender leaves to the device (CHECKSUM_PARTIAL). A guest
 * names the place itself, in its virtio header, and the first device without
 * the offload writes there: after the verdict.
 */
#ifndef RINGFENCE_OFFLOAD_H
#define RINGFENCE_OFFLOAD_H

#include "kernel.h"
#include "packet.h"

/* Offsets from the Ethernet header on. */
struct rf_left_checksum {
	__u32 start; /* of what is summed */
	__u32 place; /* of the result */
};

/* Whether a checksum was left to the device, and which. */
static __always_inline int rf_left_checksum(struct __sk_buff *ctx, struct rf_left_checksum *left)
{
	struct sk_buff *skb = bpf_cast_to_kern_ctx(ctx);

	if (BPF_CORE_READ_BITFIELD(skb, ip_summed) != RF_CHECKSUM_PARTIAL)
		return 0;
	left->start = skb->csum_start - (__u32)((__u64)skb->data - (__u64)skb->head);
	left->place = left->start + skb->csum_offset;
	return 1;
}

/* Where a header has its checksum; 0: it has none that we know. */
static __always_inline __u32 rf_checksum_field(__u8 l4_proto)
{
	switch (l4_proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case RF_IPPROTO_SCTP:
		return 8;
	case IPPROTO_ICMP:
	case RF_IPPROTO_ICMPV6:
		return 2;
	}
	return 0;
}

/* Whether what the device will write changes nothing that is judged: it is the
 * checksum of the packet's own L4 header, or in what that carries, as in the
 * tunnels of a workload's own. */
static __noinline int rf_checksum_in_place(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u32 field = rf_checksum_field(pkt->l4_proto);
	__u32 payload = pkt->l4_offset + pkt->l4_header_len;
	struct rf_left_checksum left;

	if (!rf_left_checksum(ctx, &left))
		return 1;
	/* Who fragments has finished it, since it is in the first and over all. */
	if (pkt->fragment)
		return 0;
	/* ARP has none, and what is answered here has its own by then. */
	if (pkt->eth_proto == ETH_P_ARP || rf_is_nd(pkt))
		return 0;
	/* What an ICMP error quotes is judged, too. */
	if (field && (left.start == pkt->l4_offset || pkt->icmp_role == RF_ICMP_ERROR))
		return left.start == pkt->l4_offset && left.place == left.start + field;
	return left.start >= payload && left.place >= left.start;
}

#endif
