/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The programs without policy (rf_config.verdict_off): nobody asks what may pass, and
 * nobody remembers what passed. A packet goes where its destination address is, if its
 * source address is where it came from.
 *
 * What policy costs is measured against this, and the negative control of tests shows by
 * it that it was policy that denied. A constant from load on, so the verifier leaves
 * out of the programs whatever the other setting needs.
 */
#ifndef RINGFENCE_UNJUDGED_H
#define RINGFENCE_UNJUDGED_H

#include "quick.h"

/* The interface that has that side's address as its own; 0: none has. */
static __noinline __u32 rf_unjudged_iface(const struct rf_tuple *tuple, __u32 side, __u32 domain_id)
{
	struct rf_addr *addr;
	struct rf_ip ip;

	rf_tuple_ip(tuple, side, &ip);
	addr = rf_find_addr(domain_id, &ip);
	return addr ? addr->iface : 0;
}

/* The rest of the quick way, once the source is known to be where it came from. */
static __always_inline int rf_unjudged_forward(struct __sk_buff *ctx,
					       const struct rf_device *device, __u32 domain_id,
					       __u32 vni, int from_workload, struct rf_flow *flow,
					       const struct rf_quick *q)
{
	__u32 index = rf_unjudged_iface(&flow->tuple, !flow->tuple.side, domain_id);
	struct rf_iface *to = bpf_map_lookup_elem(&rf_ifaces, &index);
	int action;

	if (!to)
		return RF_LONG_WAY;
	action = rf_quick_forward(ctx, to, domain_id, vni, from_workload, flow, q);
	if (flow->left)
		rf_count_from(device->counter);
	return action;
}

/* As rf_quick_from_workload. */
static __noinline int rf_unjudged_from_workload(struct __sk_buff *ctx,
						const struct rf_device *device,
						const struct rf_iface *iface)
{
	void *data = (void *)(long)ctx->data;
	struct rf_flow *flow = rf_quick_begin();
	struct rf_quick q = {};

	if (!flow || data + ETH_HLEN > (void *)(long)ctx->data_end ||
	    !rf_quick_same_mac(data + ETH_ALEN, iface->mac) ||
	    rf_quick_parse(ctx, iface->domain_id, &flow->tuple, &q) ||
	    rf_unjudged_iface(&flow->tuple, flow->tuple.side, iface->domain_id) != device->ref)
		return RF_LONG_WAY;
	return rf_unjudged_forward(ctx, device, iface->domain_id, iface->vni, 1, flow, &q);
}

/* As rf_quick_from_overlay. */
static __noinline int rf_unjudged_from_overlay(struct __sk_buff *ctx,
					       const struct rf_device *device)
{
	struct rf_flow *flow = rf_quick_begin();
	struct bpf_tunnel_key key = {};
	struct rf_quick q = {};
	struct rf_vni *vni;
	__u32 index;

	if (!flow || bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), 0))
		return RF_LONG_WAY;
	index = key.tunnel_id;
	vni = bpf_map_lookup_elem(&rf_vnis, &index);
	if (!vni || rf_quick_parse(ctx, vni->domain_id, &flow->tuple, &q))
		return RF_LONG_WAY;
	index = rf_unjudged_iface(&flow->tuple, flow->tuple.side, vni->domain_id);
	if (!rf_quick_outer_is(index, bpf_htonl(key.remote_ipv4)))
		return RF_LONG_WAY;
	return rf_unjudged_forward(ctx, device, vni->domain_id, key.tunnel_id, 0, flow, &q);
}

#endif
