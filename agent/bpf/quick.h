/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The quick way of most packets: of a flow that is established, current, and between
 * two interfaces' own addresses.
 *
 * It decides nothing of its own: what it lets go, decide.h would let go by the same
 * entry, to the same place, with the same counters. Whatever is out of the ordinary
 * goes the long way (RF_LONG_WAY), untouched: options, extension headers, fragments, tags, control
 * flags of TCP, headers outside the linear part, a flow that was silent for a second,
 * one that is judged again, moves or is too long. What an address may and may
 * not be was looked at when the entry was made, since it is its key.
 *
 * No call but the helpers that cannot be done without: on processors that guard
 * returns each costs as much as a look-up in an array.
 */
#ifndef RINGFENCE_QUICK_H
#define RINGFENCE_QUICK_H

#include "first.h"

/* How long ago the last packet was, at most; less than any timeout. */
#define RF_QUICK_NS 1000000000ULL

/* Whether an entry speaks for the packet without anything being asked again. */
static __always_inline int rf_quick_speaks(const struct rf_conn *conn, const struct rf_quick *q,
					   __u32 domain, __u64 now)
{
	if (q->tcp_flags & RF_TCP_SYN || conn->state != RF_CONN_ESTABLISHED || conn->denied ||
	    conn->reply_denied || conn->whose[0] != RF_WHOSE_IFACE ||
	    conn->whose[1] != RF_WHOSE_IFACE || now - conn->seen_ns > RF_QUICK_NS)
		return 0;
	return rf_conn_current(conn, domain);
}

/* The interface on that side of an entry. */
static __always_inline __u32 rf_quick_iface(const struct rf_conn *conn, __u32 side)
{
	return side ? conn->iface[1] : conn->iface[0];
}

/* The time that a tick of the kernel's began at. The call that asks for it costs as
 * much as a look-up of a connection, so a CPU asks once a tick. */
struct rf_tick {
	__u64 jiffies;
	__u64 ns; /* CLOCK_MONOTONIC */
};

RF_MAP(tick_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_tick, 1, 0);

static __always_inline __u64 rf_quick_now(void)
{
	__u64 jiffies = bpf_jiffies64();
	__u32 zero = 0;
	struct rf_tick *tick = bpf_map_lookup_elem(&tick_scratch, &zero);

	if (!tick)
		return 0;
	if (tick->jiffies != jiffies) {
		tick->jiffies = jiffies;
		tick->ns = bpf_ktime_get_coarse_ns();
	}
	return tick->ns;
}

/* The program's flow; only what the quick way reads of it is set. */
static __always_inline struct rf_flow *rf_quick_begin(void)
{
	__u32 zero = 0;
	struct rf_flow *flow = bpf_map_lookup_elem(&flow_scratch, &zero);

	if (!flow || rf_config.dry)
		return NULL;
	flow->left = 0;
	if (rf_config.record) {
		__builtin_memset(&flow->j, 0, sizeof(flow->j));
		flow->j.way = RF_WAY_QUICK;
	}
	return flow;
}

/* From a workload's device, of its own interface. */
static __always_inline int rf_quick_from_workload(struct __sk_buff *ctx,
						  const struct rf_device *device,
						  const struct rf_iface *iface)
{
	void *data = (void *)(long)ctx->data;
	struct rf_flow *flow = rf_quick_begin();
	__u64 now = rf_quick_now();
	struct rf_quick q = {};
	struct rf_conn *conn;
	struct rf_iface *to;
	__u32 side, index;
	int action;

	if (!flow || data + ETH_HLEN > (void *)(long)ctx->data_end ||
	    !rf_quick_same_mac(data + ETH_ALEN, iface->mac) ||
	    rf_quick_parse(ctx, iface->domain_id, &flow->tuple, &q))
		return RF_LONG_WAY;
	side = flow->tuple.side;
	conn = rf_conn_look_up(&flow->tuple);
	if (!conn) {
		struct rf_first *first = rf_first_begin();

		if (!first)
			return RF_LONG_WAY;
		first->counter = device->counter;
		first->domain = iface->domain;
		first->domain_id = iface->domain_id;
		first->vni = iface->vni;
		first->iface = device->ref;
		first->outer = 0;
		return rf_first(ctx, first, flow, &q, now);
	}
	if (!rf_quick_speaks(conn, &q, iface->domain, now) ||
	    rf_quick_iface(conn, side) != device->ref)
		return RF_LONG_WAY;
	index = rf_quick_iface(conn, !side);
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!to)
		return RF_LONG_WAY;
	action = rf_quick_forward(ctx, to, iface->domain_id, iface->vni, 1, flow, &q);
	if (flow->left) {
		rf_quick_advance(conn, side, &q, now);
		rf_count_from(device->counter);
	}
	return action;
}

/* From the overlay. A function of its own, off the stack of the long way. */
static __noinline int rf_quick_from_overlay(struct __sk_buff *ctx, const struct rf_device *device)
{
	struct rf_flow *flow = rf_quick_begin();
	struct bpf_tunnel_key key = {};
	__u64 now = rf_quick_now();
	struct rf_quick q = {};
	struct rf_conn *conn;
	struct rf_iface *to;
	struct rf_vni *vni;
	__u32 side, index;
	int action;

	if (!flow || bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), 0))
		return RF_LONG_WAY;
	index = key.tunnel_id;
	vni = bpf_map_lookup_elem(&rf_vnis, &index);
	if (!vni || rf_quick_parse(ctx, vni->domain_id, &flow->tuple, &q))
		return RF_LONG_WAY;
	side = flow->tuple.side;
	conn = rf_conn_look_up(&flow->tuple);
	if (!conn) {
		struct rf_first *first = rf_first_begin();

		if (!first)
			return RF_LONG_WAY;
		first->counter = device->counter;
		first->domain = vni->domain;
		first->domain_id = vni->domain_id;
		first->vni = key.tunnel_id;
		first->iface = 0;
		first->outer = bpf_htonl(key.remote_ipv4);
		return rf_first(ctx, first, flow, &q, now);
	}
	if (!rf_quick_speaks(conn, &q, vni->domain, now) ||
	    !rf_quick_outer_is(rf_quick_iface(conn, side), bpf_htonl(key.remote_ipv4)))
		return RF_LONG_WAY;
	index = rf_quick_iface(conn, !side);
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!to)
		return RF_LONG_WAY;
	action = rf_quick_forward(ctx, to, vni->domain_id, key.tunnel_id, 0, flow, &q);
	if (flow->left) {
		rf_quick_advance(conn, side, &q, now);
		rf_count_from(device->counter);
	}
	return action;
}

#endif
