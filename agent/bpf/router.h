/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Router discovery (RFC 4861 6): the gateway answers solicitations; nobody else may
 * speak as a router. */
#ifndef RINGFENCE_ROUTER_H
#define RINGFENCE_ROUTER_H

#include "service.h"

#define RF_ND_ROUTER_SOLICITATION 133
#define RF_ND_ROUTER_ADVERTISEMENT 134
#define RF_ND_REDIRECT 137

/* Where the frame of the agent has its checksum. */
#define RF_ROUTER_ICMP_OFFSET (RF_L3_OFFSET + sizeof(struct ipv6hdr))

/* Whether only a router says such a thing. */
static __always_inline int rf_is_routers(const struct rf_pkt *pkt)
{
	return pkt->icmp_type == RF_ND_ROUTER_ADVERTISEMENT || pkt->icmp_type == RF_ND_REDIRECT;
}

static __always_inline void rf_all_nodes(struct rf_ip *ip, __u8 *mac)
{
	__u32 *words = (void *)ip;

	words[0] = bpf_htonl(0xff020000);
	words[1] = words[2] = 0;
	words[3] = bpf_htonl(1);
	mac[0] = mac[1] = 0x33;
	mac[2] = mac[3] = mac[4] = 0;
	mac[5] = 1;
}

/* Who has no address yet is told through all-nodes (RFC 4861 6.2.6). */
static __noinline int rf_answer_router_solicitation(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_reply *reply = rf_find_reply(pkt, RF_SERVICE_ROUTER);
	struct rf_ip to = pkt->src;
	__be16 checksum;
	__u8 mac[6];

	if (pkt->number & 0xff)
		return rf_drop(ctx, RF_REASON_MALFORMED);
	if (!reply)
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);
	__builtin_memcpy(mac, pkt->src_mac, 6);
	if (rf_ip_is_zero(&to))
		rf_all_nodes(&to, mac);
	checksum = ~rf_fold((__u64)reply->sum + rf_sum(&to, sizeof(to), 0));
	if (rf_put_reply(ctx, reply, 0) || bpf_skb_store_bytes(ctx, 0, mac, sizeof(mac), 0) ||
	    bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct ipv6hdr, daddr), &to,
				sizeof(to), 0) ||
	    bpf_skb_store_bytes(ctx, RF_ROUTER_ICMP_OFFSET + 2, &checksum, sizeof(checksum), 0))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

#endif
