/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Address services answer a workload with a frame that the agent wrote beforehand,
 * so that they go on when it is dead: the program fills in what the question
 * decides, and checksums by adding that to the sum of the rest.
 */
#ifndef RINGFENCE_SERVICE_H
#define RINGFENCE_SERVICE_H

#include "checksum.h"

#define RF_UDP_CHECKSUM_OFFSET 6

/* What a service answers the interface that asks; NULL: its network has none. */
static __always_inline struct rf_reply *rf_find_reply(const struct rf_pkt *pkt,
						      enum rf_service service)
{
	struct rf_service_key key = {.iface_id = pkt->iface_id, .service = service};

	return bpf_map_lookup_elem(&rf_services, &key);
}

/* Puts the frame in the place of the packet, with room for some bytes behind it. */
static __noinline int rf_put_reply(struct __sk_buff *ctx, const struct rf_reply *reply, __u32 room)
{
	__u32 len = reply->len;

	if (len < ETH_HLEN || len > RF_REPLY_MAX || bpf_skb_change_tail(ctx, len + room, 0))
		return -1;
	return bpf_skb_store_bytes(ctx, 0, reply->frame, len, BPF_F_RECOMPUTE_CSUM);
}

/*
 * The UDP checksum of a reply, given the sum of all that it covers and that of the
 * pseudo-header alone. Where the question's was left to the device, this one is,
 * too: its field then holds the latter.
 */
static __always_inline __be16 rf_reply_checksum(struct __sk_buff *ctx, __u64 sum, __u64 pseudo)
{
	struct rf_left_checksum left;
	__be16 checksum = ~rf_fold(sum);

	if (rf_left_checksum(ctx, &left))
		return rf_fold(pseudo);
	/* Zero would say that there is none (RFC 768). */
	return checksum ? checksum : 0xffff;
}

#endif
