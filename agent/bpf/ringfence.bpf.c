// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The programs. Each is one way in or out of a host: it finds out whose packet
 * it is, checks what only this way can tell, and hands over to decide.h.
 */
#include <linux/bpf.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "maps.h"

#include "arp_nd.h"
#include "decide.h"
#include "dhcp4.h"
#include "dhcp6.h"
#include "frag.h"
#include "nic.h"
#include "quick.h"
#include "replicate.h"
#include "sweep.h"
#include "shared.h"
#include "unjudged.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int rf_is_group(const __u8 *mac)
{
	return mac[0] & 1;
}

/* Link-local traffic stays on a link, and every workload is on one of its own. */
static __always_inline enum rf_reason rf_check_scope(const struct rf_pkt *pkt)
{
	if (rf_is_group(pkt->dst_mac) || rf_not_unicast(&pkt->dst, pkt->is_v6))
		return RF_REASON_MULTICAST;
	if (pkt->is_v6 && (rf_link_local(&pkt->src) || rf_link_local(&pkt->dst)))
		return RF_REASON_LINK_LOCAL;
	return RF_REASON_NONE;
}

/* Whether it reaches clients as a DHCP server does: by their port. */
static __always_inline int rf_serves_dhcp(const struct rf_pkt *pkt)
{
	__u16 client = pkt->is_v6 ? RF_DHCP6_CLIENT_PORT : RF_DHCP4_CLIENT_PORT;

	return pkt->l4_proto == IPPROTO_UDP && pkt->dport == bpf_htons(client);
}

/* Whose the device is; NULL: nobody's that is known. */
static __always_inline struct rf_iface *rf_find_workload(const struct rf_device *device)
{
	__u32 index = device->ref;
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);

	return index && iface && iface->id ? iface : NULL;
}

/* Says so in the packet. */
static __always_inline void rf_begin_workload(struct rf_pkt *pkt, const struct rf_device *device,
					      const struct rf_iface *iface)
{
	pkt->counter = device->counter;
	pkt->iface = device->ref;
	pkt->iface_id = iface->id;
	pkt->iface_flags = iface->flags;
	pkt->domain = iface->domain;
	pkt->domain_id = iface->domain_id;
	pkt->vni = iface->vni;
}

/* Ingress of a workload's device. */
SEC("tcx/ingress")
int from_workload(struct __sk_buff *ctx)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	struct rf_iface *iface;
	enum rf_reason reason;
	struct rf_pkt *pkt;
	int action, guarded;

	if (!device || device->kind != RF_DEVICE_WORKLOAD)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	iface = rf_find_workload(device);
	if (!iface)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	action = rf_config.verdict_off ? rf_unjudged_from_workload(ctx, device, iface)
				       : rf_quick_from_workload(ctx, device, iface);
	if (action != RF_LONG_WAY)
		return action;
	pkt = rf_pkt_begin(RF_DEVICE_WORKLOAD);
	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	rf_begin_workload(pkt, device, iface);

	reason = rf_parse(ctx, pkt);
	if (reason)
		return rf_drop(ctx, reason);
	if (pkt->eth_proto == ETH_P_ARP || rf_is_nd(pkt)) {
		action = rf_hear(ctx, pkt);
		if (action >= 0)
			return action;
	}
	if (pkt->eth_proto == ETH_P_ARP)
		return rf_answer_arp(ctx, pkt, iface);
	if (!rf_may_use_mac(pkt, iface, &pkt->src, pkt->src_mac))
		return rf_drop(ctx, RF_REASON_SOURCE_MAC);
	/* Without port security it may serve its network, as in OpenStack. */
	guarded = !(iface->flags & RF_IFACE_NO_PORT_SECURITY);
	if (rf_is_nd(pkt) && (guarded || !rf_is_routers(pkt)))
		return rf_answer_nd(ctx, pkt);
	if (guarded && rf_serves_dhcp(pkt))
		return rf_drop(ctx, RF_REASON_DHCP_SERVER);
	if (rf_asks_dhcp4(pkt))
		return rf_answer_dhcp4(ctx, pkt);
	if (rf_asks_dhcp6(pkt))
		return rf_answer_dhcp6(ctx, pkt);
	reason = rf_check_scope(pkt);
	if (reason == RF_REASON_MULTICAST)
		return rf_replicate(ctx, pkt);
	if (reason)
		return rf_drop(ctx, reason);
	pkt->to_host = ctx->pkt_type == RF_PACKET_HOST && !rf_to_gateway(pkt);
	return rf_decide(ctx, pkt);
}

/* Gives a packet of a test run, which never was in a tunnel, the one that its cb says. To
 * the kernel it is one to send by, so who sent is the local address. */
static __noinline void rf_give_tunnel(struct __sk_buff *ctx)
{
	struct bpf_tunnel_key key = {.tunnel_id = ctx->cb[0]};
	struct rf_ip from;
	__be32 *words = (void *)&from;

	for (int i = 0; i < 4; i++)
		words[i] = ctx->cb[1 + i];
	if (rf_is_mapped4(&from)) {
		key.local_ipv4 = bpf_ntohl(rf_ip_v4(&from));
		bpf_skb_set_tunnel_key(ctx, &key, sizeof(key), 0);
	} else {
		__builtin_memcpy(key.local_ipv6, &from, sizeof(from));
		bpf_skb_set_tunnel_key(ctx, &key, sizeof(key), BPF_F_TUNINFO_IPV6);
	}
}

/* Who sent the frame, and what VNI it bears. */
static __noinline int rf_tunnel(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	struct bpf_tunnel_key key = {};

	pkt->outer_family = RF_AF_INET;
	if (bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), 0)) {
		/* The other family is refused unless it is asked for. */
		pkt->outer_family = RF_AF_INET6;
		if (bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
			return -1;
		__builtin_memcpy(&pkt->outer, key.remote_ipv6, sizeof(pkt->outer));
	} else {
		rf_ip_map4(&pkt->outer, bpf_htonl(key.remote_ipv4));
	}
	pkt->vni = key.tunnel_id;
	return 0;
}

/* Ingress of the VXLAN device. */
SEC("tcx/ingress")
int from_overlay(struct __sk_buff *ctx)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	enum rf_reason reason;
	struct rf_pkt *pkt;
	struct rf_vni *vni;
	int action;

	if (!device || device->kind != RF_DEVICE_OVERLAY)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	if (rf_config.tunnel_in_cb)
		rf_give_tunnel(ctx);
	action = rf_config.verdict_off ? rf_unjudged_from_overlay(ctx, device)
				       : rf_quick_from_overlay(ctx, device);
	if (action != RF_LONG_WAY)
		return action;
	pkt = rf_pkt_begin(RF_DEVICE_OVERLAY);
	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	vni = rf_tunnel(ctx, pkt) ? NULL : bpf_map_lookup_elem(&rf_vnis, &pkt->vni);
	if (!vni)
		return rf_drop(ctx, RF_REASON_UNKNOWN_VNI);
	pkt->counter = device->counter;
	pkt->domain = vni->domain;
	pkt->domain_id = vni->domain_id;

	reason = rf_parse(ctx, pkt);
	/* Every host answers these itself, but for what is about shared addresses. */
	if (!reason && (pkt->eth_proto == ETH_P_ARP || rf_is_nd(pkt))) {
		action = rf_hear(ctx, pkt);
		if (action >= 0)
			return action;
		reason = RF_REASON_UNANSWERED_NEIGHBOUR;
	}
	if (!reason)
		reason = rf_check_scope(pkt);
	if (reason == RF_REASON_MULTICAST)
		return rf_replicate(ctx, pkt);
	if (reason)
		return rf_drop(ctx, reason);
	return rf_decide(ctx, pkt);
}

/* Neighbour discovery between the host and its next hops, by its stack. */
static __always_inline int rf_is_neighbour(const struct rf_pkt *pkt)
{
	return pkt->eth_proto == ETH_P_ARP ||
	       (rf_is_nd(pkt) && pkt->ttl == RF_ND_HOP_LIMIT &&
		(pkt->icmp_type == RF_ND_SOLICITATION || pkt->icmp_type == RF_ND_ADVERTISEMENT));
}

/* Ingress of an uplink. */
SEC("tcx/ingress")
int from_uplink(struct __sk_buff *ctx)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	struct rf_pkt *pkt = rf_pkt_begin(RF_DEVICE_UPLINK);
	struct rf_domain *domain;
	enum rf_reason reason;
	__u32 index;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	if (!device || device->kind != RF_DEVICE_UPLINK)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	index = device->ref;
	domain = bpf_map_lookup_elem(&rf_domains, &index);
	if (!domain || !domain->id)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	pkt->counter = device->counter;
	pkt->domain = index;
	pkt->domain_id = domain->id;

	reason = rf_parse(ctx, pkt);
	if (!reason && rf_is_neighbour(pkt)) {
		rf_count_from(pkt->counter);
		rf_record((struct rf_decision){.action = RF_ACTION_STACK}, NULL);
		return RF_NEXT;
	}
	if (!reason && rf_is_nd(pkt))
		reason = RF_REASON_UNANSWERED_NEIGHBOUR;
	if (!reason)
		reason = rf_check_scope(pkt);
	if (!reason && ctx->pkt_type != RF_PACKET_HOST)
		reason = RF_REASON_DESTINATION_MAC;
	if (reason)
		return rf_drop(ctx, reason);
	return rf_decide(ctx, pkt);
}

/* Egress of a workload's device: what a program admitted, of the host's own packets
 * what policy allows, and its ARP for the workload. It has no IPv6 on such a device. */
SEC("tcx/egress")
int to_workload(struct __sk_buff *ctx)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	struct rf_iface *iface;
	struct rf_pkt *pkt;

	if (!device || device->kind != RF_DEVICE_WORKLOAD)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	if (ctx->mark == rf_config.mark)
		return rf_deliver(ctx, device->counter, NULL);
	iface = rf_find_workload(device);
	pkt = rf_pkt_begin(RF_DEVICE_HOST);
	if (!pkt || !iface)
		return rf_drop(ctx, RF_REASON_FROM_HOST);
	rf_begin_workload(pkt, device, iface);
	if (rf_parse(ctx, pkt))
		return rf_drop(ctx, RF_REASON_FROM_HOST);
	if (pkt->eth_proto == ETH_P_ARP)
		return rf_admit_arp_of_host(ctx, pkt) ? rf_deliver(ctx, pkt->counter, NULL)
						      : rf_drop(ctx, RF_REASON_FROM_HOST);
	if (rf_is_nd(pkt) || rf_check_scope(pkt))
		return rf_drop(ctx, RF_REASON_FROM_HOST);
	return rf_decide_from_host(ctx, pkt);
}

/* The host's own questions, for the next hop alone, and its answers to anybody:
 * it answers for its own addresses only, and who asks is on the link anyway. */
static __always_inline int rf_asks_next_hop(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					    const struct rf_domain *domain)
{
	struct rf_arp arp;
	struct rf_nd nd;

	if (!rf_is_neighbour(pkt))
		return 0;
	if (pkt->eth_proto == ETH_P_ARP)
		return !bpf_skb_load_bytes(ctx, 0, &arp, sizeof(arp)) &&
		       (arp.operation != bpf_htons(RF_ARP_REQUEST) ||
			arp.target_ip == domain->next_hop4);
	return !bpf_skb_load_bytes(ctx, pkt->l4_offset, &nd, sizeof(nd)) &&
	       (nd.type == RF_ND_ADVERTISEMENT || rf_ip_equal(&nd.target, &domain->next_hop6));
}

/* Egress of an uplink: what a program admitted, and the host's own ARP and ND. */
SEC("tcx/egress")
int to_uplink(struct __sk_buff *ctx)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	struct rf_pkt *pkt = rf_pkt_begin(RF_DEVICE_HOST);
	struct rf_domain *domain;
	__u32 index;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	if (!device || device->kind != RF_DEVICE_UPLINK)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	if (ctx->mark == rf_config.mark)
		return rf_deliver(ctx, device->counter, NULL);
	index = device->ref;
	domain = bpf_map_lookup_elem(&rf_domains, &index);
	if (!domain || rf_parse(ctx, pkt) || !rf_asks_next_hop(ctx, pkt, domain))
		return rf_drop(ctx, RF_REASON_FROM_HOST);
	return rf_deliver(ctx, device->counter, NULL);
}

/* What an uplink may tell the host's IPv6: neighbour discovery, no more. */
static __always_inline int rf_guard_admits_nd(struct bpf_nf_ctx *ctx)
{
	struct bpf_dynptr packet;
	struct ipv6hdr ip;
	__u8 type;

	if (bpf_dynptr_from_skb(ctx->skb, 0, &packet) ||
	    bpf_dynptr_read(&ip, sizeof(ip), &packet, 0, 0) ||
	    bpf_dynptr_read(&type, sizeof(type), &packet, sizeof(ip), 0))
		return 0;
	return ip.version == 6 && ip.nexthdr == RF_IPPROTO_ICMPV6 &&
	       (type == RF_ND_SOLICITATION || type == RF_ND_ADVERTISEMENT);
}

/* Either way through the NIC of a bare-metal workload. What passes goes on as the
 * kernel would have it. */
static __always_inline int rf_at_nic(struct __sk_buff *ctx, int arrives)
{
	struct rf_device *device = rf_find_device(ctx->ifindex);
	struct rf_pkt *pkt = rf_pkt_begin(RF_DEVICE_NIC);
	struct rf_iface *iface = NULL;
	enum rf_reason reason;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	pkt->arrives = arrives;
	if (device && device->kind == RF_DEVICE_NIC)
		iface = rf_find_workload(device);
	if (iface)
		rf_begin_workload(pkt, device, iface);
	reason = rf_parse_at_nic(ctx, pkt);
	/* These hold whatever is known of the device: they keep the machine reachable. */
	if (!reason && rf_is_built_in(ctx, pkt))
		return rf_pass_built_in(ctx, pkt);
	if (!iface)
		return rf_drop(ctx, RF_REASON_UNKNOWN_DEVICE);
	if (!reason)
		reason = rf_check_scope(pkt);
	if (!reason && arrives && ctx->pkt_type != RF_PACKET_HOST)
		reason = RF_REASON_DESTINATION_MAC;
	if (!reason && !arrives && !rf_may_use_mac(pkt, iface, &pkt->src, pkt->src_mac))
		reason = RF_REASON_SOURCE_MAC;
	if (reason)
		return rf_drop(ctx, reason);
	return rf_decide_at_nic(ctx, pkt);
}

/* Egress of a machine's NIC. */
SEC("tcx/egress")
int from_host(struct __sk_buff *ctx)
{
	return rf_at_nic(ctx, 0);
}

/* Ingress of a machine's NIC. */
SEC("tcx/ingress")
int to_host(struct __sk_buff *ctx)
{
	return rf_at_nic(ctx, 1);
}

#define RF_NF_DROP 0
#define RF_NF_ACCEPT 1

/* Before routing, whatever came in: only the host's own devices reach its stack,
 * and of workloads what their program gave to it. */
SEC("netfilter")
int guard(struct bpf_nf_ctx *ctx)
{
	__u32 ifindex = ctx->state->in ? ctx->state->in->ifindex : 0;
	struct rf_device *device = rf_find_device(ifindex);

	/* What came in by a machine's NIC was judged there. */
	if (device && (device->kind == RF_DEVICE_HOST || device->kind == RF_DEVICE_NIC))
		return RF_NF_ACCEPT;
	if (device && device->kind == RF_DEVICE_WORKLOAD && ctx->skb->mark == rf_stack_mark())
		return RF_NF_ACCEPT;
	if (device && device->kind == RF_DEVICE_UPLINK && rf_guard_admits_nd(ctx))
		return RF_NF_ACCEPT;
	rf_count_drop(ifindex, RF_REASON_HOST_GUARD);
	return RF_NF_DROP;
}

/* On no device: who loads the programs runs it, once. */
SEC("tcx/ingress")
int begin_sweep(struct __sk_buff *ctx)
{
	return rf_sweep_begin();
}
