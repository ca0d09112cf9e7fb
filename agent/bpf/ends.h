/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Who the ends of a packet are, by their addresses, and whether a packet of
 * that source may come in where it did.
 */
#ifndef RINGFENCE_ENDS_H
#define RINGFENCE_ENDS_H

#include "policy.h"

/* Whether the frame came from that host. */
static __noinline int rf_outer_is(const struct rf_pkt *pkt, __u32 index)
{
	struct rf_host *host = bpf_map_lookup_elem(&rf_hosts, &index);

	if (!host || index == RF_HOST_HERE || index == RF_HOST_NONE)
		return 0;
	if (pkt->outer_family == RF_AF_INET6)
		return !rf_ip_is_zero(&host->v6) && rf_ip_equal(&pkt->outer, &host->v6);
	return host->v4 && rf_ip_v4(&pkt->outer) == host->v4;
}

/* The host of an end: an interface, or 0 for beyond the uplink. */
static __always_inline __u32 rf_host_of(const struct rf_pkt *pkt, __u32 end)
{
	struct rf_domain *domain;
	struct rf_iface *iface;
	__u32 index = pkt->domain;

	if (end) {
		iface = bpf_map_lookup_elem(&rf_ifaces, &end);
		return iface ? iface->host : RF_HOST_NONE;
	}
	domain = bpf_map_lookup_elem(&rf_domains, &index);
	return domain ? domain->uplink_host : RF_HOST_NONE;
}

/* Whether a packet of interface `source` (0: of beyond the uplink) may come in
 * where it did. Array reads only: this runs for every packet. */
static __noinline enum rf_reason rf_check_source(const struct rf_pkt *pkt, __u32 source)
{
	switch (pkt->from) {
	case RF_DEVICE_WORKLOAD:
		return rf_is_sender(pkt, source) ? RF_REASON_NONE : RF_REASON_SOURCE_ADDRESS;
	case RF_DEVICE_UPLINK:
		return source ? RF_REASON_SPOOFED : RF_REASON_NONE;
	case RF_DEVICE_OVERLAY:
		return rf_outer_is(pkt, rf_host_of(pkt, source)) ? RF_REASON_NONE
								 : RF_REASON_OUTER_SOURCE;
	default:
		return RF_REASON_INTERNAL;
	}
}

static __always_inline int rf_on_link(const struct rf_pkt *pkt, const struct rf_ip *ip)
{
	struct rf_subnet_key key = {
		.prefixlen = RF_SUBNET_FIXED_BITS + 128,
		.domain_id = pkt->domain_id,
		.ip = *ip,
	};

	return bpf_map_lookup_elem(&rf_subnets, &key) != NULL;
}

/* The interface of the source, by its address; 0: beyond the uplink. */
static __noinline enum rf_reason rf_find_source(const struct rf_pkt *pkt, __u32 *iface)
{
	struct rf_addr *addr = rf_find_addr(pkt->domain_id, &pkt->src);

	*iface = addr ? addr->iface : 0;
	/* A gateway sends nothing that would come in from anywhere, and an
	 * on-link address without an interface is nobody's. */
	if (pkt->from != RF_DEVICE_WORKLOAD && !*iface &&
	    (addr || rf_not_unicast(&pkt->src, pkt->is_v6) || rf_on_link(pkt, &pkt->src)))
		return pkt->from == RF_DEVICE_UPLINK ? RF_REASON_SPOOFED : RF_REASON_OUTER_SOURCE;
	return rf_check_source(pkt, *iface);
}

#define RF_TO_GATEWAY 0xffffffffU

/* Both ends of a packet: interfaces, or 0 for beyond the uplink. */
struct rf_ends {
	__u32 from;
	__u32 to; /* or RF_TO_GATEWAY */
};

/* The interface of the destination; 0: beyond the uplink; or RF_TO_GATEWAY. */
static __noinline enum rf_reason rf_find_destination(const struct rf_pkt *pkt, __u32 *iface)
{
	struct rf_addr *addr = rf_find_addr(pkt->domain_id, &pkt->dst);

	if (addr) {
		*iface = addr->iface ? addr->iface : RF_TO_GATEWAY;
		return RF_REASON_NONE;
	}
	*iface = 0;
	return rf_on_link(pkt, &pkt->dst) ? RF_REASON_NO_ROUTE : RF_REASON_NONE;
}

static __always_inline enum rf_reason rf_find_ends(const struct rf_pkt *pkt, struct rf_ends *ends)
{
	enum rf_reason reason = rf_find_source(pkt, &ends->from);

	return reason ? reason : rf_find_destination(pkt, &ends->to);
}

#endif
