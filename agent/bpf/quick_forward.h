/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The last step of quick.h and first.h: as forward.h, to an interface's own address. */
#ifndef RINGFENCE_QUICK_FORWARD_H
#define RINGFENCE_QUICK_FORWARD_H

#include "forward.h"
#include "quick_parse.h"

/* No program returns it. */
#define RF_LONG_WAY (-2)

/* The gateways' MAC as halves, as they stand in a frame. */
static __always_inline void rf_quick_gateway(__u16 *mac)
{
	for (int i = 0; i < 3; i++)
		mac[i] = bpf_htons(rf_config.gateway_mac[2 * i] << 8 |
				   rf_config.gateway_mac[2 * i + 1]);
}

/* What a router does, in one call for IPv4: a checksum of the whole does not change
 * with a TTL that its header's checksum makes up for. */
static __always_inline int rf_quick_rewrite(struct __sk_buff *ctx, const struct rf_quick *q,
					    const __u8 *mac, int is_v6)
{
	void *data = (void *)(long)ctx->data;
	__u8 ttl = q->ttl - 1;
	struct {
		__u16 macs[6];
		__be16 eth_proto;
		__u16 ip[6]; /* to the checksum */
	} head;
	const __u16 *from = data + 2 * ETH_ALEN, *to = (const void *)mac;
	__u32 sum;

	if (data + sizeof(head) > (void *)(long)ctx->data_end)
		return -1;
	for (int i = 0; i < 3; i++)
		head.macs[i] = to[i];
	rf_quick_gateway(head.macs + 3);
	if (is_v6)
		return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct ipv6hdr, hop_limit),
					   &ttl, sizeof(ttl), BPF_F_RECOMPUTE_CSUM) ||
		       bpf_skb_store_bytes(ctx, 0, head.macs, sizeof(head.macs), 0);
	head.eth_proto = from[0];
	for (int i = 0; i < 6; i++)
		head.ip[i] = from[1 + i];
	/* RFC 1624: TTL is the high byte of its word. */
	sum = head.ip[5] + bpf_htons(0x0100);
	head.ip[5] = sum + (sum >= 0xffff);
	head.ip[4] -= bpf_htons(0x0100);
	return bpf_skb_store_bytes(ctx, 0, &head, sizeof(head), 0);
}

/*
 * To an interface of the domain; `vni` is that of the network that the frame is in.
 * flow->left says whether it is on its way, as of rf_forward.
 */
static __always_inline int rf_quick_forward(struct __sk_buff *ctx, const struct rf_iface *to,
					    __u32 domain_id, __u32 vni, int from_workload,
					    struct rf_flow *flow, const struct rf_quick *q)
{
	__u32 length = ctx->gso_size ? q->headers + ctx->gso_size : q->l3_len;
	void *data = (void *)(long)ctx->data;
	__u16 gateway[3];

	if (to->domain_id != domain_id || to->flags & RF_IFACE_BARE_METAL || length > to->mtu ||
	    data + ETH_HLEN > (void *)(long)ctx->data_end)
		return RF_LONG_WAY;
	if (!rf_quick_same_mac(data, to->mac) || to->vni != vni) {
		rf_quick_gateway(gateway);
		if (!from_workload || !rf_quick_same_mac(data, gateway) || q->ttl <= 1)
			return RF_LONG_WAY;
		if (rf_quick_rewrite(ctx, q, to->mac, flow->tuple.is_v6))
			return rf_drop(ctx, RF_REASON_INTERNAL);
	}
	if (to->host == RF_HOST_HERE)
		return rf_to_local(ctx, to->ifindex, flow);
	return from_workload ? rf_to_overlay(ctx, to->host, to->vni, flow) : RF_LONG_WAY;
}

/* As rf_conn_advance, of a packet that changes no state. */
static __always_inline void rf_quick_advance(struct rf_conn *conn, __u32 side,
					     const struct rf_quick *q, __u64 now)
{
	conn->seen_ns = now;
	if (side) {
		conn->packets[1] += 1;
		conn->bytes[1] += q->l3_len;
		conn->tcp_flags[1] |= q->tcp_flags;
	} else {
		conn->packets[0] += 1;
		conn->bytes[0] += q->l3_len;
		conn->tcp_flags[0] |= q->tcp_flags;
	}
}

/* Whether a frame of an interface comes from where it runs; of IPv4 underlays. */
static __always_inline int rf_quick_outer_is(__u32 index, __be32 outer)
{
	struct rf_iface *from = bpf_map_lookup_elem(&rf_ifaces, &index);
	struct rf_host *host;

	/* A machine's come from the uplink's host. */
	if (!from || from->host == RF_HOST_HERE || from->flags & RF_IFACE_BARE_METAL)
		return 0;
	index = from->host;
	host = bpf_map_lookup_elem(&rf_hosts, &index);
	return host && outer && host->v4 == outer;
}

#endif
