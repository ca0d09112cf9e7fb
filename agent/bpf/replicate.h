/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What is for all members of a network, where the network wants it: a copy for
 * each other member on this host and one for each other host with members, which
 * copies it to its own. It belongs to no flow and no policy is asked: `any` never
 * means multicast.
 *
 * A packet counts once as accepted from its device, and each copy as handed to
 * its receiver's. A copy that cannot leave is a drop of its own, with its reason,
 * and the others go on.
 *
 * A copy leaves at once, by programs that run within this one: from the first
 * copy on nothing is read from scratch.
 */
#ifndef RINGFENCE_REPLICATE_H
#define RINGFENCE_REPLICATE_H

#include "arp_nd.h"
#include "ends.h"
#include "forward.h"
#include "mld.h"

/* Whether it reaches clients as a DHCP server does: by their port. */
static __always_inline int rf_serves_dhcp(const struct rf_pkt *pkt)
{
	__u16 client = pkt->is_v6 ? RF_DHCP6_CLIENT_PORT : RF_DHCP4_CLIENT_PORT;

	return pkt->l4_proto == IPPROTO_UDP && pkt->dport == bpf_htons(client);
}

static __always_inline struct rf_group *rf_find_group(__u32 vni)
{
	struct rf_vni *network = bpf_map_lookup_elem(&rf_vnis, &vni);
	__u32 index = network ? network->group : 0;

	return index ? bpf_map_lookup_elem(&rf_groups, &index) : NULL;
}

/* Whether all bits of an IPv4 address behind its subnet's prefix are ones. One of
 * 31 or 32 bits has no such address (RFC 3021). */
static __always_inline int rf_is_subnet_broadcast(const struct rf_subnet *subnet,
						  const struct rf_ip *ip)
{
	__u32 host_bits = 128 - subnet->bits;

	return host_bits >= 2 && host_bits <= 32 &&
	       !(~bpf_ntohl(rf_ip_v4(ip)) & (__u32)((1ULL << host_bits) - 1));
}

/* Whether the frame's MAC is the one that its group address has: RFC 1112 6.4,
 * RFC 2464 7; all ones of a broadcast. An address of one receiver in a frame for
 * all would pass by policy, since many a receiver takes it. */
static __noinline int rf_is_group_frame(const struct rf_pkt *pkt)
{
	const __u8 *ip = pkt->dst.bytes, *mac = pkt->dst_mac;
	struct rf_subnet *subnet;
	struct rf_end end;

	/* Of scopes (RFC 4291 2.7) 0 is reserved and 1 stays within an interface. */
	if (pkt->is_v6)
		return ip[0] == 0xff && (ip[1] & 0xf) > 1 && mac[0] == 0x33 && mac[1] == 0x33 &&
		       mac[2] == ip[12] && mac[3] == ip[13] && mac[4] == ip[14] && mac[5] == ip[15];
	if (ip[12] >= 224 && ip[12] < 240)
		return mac[0] == 0x01 && mac[1] == 0x00 && mac[2] == 0x5e &&
		       mac[3] == (ip[13] & 0x7f) && mac[4] == ip[14] && mac[5] == ip[15];
	if ((mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) != 0xff)
		return 0;
	if (rf_ip_v4(&pkt->dst) == 0xffffffff)
		return 1;
	rf_find_end(pkt->domain_id, &pkt->dst, &end);
	subnet = rf_find_subnet(pkt->domain_id, &pkt->dst);
	return end.whose == RF_WHOSE_NETWORK && subnet && subnet->vni == pkt->vni &&
	       rf_is_subnet_broadcast(subnet, &pkt->dst);
}

/* Whether the frame came from one of the hosts with members. */
static __noinline int rf_is_from_group(const struct rf_pkt *pkt, const struct rf_group *group)
{
	for (__u32 i = 0; i < RF_COPIES && i < group->hosts; i++) {
		if (rf_outer_is(pkt, group->host[i]))
			return 1;
	}
	return 0;
}

/* Of a frame from the overlay: that its source is a member, on the host that it
 * came from, and bears its MAC. */
static __noinline enum rf_reason rf_check_member(const struct rf_pkt *pkt)
{
	struct rf_iface *iface;
	struct rf_end end;
	__u8 mac[6] = {};
	__u32 index;
	enum rf_reason reason = rf_find_source(pkt, &end);

	if (reason)
		return reason;
	index = end.iface;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!index || !iface || iface->flags & RF_IFACE_BARE_METAL)
		return RF_REASON_OUTER_SOURCE;
	if (iface->vni != pkt->vni)
		return RF_REASON_WRONG_VNI;
	if (iface->flags & RF_IFACE_NO_PORT_SECURITY)
		return RF_REASON_NONE;
	/* Its own host would not have sent that. */
	if (rf_serves_dhcp(pkt))
		return RF_REASON_DHCP_SERVER;
	if (rf_mac_equal(pkt->src_mac, iface->mac))
		return RF_REASON_NONE;
	return !rf_end_mac(pkt->domain_id, &pkt->src, &end, iface, mac) &&
			       rf_mac_equal(pkt->src_mac, mac)
		       ? RF_REASON_NONE
		       : RF_REASON_SOURCE_MAC;
}

/* Whether it is a report or the like of a multicast listener, which may be from none or
 * any link-local address (RFC 3590). */
static __always_inline int rf_is_listeners(const struct rf_pkt *pkt)
{
	return rf_reports_listening(pkt) && (rf_link_local(&pkt->src) || rf_ip_is_zero(&pkt->src));
}

/* Whether the source may send to the group. A workload's MAC was checked before.
 * A link-local address is its interface's own by its MAC, and says of another
 * host no more than that it has members: whether one of them may serve it does not. */
static __noinline enum rf_reason rf_check_group_source(const struct rf_pkt *pkt,
						       const struct rf_group *group)
{
	__u32 index = pkt->iface;
	struct rf_iface *iface;
	struct rf_end end;

	if (pkt->from == RF_DEVICE_OVERLAY) {
		if (!rf_is_listeners(pkt)) {
			if (!pkt->is_v6 || !rf_link_local(&pkt->src))
				return rf_check_member(pkt);
			if (!rf_is_eui64(&pkt->src, pkt->src_mac))
				return RF_REASON_SOURCE_ADDRESS;
			if (rf_serves_dhcp(pkt))
				return RF_REASON_DHCP_SERVER;
		}
		return rf_is_from_group(pkt, group) ? RF_REASON_NONE : RF_REASON_OUTER_SOURCE;
	}
	if (rf_is_listeners(pkt))
		return RF_REASON_NONE;
	if (!pkt->is_v6 || !rf_link_local(&pkt->src))
		return rf_find_source(pkt, &end);
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	return iface && rf_is_eui64(&pkt->src, iface->mac) ? RF_REASON_NONE
							   : RF_REASON_SOURCE_ADDRESS;
}

/* What is needed of a packet while it is copied. */
struct rf_copying {
	__u32 domain_id;
	__u32 vni;
	__u32 sender; /* id of the interface that sent it; 0: it is not here */
};

/* A copy for a member on this host. One without a device is not there to miss it. */
static __noinline enum rf_reason rf_copy_here(struct __sk_buff *ctx, const struct rf_copying *of,
					      __u32 index)
{
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);

	if (!iface || iface->domain_id != of->domain_id || iface->vni != of->vni)
		return RF_REASON_INTERNAL;
	if (iface->id == of->sender || !iface->ifindex)
		return RF_REASON_NONE;
	ctx->mark = rf_config.mark;
	return bpf_clone_redirect(ctx, iface->ifindex, 0) < 0 ? RF_REASON_NO_DEVICE
							      : RF_REASON_NONE;
}

/* A copy for the members on another host. */
static __noinline enum rf_reason rf_copy_there(struct __sk_buff *ctx, const struct rf_copying *of,
					       __u32 host)
{
	enum rf_reason reason = rf_set_tunnel(ctx, host, of->vni);

	if (reason)
		return reason;
	/* The copies here may have set it: it is for their devices alone. */
	ctx->mark = 0;
	return bpf_clone_redirect(ctx, rf_config.overlay_ifindex, 0) < 0 ? RF_REASON_NO_DEVICE
									 : RF_REASON_NONE;
}

/* Whether other hosts may have members that are to hear of it: a host tells others only
 * what comes from its own workloads, so nothing goes round; and what a router says, that
 * may do so here, not at all, since they cannot tell that it may. */
static __always_inline int rf_is_for_hosts(const struct rf_pkt *pkt)
{
	return pkt->from != RF_DEVICE_OVERLAY && !(rf_is_nd(pkt) && rf_is_routers(pkt));
}

/* A copy for everybody else in the group. Global, as rf_ask is. */
__noinline int rf_copy_to_group(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				struct rf_group *group)
{
	struct rf_copying of = {};
	enum rf_reason reason;
	__u32 hosts, locals;

	if (!pkt || !group)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	of.domain_id = pkt->domain_id;
	of.vni = pkt->vni;
	of.sender = pkt->iface_id;
	locals = group->locals;
	hosts = rf_is_for_hosts(pkt) ? group->hosts : 0;
	if (locals + hosts > RF_COPIES + (of.sender != 0))
		return rf_drop(ctx, RF_REASON_REPLICATION_BOUND);
	rf_count_from(pkt->counter);
	for (__u32 i = 0; i < RF_COPIES + 1 && i < locals && !rf_config.dry; i++) {
		reason = rf_copy_here(ctx, &of, group->local[i]);
		if (reason)
			rf_count_drop(ctx->ifindex, reason);
	}
	/* After them: a copy made later would bear the tunnel, too. */
	for (__u32 i = 0; i < RF_COPIES && i < hosts && !rf_config.dry; i++) {
		reason = rf_copy_there(ctx, &of, group->host[i]);
		if (reason)
			rf_count_drop(ctx->ifindex, reason);
	}
	rf_record((struct rf_decision){.action = RF_ACTION_COPIES, .vni = of.vni}, NULL);
	return TC_ACT_SHOT;
}

/* A packet to a group, by its MAC or its address, of a workload or from the
 * overlay. Nobody is told that it was too long (RFC 1122 3.2.2). Global, as
 * rf_ask is. */
__noinline int rf_replicate(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_group *group;
	enum rf_reason reason;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	group = rf_find_group(pkt->vni);
	if (!group || !(group->flags & RF_GROUP_MULTICAST))
		return rf_drop(ctx, RF_REASON_MULTICAST);
	if (!rf_is_group_frame(pkt))
		return rf_drop(ctx, RF_REASON_DESTINATION_MAC);
	/* What the first one was says nothing here of a later one, and a router's or a
	 * DHCP server's message in pieces would not be known as one. */
	if (pkt->fragment)
		return rf_drop(ctx, RF_REASON_FRAGMENT);
	reason = rf_check_group_source(pkt, group);
	if (!reason && rf_too_long(ctx, pkt, group->mtu))
		reason = RF_REASON_TOO_BIG;
	if (reason)
		return rf_drop(ctx, reason);
	return rf_copy_to_group(ctx, pkt, group);
}

#endif
