/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where the ends of a packet are, and whether a packet of that source may come
 * in where it did.
 */
#ifndef RINGFENCE_ENDS_H
#define RINGFENCE_ENDS_H

#include "place.h"

/* Both ends of a packet. */
struct rf_ends {
	struct rf_end from;
	struct rf_end to;
};

/* The sides that vote, as RF_ALLOW_*. */
static __always_inline __u32 rf_votes(const struct rf_end *opener, const struct rf_end *asked)
{
	return (rf_is_workloads(opener) ? RF_ALLOW_FROM : 0) |
	       (rf_is_workloads(asked) ? RF_ALLOW_TO : 0);
}

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

/* Whether an interface is a machine's NIC: the overlay does not reach it. */
static __always_inline int rf_is_bare_metal(__u32 index)
{
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);

	return iface && iface->flags & RF_IFACE_BARE_METAL;
}

/* The host by which an end is reached, and frames of it come by the overlay: that of
 * its interface, or of the domain's uplink; this one; none beyond a NIC. */
static __always_inline __u32 rf_host_of(const struct rf_pkt *pkt, const struct rf_end *end)
{
	__u32 index = end->iface;
	struct rf_domain *domain;
	struct rf_iface *iface;

	if (end->whose == RF_WHOSE_HOST)
		return RF_HOST_HERE;
	if (pkt->from == RF_DEVICE_NIC)
		return RF_HOST_NONE;
	if (index) {
		iface = bpf_map_lookup_elem(&rf_ifaces, &index);
		if (!iface)
			return RF_HOST_NONE;
		if (!(iface->flags & RF_IFACE_BARE_METAL))
			return iface->host;
	}
	index = pkt->domain;
	domain = bpf_map_lookup_elem(&rf_domains, &index);
	return domain ? domain->uplink_host : RF_HOST_NONE;
}

/* At a NIC: its machine sends from its own addresses alone, and nobody else does. What
 * the network behind it lets another send is that network's affair. */
static __always_inline enum rf_reason rf_check_nic_source(const struct rf_pkt *pkt,
							  const struct rf_end *source)
{
	int own = rf_is_sender(pkt, source->iface);

	if (pkt->arrives)
		return own || source->whose == RF_WHOSE_HOST ? RF_REASON_SPOOFED : RF_REASON_NONE;
	return own ? RF_REASON_NONE : RF_REASON_SOURCE_ADDRESS;
}

/* Whether a packet of that source may come in where it did. Array reads only:
 * this runs for every packet. */
static __noinline enum rf_reason rf_check_source(const struct rf_pkt *pkt,
						 const struct rf_end *source)
{
	/* From a shared address only who holds it speaks. */
	enum rf_reason not_its = source->whose == RF_WHOSE_SHARED ? RF_REASON_SHARED_ADDRESS
								  : RF_REASON_SOURCE_ADDRESS;
	int of_host = source->whose == RF_WHOSE_HOST, sends;

	switch (pkt->from) {
	case RF_DEVICE_WORKLOAD:
		if (source->behind)
			sends = source->behind == pkt->iface_id &&
				pkt->iface_flags & RF_IFACE_NO_PORT_SECURITY;
		else
			sends = rf_is_sender(pkt, source->iface);
		return sends ? RF_REASON_NONE : not_its;
	case RF_DEVICE_UPLINK:
		return of_host || (source->iface && !rf_is_bare_metal(source->iface))
			       ? RF_REASON_SPOOFED
			       : RF_REASON_NONE;
	case RF_DEVICE_OVERLAY:
		if (source->iface == RF_IFACE_NOBODY && source->whose == RF_WHOSE_SHARED)
			return RF_REASON_SHARED_ADDRESS;
		return !source->behind && rf_outer_is(pkt, rf_host_of(pkt, source))
			       ? RF_REASON_NONE
			       : RF_REASON_OUTER_SOURCE;
	case RF_DEVICE_HOST:
		return of_host ? RF_REASON_NONE : RF_REASON_FROM_HOST;
	case RF_DEVICE_NIC:
		return rf_check_nic_source(pkt, source);
	default:
		return RF_REASON_INTERNAL;
	}
}

/* What to call a source that nobody may send from. */
static __always_inline enum rf_reason rf_nobody_sends(const struct rf_pkt *pkt)
{
	if (pkt->from == RF_DEVICE_OVERLAY)
		return RF_REASON_OUTER_SOURCE;
	if (pkt->from == RF_DEVICE_NIC && !pkt->arrives)
		return RF_REASON_SOURCE_ADDRESS;
	return RF_REASON_SPOOFED;
}

/* Where the source is, by its address. */
static __noinline enum rf_reason rf_find_source(const struct rf_pkt *pkt, struct rf_end *end)
{
	if (pkt->from == RF_DEVICE_HOST) {
		rf_end_host(end);
		return RF_REASON_NONE;
	}
	rf_find_end(pkt->domain_id, &pkt->src, end);
	if (pkt->from == RF_DEVICE_WORKLOAD) {
		if (rf_not_unicast(&pkt->src, pkt->is_v6))
			return RF_REASON_SOURCE_ADDRESS;
		if (rf_is_nobodys(end) && pkt->iface_flags & RF_IFACE_NO_PORT_SECURITY)
			rf_end_behind_sender(end, pkt);
	} else if (end->whose == RF_WHOSE_GATEWAY || end->whose == RF_WHOSE_NETWORK ||
		   rf_not_unicast(&pkt->src, pkt->is_v6)) {
		/* A gateway sends nothing that would come in from anywhere, and an
		 * on-link address without an interface is nobody's. */
		return rf_nobody_sends(pkt);
	}
	return rf_check_source(pkt, end);
}

/* Where the destination is; a gateway is left to who asks. */
static __always_inline enum rf_reason rf_find_destination(const struct rf_pkt *pkt,
							  struct rf_end *end)
{
	if (pkt->to_host)
		rf_end_host(end);
	else
		rf_find_end(pkt->domain_id, &pkt->dst, end);
	if (end->whose == RF_WHOSE_SHARED && end->iface == RF_IFACE_NOBODY)
		return RF_REASON_SHARED_ADDRESS;
	return end->whose == RF_WHOSE_NETWORK ? RF_REASON_NO_ROUTE : RF_REASON_NONE;
}

static __always_inline enum rf_reason rf_find_ends(const struct rf_pkt *pkt, struct rf_ends *ends)
{
	enum rf_reason reason = rf_find_source(pkt, &ends->from);

	return reason ? reason : rf_find_destination(pkt, &ends->to);
}

#endif
