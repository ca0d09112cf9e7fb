/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Whose an address of a domain is: a gateway's or an interface's own, by its
 * entry in rf_addrs; else an interface's by the longest address pair, which
 * several may share; else nobody's.
 */
#ifndef RINGFENCE_OWNER_H
#define RINGFENCE_OWNER_H

#include "policy.h"

/* One end of a packet. */
struct rf_end {
	__u32 iface;  /* index; 0: beyond the uplink, or whose it is says where */
	__u32 whose;  /* enum rf_whose */
	__u32 behind; /* id of the interface that it stands behind as nobody; 0: of none */
};

/* Whether an index is of the interface that sends. The agent gives an interface
 * whose entry changes a new index, and tells its device and its addresses one
 * after the other: both indexes are its own then, by their id. */
static __always_inline int rf_is_sender(const struct rf_pkt *pkt, __u32 index)
{
	struct rf_iface *iface;

	if (index == pkt->iface)
		return index != 0;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	return iface && iface->id && iface->id == pkt->iface_id;
}

static __always_inline struct rf_subnet *rf_find_subnet(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_subnet_key key = {
		.prefixlen = RF_SUBNET_FIXED_BITS + 128,
		.domain_id = domain_id,
		.ip = *ip,
	};

	return bpf_map_lookup_elem(&rf_subnets, &key);
}

static __always_inline struct rf_claims *rf_find_claims(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_addr_key key = {.domain_id = domain_id, .ip = *ip};

	return bpf_map_lookup_elem(&rf_claims, &key);
}

static __always_inline struct rf_shared *rf_find_shared(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_addr_key key = {.domain_id = domain_id, .ip = *ip};

	return bpf_map_lookup_elem(&rf_shared, &key);
}

/* The index of who holds a shared address; RF_IFACE_NOBODY: nobody that is known. */
static __noinline __u32 rf_find_holder(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_claims *claims = rf_find_claims(domain_id, ip);
	struct rf_shared *shared = rf_find_shared(domain_id, ip);
	struct rf_iface *iface;

	if (!claims || !shared)
		return RF_IFACE_NOBODY;
	for (int i = 0; i < RF_CLAIMANTS; i++) {
		__u32 index = claims->of[i].iface;

		iface = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
		if (iface && iface->id == shared->iface_id)
			return index;
	}
	return RF_IFACE_NOBODY;
}

/* Whose the address is. Global, as rf_ask is. */
__noinline int rf_find_end(__u32 domain_id, const struct rf_ip *ip, struct rf_end *end)
{
	struct rf_subnet *subnet;
	struct rf_addr *addr;

	if (!ip || !end)
		return -1;
	addr = rf_find_addr(domain_id, ip);
	end->behind = 0;
	if (addr) {
		end->iface = addr->iface;
		end->whose = addr->iface ? RF_WHOSE_IFACE : RF_WHOSE_GATEWAY;
		return 0;
	}
	subnet = rf_find_subnet(domain_id, ip);
	if (subnet && subnet->iface == RF_IFACE_SHARED) {
		end->iface = rf_find_holder(domain_id, ip);
		end->whose = RF_WHOSE_SHARED;
		return 0;
	}
	end->iface = subnet ? subnet->iface : 0;
	if (!subnet)
		end->whose = RF_WHOSE_NOBODY;
	else
		end->whose = subnet->iface ? RF_WHOSE_PAIR : RF_WHOSE_NETWORK;
	return 0;
}

/* Whether the address makes its side a workload's, which has a vote. */
static __always_inline int rf_is_workloads(const struct rf_end *end)
{
	return end->whose == RF_WHOSE_IFACE || end->whose == RF_WHOSE_PAIR ||
	       end->whose == RF_WHOSE_SHARED;
}

/* Whether no interface and no gateway has the address. */
static __always_inline int rf_is_nobodys(const struct rf_end *end)
{
	return end->whose == RF_WHOSE_NOBODY || end->whose == RF_WHOSE_NETWORK;
}

/* The host's stack is known by the way of a packet, whatever address it uses. */
static __always_inline void rf_end_host(struct rf_end *end)
{
	end->iface = 0;
	end->whose = RF_WHOSE_HOST;
	end->behind = 0;
}

/* The MAC address that frames to an end bear in its network. Only that of a pair
 * or a shared address needs a look-up. */
static __noinline int rf_end_mac(__u32 domain_id, const struct rf_ip *ip, const struct rf_end *end,
				 const struct rf_iface *iface, __u8 *mac)
{
	struct rf_shared *shared;
	struct rf_subnet *pair;

	if (end->whose == RF_WHOSE_SHARED) {
		shared = rf_find_shared(domain_id, ip);
		if (!shared || shared->iface_id != iface->id)
			return -1;
		__builtin_memcpy(mac, shared->mac, 6);
		return 0;
	}
	if (end->whose != RF_WHOSE_PAIR) {
		__builtin_memcpy(mac, iface->mac, 6);
		return 0;
	}
	pair = rf_find_subnet(domain_id, ip);
	if (!pair || pair->iface != end->iface)
		return -1;
	__builtin_memcpy(mac, pair->mac, 6);
	return 0;
}

/* The sender's claim of a shared address; NULL: it has none. */
static __noinline struct rf_claim *rf_find_claim(const struct rf_pkt *pkt, const struct rf_ip *ip)
{
	struct rf_claims *claims = rf_find_claims(pkt->domain_id, ip);

	if (!claims)
		return NULL;
	for (int i = 0; i < RF_CLAIMANTS; i++) {
		if (claims->of[i].iface && rf_is_sender(pkt, claims->of[i].iface))
			return &claims->of[i];
	}
	return NULL;
}

/* Whether the sender may speak for an address in ARP and ND: its own, its pair's,
 * one that it shares, or without port security one that is nobody's. */
static __noinline int rf_speaks_for(const struct rf_pkt *pkt, const struct rf_ip *ip)
{
	struct rf_end end;

	rf_find_end(pkt->domain_id, ip, &end);
	if (end.whose == RF_WHOSE_SHARED)
		return rf_find_claim(pkt, ip) != NULL;
	if (rf_is_nobodys(&end))
		return pkt->iface_flags & RF_IFACE_NO_PORT_SECURITY &&
		       !rf_not_unicast(ip, pkt->is_v6);
	return rf_is_sender(pkt, end.iface);
}

/* Whether the sender may use a MAC with an address: its own, the one of its pair
 * that has the address, or without port security any. */
static __noinline int rf_may_use_mac(const struct rf_pkt *pkt, const struct rf_iface *iface,
				     const struct rf_ip *ip, const __u8 *mac)
{
	struct rf_claim *claim;
	struct rf_end end;
	__u8 pair_mac[6];

	if (rf_mac_equal(mac, iface->mac) || iface->flags & RF_IFACE_NO_PORT_SECURITY)
		return 1;
	rf_find_end(pkt->domain_id, ip, &end);
	if (end.whose == RF_WHOSE_SHARED) {
		claim = rf_find_claim(pkt, ip);
		return claim && rf_mac_equal(mac, claim->mac);
	}
	return end.whose == RF_WHOSE_PAIR && rf_is_sender(pkt, end.iface) &&
	       !rf_end_mac(pkt->domain_id, ip, &end, iface, pair_mac) &&
	       rf_mac_equal(mac, pair_mac);
}

#endif
