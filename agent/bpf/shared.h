/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Addresses that several interfaces share, of which one holds each at a time
 * (VRRP, RFC 9568). Who does says so by ARP or ND: a gratuitous request or reply
 * (RFC 5227 3), an advertisement (RFC 4861 7.2.6), or its answer to a question. The
 * last word counts, from those who may: policy says the same of each.
 *
 * An announcement goes to every member of the network, here and on other hosts,
 * whose programs learn it on the way. Where nobody is known to hold an address a
 * question for it goes to those who may, and the answer comes back as an
 * announcement. Both are built anew, so nothing else travels in them.
 */
#ifndef RINGFENCE_SHARED_H
#define RINGFENCE_SHARED_H

#include "neighbour.h"
#include "replicate.h"

/* Who announces a shared address with that MAC: the sender, or from the overlay a
 * claimant on the host that the frame came from. 0: nobody who may. */
static __noinline __u32 rf_find_announcer(const struct rf_pkt *pkt, const struct rf_claims *claims,
					  const __u8 *mac)
{
	struct rf_iface *iface;

	for (int i = 0; i < RF_CLAIMANTS; i++) {
		__u32 index = claims->of[i].iface;

		iface = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
		if (!iface ||
		    !(rf_mac_equal(mac, iface->mac) || rf_mac_equal(mac, claims->of[i].mac)))
			continue;
		if (pkt->from == RF_DEVICE_OVERLAY ? rf_outer_is(pkt, iface->host)
						   : rf_is_sender(pkt, index))
			return iface->id;
	}
	return 0;
}

/*
 * Keeps who holds a shared address now. If it is another, flows of the address are
 * judged and placed again: what is read first is written last. The MAC alone is part of
 * no judgement and of no connection. Since an epoch may be of other addresses, too, and
 * every announcement is copied, neither can be had at will.
 */
static __noinline enum rf_reason rf_learn(const struct rf_pkt *pkt, const struct rf_ip *ip,
					  const __u8 *mac)
{
	struct rf_addr_key key = {.domain_id = pkt->domain_id, .ip = *ip};
	struct rf_claims *claims = bpf_map_lookup_elem(&rf_claims, &key);
	struct rf_shared *held, fresh = {.since_ns = bpf_ktime_get_coarse_ns()};
	__u32 place = rf_bucket(pkt->domain_id, ip);
	int moves, changes;
	__u64 *epoch;

	if (!claims || claims->vni != pkt->vni)
		return RF_REASON_ARP_SENDER;
	fresh.iface_id = rf_find_announcer(pkt, claims, mac);
	if (!fresh.iface_id)
		return pkt->from == RF_DEVICE_OVERLAY ? RF_REASON_OUTER_SOURCE
						      : RF_REASON_ARP_SENDER;
	__builtin_memcpy(fresh.mac, mac, 6);
	if (rf_config.dry)
		return RF_REASON_NONE;
	held = bpf_map_lookup_elem(&rf_shared, &key);
	moves = !held || held->iface_id != fresh.iface_id;
	changes = moves || !rf_mac_equal(held->mac, fresh.mac);
	if (held && fresh.since_ns - held->since_ns < RF_ANNOUNCE_NS) {
		if (!changes || held->changes >= RF_ANNOUNCE_CHANGES)
			return RF_REASON_ANNOUNCEMENT_RATE;
		fresh.since_ns = held->since_ns;
		fresh.changes = held->changes + 1;
	}
	if (bpf_map_update_elem(&rf_shared, &key, &fresh, BPF_ANY))
		return RF_REASON_TABLE_FULL;
	if (!moves)
		return RF_REASON_NONE;
	epoch = bpf_map_lookup_elem(&rf_epochs, &place);
	if (epoch)
		__sync_fetch_and_add(epoch, 1);
	return RF_REASON_NONE;
}

/* An announcement, if it comes from one who may make it, to every member. Global,
 * as rf_ask is. */
__noinline int rf_announce(struct __sk_buff *ctx, const struct rf_pkt *pkt,
			   struct rf_neighbour *said)
{
	struct rf_group *group;
	enum rf_reason reason;

	if (!pkt || !said)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	reason = rf_learn(pkt, &said->sender, said->sender_mac);
	if (reason)
		return rf_drop(ctx, reason);
	group = rf_find_group(pkt->vni);
	said->target = said->sender;
	if (!group || rf_write_neighbour(ctx, said, pkt->is_v6))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_copy_to_group(ctx, pkt, group);
}

/* Whether who asks is who it says: the sender, or a member on the host that the
 * frame came from. */
static __noinline enum rf_reason rf_check_asker(const struct rf_pkt *pkt,
						const struct rf_neighbour *said)
{
	struct rf_group *group = rf_find_group(pkt->vni);
	struct rf_iface *iface;
	struct rf_end end;
	__u8 mac[6] = {};
	__u32 index;

	if (pkt->from != RF_DEVICE_OVERLAY) {
		index = pkt->iface;
		iface = bpf_map_lookup_elem(&rf_ifaces, &index);
		return iface && rf_may_use_mac(pkt, iface, &said->sender, said->sender_mac) &&
				       (rf_speaks_for(pkt, &said->sender) ||
					rf_is_eui64(&said->sender, iface->mac))
			       ? RF_REASON_NONE
			       : RF_REASON_ARP_SENDER;
	}
	if (pkt->is_v6 && rf_link_local(&said->sender))
		return group && rf_is_eui64(&said->sender, said->sender_mac) &&
				       rf_is_from_group(pkt, group)
			       ? RF_REASON_NONE
			       : RF_REASON_OUTER_SOURCE;
	rf_find_end(pkt->domain_id, &said->sender, &end);
	index = end.iface;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	return rf_is_workloads(&end) && iface && iface->vni == pkt->vni &&
			       rf_outer_is(pkt, iface->host) &&
			       !rf_end_mac(pkt->domain_id, &said->sender, &end, iface, mac) &&
			       rf_mac_equal(said->sender_mac, mac)
		       ? RF_REASON_NONE
		       : RF_REASON_OUTER_SOURCE;
}

/* A question for a shared address, to those who may hold it. Global, as rf_ask is. */
__noinline int rf_ask_claimants(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				const struct rf_neighbour *said)
{
	struct rf_copying of = {};
	struct rf_claims *claims;
	struct rf_iface *iface;
	enum rf_reason reason;
	int from_here;

	if (!pkt || !said)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	claims = rf_find_claims(pkt->domain_id, &said->target);
	reason = rf_check_asker(pkt, said);
	if (reason)
		return rf_drop(ctx, reason);
	if (!claims || claims->vni != pkt->vni)
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);
	of.domain_id = pkt->domain_id;
	of.vni = pkt->vni;
	of.sender = pkt->iface_id;
	from_here = pkt->from == RF_DEVICE_WORKLOAD;
	if (rf_config.dry)
		return rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR);
	rf_count_from(pkt->counter);
	if (rf_write_neighbour(ctx, said, pkt->is_v6))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	for (int i = 0; i < RF_CLAIMANTS; i++) {
		__u32 index = claims->of[i].iface;

		iface = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
		if (iface && iface->host == RF_HOST_HERE)
			rf_copy_here(ctx, &of, index);
	}
	/* After them: a copy made later would bear the tunnel, too. Two on one host get
	 * two copies there: a question does no harm twice. */
	for (int i = 0; i < RF_CLAIMANTS && from_here; i++) {
		__u32 index = claims->of[i].iface;

		iface = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
		if (iface && iface->host != RF_HOST_HERE)
			rf_copy_there(ctx, &of, iface->host);
	}
	rf_record((struct rf_decision){.action = RF_ACTION_COPIES, .vni = of.vni}, NULL);
	return TC_ACT_SHOT;
}

/* Whether it comes from the interface that holds an address: by its device, or from its
 * host. */
static __always_inline int rf_is_holder(const struct rf_pkt *pkt, __u32 index)
{
	struct rf_iface *iface;

	if (pkt->from != RF_DEVICE_OVERLAY)
		return rf_is_sender(pkt, index);
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	return iface && rf_outer_is(pkt, iface->host);
}

/* Whether the address is one that several share. */
static __always_inline int rf_is_shared(const struct rf_pkt *pkt, const struct rf_ip *ip,
					struct rf_end *end)
{
	if (rf_ip_is_zero(ip) || !rf_find_claims(pkt->domain_id, ip))
		return 0;
	rf_find_end(pkt->domain_id, ip, end);
	return end->whose == RF_WHOSE_SHARED;
}

/* ARP or ND of a workload or from the overlay, as far as it is about addresses that
 * several share; -1: it is not, or for the program to answer as any. Global, as
 * rf_ask is. */
__noinline int rf_hear(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_neighbour said = {};
	struct rf_end end = {};
	int announces;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	if (rf_read_neighbour(ctx, pkt, &said))
		return -1;
	announces = said.answers || rf_ip_equal(&said.sender, &said.target);
	if (rf_is_shared(pkt, &said.sender, &end)) {
		if (announces)
			return rf_announce(ctx, pkt, &said);
		if (!rf_is_holder(pkt, end.iface))
			return rf_drop(ctx, RF_REASON_SHARED_ADDRESS);
	}
	if (announces || !rf_is_shared(pkt, &said.target, &end))
		return -1;
	/* Who may take the address is not told that it is taken. */
	if (rf_ip_is_zero(&said.sender))
		return rf_find_claim(pkt, &said.target)
			       ? rf_drop(ctx, RF_REASON_UNANSWERED_NEIGHBOUR)
			       : -1;
	if (end.iface != RF_IFACE_NOBODY && pkt->from == RF_DEVICE_WORKLOAD)
		return -1;
	return rf_ask_claimants(ctx, pkt, &said);
}

#endif
