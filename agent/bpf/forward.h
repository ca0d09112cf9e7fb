/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The last step of a packet that may pass: to a device of this host, by the
 * overlay to the host of its destination, or out of the domain's uplink.
 *
 * One logical router a domain: who sends to the gateway's MAC is routed, on the
 * host where the packet enters, so a frame in the overlay has its final MACs
 * and nobody touches its TTL again.
 */
#ifndef RINGFENCE_FORWARD_H
#define RINGFENCE_FORWARD_H

#include "flow.h"
#include "too_big.h"

#define RF_OUTER_TTL 64
#ifndef BPF_F_DONT_FRAGMENT
#define BPF_F_DONT_FRAGMENT (1ULL << 2)
#endif

static __always_inline int rf_to_gateway(const struct rf_pkt *pkt)
{
	__u8 mac[6];

	for (int i = 0; i < 6; i++)
		mac[i] = rf_config.gateway_mac[i];
	return rf_mac_equal(pkt->dst_mac, mac);
}

static __always_inline int rf_decrement_ttl(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__be16 before = bpf_htons(pkt->ttl << 8 | pkt->l4_proto);
	__be16 after = bpf_htons((pkt->ttl - 1) << 8 | pkt->l4_proto);
	__u8 ttl = pkt->ttl - 1;

	if (pkt->is_v6)
		return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct ipv6hdr, hop_limit),
					   &ttl, sizeof(ttl), BPF_F_RECOMPUTE_CSUM);
	if (bpf_l3_csum_replace(ctx, RF_L3_OFFSET + offsetof(struct iphdr, check), before, after,
				sizeof(after)))
		return -1;
	/* The header's checksum makes up for it, so a checksum of the whole, which a NIC may
	 * have computed, stays as it is. */
	return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct iphdr, ttl), &ttl,
				   sizeof(ttl), 0);
}

/* What a router does: TTL less one, its own MAC as the source, `mac` as the
 * destination. */
static __noinline enum rf_reason rf_rewrite(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					    const __u8 *mac)
{
	__u8 macs[12];

	for (int i = 0; i < 6; i++) {
		macs[i] = mac[i];
		macs[6 + i] = rf_config.gateway_mac[i];
	}
	if (rf_decrement_ttl(ctx, pkt) || bpf_skb_store_bytes(ctx, 0, macs, sizeof(macs), 0))
		return RF_REASON_INTERNAL;
	return RF_REASON_NONE;
}

/* Nothing stands in its way any more. */
static __always_inline void rf_leaves(struct rf_flow *flow, struct rf_decision decision)
{
	flow->left = 1;
	rf_record(decision, &flow->j);
}

/* Says by what tunnel the packet leaves, once it goes to the overlay's device. */
static __noinline enum rf_reason rf_set_tunnel(struct __sk_buff *ctx, __u32 index, __u32 vni)
{
	struct bpf_tunnel_key key = {.tunnel_id = vni, .tunnel_ttl = RF_OUTER_TTL};
	/* The inner packet has its checksum; IPv6 must have the outer one, too. */
	__u64 flags = BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT;
	__u32 here = RF_HOST_HERE;
	struct rf_host *host = bpf_map_lookup_elem(&rf_hosts, &index);
	struct rf_host *local = bpf_map_lookup_elem(&rf_hosts, &here);

	if (!host || !local)
		return RF_REASON_NO_HOST;
	/* Our own address is named, since the other side knows us by it. */
	if (host->flags & RF_HOST_V6) {
		if (rf_ip_is_zero(&host->v6) || rf_ip_is_zero(&local->v6))
			return RF_REASON_NO_HOST;
		flags = BPF_F_TUNINFO_IPV6 | BPF_F_DONT_FRAGMENT;
		__builtin_memcpy(key.remote_ipv6, &host->v6, sizeof(host->v6));
		__builtin_memcpy(key.local_ipv6, &local->v6, sizeof(local->v6));
	} else {
		if (!host->v4 || !local->v4)
			return RF_REASON_NO_HOST;
		key.remote_ipv4 = bpf_ntohl(host->v4);
		key.local_ipv4 = bpf_ntohl(local->v4);
	}
	if (!rf_config.overlay_ifindex)
		return RF_REASON_NO_DEVICE;
	return bpf_skb_set_tunnel_key(ctx, &key, sizeof(key), flags) ? RF_REASON_INTERNAL
								     : RF_REASON_NONE;
}

static __noinline int rf_to_overlay(struct __sk_buff *ctx, __u32 index, __u32 vni,
				    struct rf_flow *flow)
{
	enum rf_reason reason = rf_set_tunnel(ctx, index, vni);

	if (reason)
		return rf_drop(ctx, reason);
	rf_leaves(flow, (struct rf_decision){.action = RF_ACTION_OVERLAY,
					     .ifindex = rf_config.overlay_ifindex,
					     .vni = vni,
					     .remote_host = index});
	return bpf_redirect(rf_config.overlay_ifindex, 0);
}

static __always_inline int rf_to_local(struct __sk_buff *ctx, __u32 ifindex, struct rf_flow *flow)
{
	if (!ifindex)
		return rf_drop(ctx, RF_REASON_NO_DEVICE);
	rf_leaves(flow, (struct rf_decision){.action = RF_ACTION_LOCAL, .ifindex = ifindex});
	ctx->mark = rf_config.mark;
	return bpf_redirect(ifindex, 0);
}

/* No TC_ACT_*: the way there is the domain's uplink. */
#define RF_BY_UPLINK (-2)

/* To the interface that the destination address leads to, or RF_BY_UPLINK: the overlay
 * does not reach it. Global, as rf_ask is. */
__noinline int rf_forward_iface(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				const struct rf_end *end, struct rf_flow *flow)
{
	enum rf_reason reason;
	struct rf_iface *to;
	__u8 mac[6];
	__u32 index;
	int routed;

	if (!pkt || !end || !flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	index = end->iface;
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	routed = pkt->from == RF_DEVICE_UPLINK;
	if (!to || to->domain_id != pkt->domain_id)
		return rf_drop(ctx, RF_REASON_NO_ROUTE);
	if (to->flags & RF_IFACE_BARE_METAL)
		return RF_BY_UPLINK;
	if (pkt->from == RF_DEVICE_WORKLOAD)
		routed = rf_to_gateway(pkt);
	if (pkt->from == RF_DEVICE_OVERLAY) {
		if (to->host != RF_HOST_HERE)
			return rf_drop(ctx, RF_REASON_NO_ROUTE);
		if (to->vni != pkt->vni)
			return rf_drop(ctx, RF_REASON_WRONG_VNI);
	}
	if (rf_end_mac(pkt->domain_id, &pkt->dst, end, to, mac))
		return rf_drop(ctx, RF_REASON_NO_ROUTE);
	if (!routed && (to->vni != pkt->vni || !rf_mac_equal(pkt->dst_mac, mac)))
		return rf_drop(ctx, RF_REASON_DESTINATION_MAC);
	if (routed && pkt->ttl <= 1)
		return rf_drop(ctx, RF_REASON_TTL_EXPIRED);
	if (rf_too_long(ctx, pkt, to->mtu))
		return rf_too_big(ctx, pkt, to->mtu, pkt->iface ? pkt->vni : to->vni);
	if (routed) {
		reason = rf_rewrite(ctx, pkt, mac);
		if (reason)
			return rf_drop(ctx, reason);
	}
	if (to->host == RF_HOST_HERE)
		return rf_to_local(ctx, to->ifindex, flow);
	return rf_to_overlay(ctx, to->host, to->vni, flow);
}

static __noinline int rf_to_uplink(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				   const struct rf_domain *domain, struct rf_flow *flow)
{
	struct bpf_redir_neigh next = {};

	if (pkt->is_v6) {
		next.nh_family = RF_AF_INET6;
		__builtin_memcpy(next.ipv6_nh, &domain->next_hop6, sizeof(domain->next_hop6));
		if (rf_ip_is_zero(&domain->next_hop6))
			return rf_drop(ctx, RF_REASON_NO_ROUTE);
	} else {
		next.nh_family = RF_AF_INET;
		next.ipv4_nh = domain->next_hop4;
		if (!domain->next_hop4)
			return rf_drop(ctx, RF_REASON_NO_ROUTE);
	}
	if (!domain->uplink_ifindex)
		return rf_drop(ctx, RF_REASON_NO_DEVICE);
	rf_leaves(flow, (struct rf_decision){.action = RF_ACTION_UPLINK,
					     .ifindex = domain->uplink_ifindex});
	ctx->mark = rf_config.mark;
	return bpf_redirect_neigh(domain->uplink_ifindex, &next, sizeof(next), 0);
}

/* Out of the domain's uplink, to an address or a machine beyond it. Global, as rf_ask is. */
__noinline int rf_forward_outside(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				  struct rf_flow *flow)
{
	struct rf_domain *domain;
	enum rf_reason reason;
	__u8 gateway_mac[6];
	__u32 index;
	int here;

	if (!pkt || !flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	index = pkt->domain;
	domain = bpf_map_lookup_elem(&rf_domains, &index);
	if (!domain || domain->uplink_host == RF_HOST_NONE || pkt->from == RF_DEVICE_UPLINK)
		return rf_drop(ctx, RF_REASON_NO_ROUTE);
	here = domain->uplink_host == RF_HOST_HERE;
	if (!rf_to_gateway(pkt))
		return rf_drop(ctx, RF_REASON_DESTINATION_MAC);
	if (pkt->from == RF_DEVICE_OVERLAY) {
		if (pkt->vni != domain->transit_vni)
			return rf_drop(ctx, RF_REASON_WRONG_VNI);
		if (!here)
			return rf_drop(ctx, RF_REASON_NO_ROUTE);
		return rf_to_uplink(ctx, pkt, domain, flow);
	}
	if (pkt->ttl <= 1)
		return rf_drop(ctx, RF_REASON_TTL_EXPIRED);
	if (rf_too_long(ctx, pkt, domain->uplink_mtu))
		return rf_too_big(ctx, pkt, domain->uplink_mtu, pkt->vni);
	for (int i = 0; i < 6; i++)
		gateway_mac[i] = rf_config.gateway_mac[i];
	reason = rf_rewrite(ctx, pkt, gateway_mac);
	if (reason)
		return rf_drop(ctx, reason);
	if (here)
		return rf_to_uplink(ctx, pkt, domain, flow);
	return rf_to_overlay(ctx, domain->uplink_host, domain->transit_vni, flow);
}

/* From a workload to the stack of this host, by the device it came in by. */
static __noinline int rf_to_stack(struct __sk_buff *ctx, struct rf_flow *flow)
{
	/* What answers the host's stack may have gone to the gateway's MAC. */
	if (bpf_skb_change_type(ctx, RF_PACKET_HOST))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	rf_leaves(flow, (struct rf_decision){.action = RF_ACTION_STACK, .ifindex = ctx->ifindex});
	/* Where nothing reads it, it would be in the way of the host's own marks. */
	ctx->mark = rf_config.guard ? rf_stack_mark() : 0;
	return RF_NEXT;
}

/* To one end. flow->left says whether the packet is on its way then; if so, the
 * result is what the program must return to let it go. */
static __always_inline int rf_forward(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				      const struct rf_end *end, struct rf_flow *flow)
{
	int action = RF_BY_UPLINK;

	if (end->whose == RF_WHOSE_HOST)
		return pkt->from == RF_DEVICE_WORKLOAD ? rf_to_stack(ctx, flow)
						       : rf_drop(ctx, RF_REASON_NO_ROUTE);
	if (end->iface)
		action = rf_forward_iface(ctx, pkt, end, flow);
	return action == RF_BY_UPLINK ? rf_forward_outside(ctx, pkt, flow) : action;
}

#endif
