/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * From a parsed packet to its end: by its connection if it has one, else by who
 * its addresses are and what policy says of them. The same for every way in.
 */
#ifndef RINGFENCE_DECIDE_H
#define RINGFENCE_DECIDE_H

#include "echo.h"
#include "forward.h"
#include "frag.h"
#include "icmp_error.h"
#include "untracked.h"

/* The connection that speaks for a packet; NULL: none does. flow->reason says why
 * the packet may not pass, if it may not. */
static __noinline struct rf_conn *rf_ask_conn(const struct rf_pkt *pkt, struct rf_flow *flow,
					      __u64 now)
{
	struct rf_conn *conn = NULL;
	enum rf_reason no_way;
	__u32 side, denied, reply_denied;
	int current;

	rf_tuple_make(&flow->tuple, pkt);
	side = flow->tuple.side;
	if (pkt->icmp_role != RF_ICMP_OTHER)
		conn = rf_conn_find(&flow->tuple, now);
	if (!conn || rf_conn_reopens(conn, &flow->tuple, pkt->tcp_flags))
		return NULL;
	current = rf_conn_current(conn, pkt->domain);
	if (current) {
		no_way = rf_conn_ends(conn, side, &flow->ends);
		flow->reason = rf_check_source(pkt, &flow->ends.from);
		if (!flow->reason)
			flow->reason = no_way;
	} else {
		flow->reason = rf_find_ends_again(pkt, conn, side, &flow->ends);
	}
	if (flow->reason)
		return conn;
	/* Both sides may use one echo identifier; only who opened may ask. */
	if (pkt->icmp_role && (pkt->icmp_role == RF_ICMP_REQUEST) != (conn->origin == side)) {
		flow->reason = RF_REASON_NO_CONNECTION;
		return conn;
	}
	if (!current) {
		rf_judge_again(pkt, conn, flow);
		denied = !rf_allows(&flow->j);
		reply_denied = flow->j.reply_denied;
		conn = rf_renew_conn(pkt, conn, flow);
		if (!conn) {
			flow->reason = RF_REASON_TABLE_FULL;
			return NULL;
		}
		/* By another CPU's judgement, if that was first. Else by our own, although what
		 * we judged by has changed since. */
		current = rf_conn_current(conn, pkt->domain);
	}
	if (current) {
		denied = conn->denied;
		reply_denied = conn->reply_denied;
	}
	if (denied || (reply_denied && conn->origin != side))
		flow->reason = RF_REASON_POLICY_DENY;
	return conn;
}

/* Why the packet may not pass whatever policy says: by where its ends are. */
static __always_inline enum rf_reason rf_find_way(const struct rf_pkt *pkt, struct rf_ends *ends)
{
	enum rf_reason reason = rf_find_ends(pkt, ends);

	return !reason && ends->to.whose == RF_WHOSE_GATEWAY ? RF_REASON_GATEWAY_SERVICE : reason;
}

/* Finds out whether a packet may pass: by its connection, which is returned, by
 * the flow that it tells an error of, or else by policy. */
static __always_inline struct rf_conn *rf_may_pass(struct __sk_buff *ctx, const struct rf_pkt *pkt,
						   struct rf_flow *flow, __u64 now)
{
	struct rf_conn *conn = NULL;

	if (rf_config.verdict_off) {
		flow->reason = rf_find_way(pkt, &flow->ends);
		return NULL;
	}
	if (pkt->icmp_role == RF_ICMP_ERROR) {
		if (rf_ask_quoted(ctx, pkt, flow, now))
			return NULL;
	} else {
		conn = rf_ask_conn(pkt, flow, now);
		if (conn || flow->reason)
			return conn;
	}
	flow->reason = rf_ask_policy(pkt, flow);
	return NULL;
}

/* Keeps in its connection, or in a new one if it opens one, that a packet is on its
 * way. Only then: what does not get away has no connection. And early enough,
 * since a redirect takes place after the program. */
static __always_inline enum rf_reason rf_keep(struct __sk_buff *ctx, const struct rf_pkt *pkt,
					      const struct rf_flow *flow, struct rf_conn *conn,
					      __u64 now)
{
	if (pkt->fragment == RF_FRAGMENT_FIRST && rf_frag_keep(pkt, ctx->ifindex))
		return RF_REASON_FRAGMENT_BUDGET;
	if (conn) {
		rf_conn_pass(conn, pkt, flow->tuple.side, now);
		return RF_REASON_NONE;
	}
	if (!flow->tracked)
		return RF_REASON_NONE;
	/* Its first one did not get that far. */
	if (pkt->fragment == RF_FRAGMENT_LATER)
		return RF_REASON_FRAGMENT;
	return rf_record_conn(pkt, flow, now);
}

/* Every IP packet that is to go somewhere, after its way in has been checked. */
static __noinline int rf_decide(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_flow *flow = rf_flow_begin(pkt);
	enum rf_reason refused;
	struct rf_conn *conn;
	int action;

	if (!flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	conn = rf_may_pass(ctx, pkt, flow, now);
	if (flow->reason == RF_REASON_GATEWAY_SERVICE && !conn && pkt->from == RF_DEVICE_WORKLOAD &&
	    rf_to_gateway(pkt))
		return rf_answer_echo(ctx, pkt);
	if (flow->reason)
		return rf_drop_judged(ctx, flow->reason, &flow->j);
	action = rf_forward(ctx, pkt, &flow->ends.to, flow);
	if (!flow->left)
		return action;
	refused = rf_keep(ctx, pkt, flow, conn, now);
	if (refused)
		return rf_drop_judged(ctx, refused, &flow->j);
	rf_count_from(pkt->counter);
	return action;
}

/* The frame is for the workload behind the device, by its address and MAC. */
static __noinline int rf_is_for_device(const struct rf_pkt *pkt, const struct rf_end *end)
{
	__u32 index = end->iface;
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	__u8 mac[6];

	return iface && rf_is_sender(pkt, index) &&
	       !rf_end_mac(pkt->domain_id, &pkt->dst, end, iface, mac) &&
	       rf_mac_equal(pkt->dst_mac, mac);
}

/* A packet of the host's own stack that is about to leave by a workload's device.
 * What is not for it has one reason: the stack speaks to every device unasked. */
static __noinline int rf_decide_from_host(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_flow *flow = rf_flow_begin(pkt);
	enum rf_reason refused;
	struct rf_conn *conn;

	if (!flow)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	conn = rf_may_pass(ctx, pkt, flow, now);
	if (flow->reason || !rf_is_for_device(pkt, &flow->ends.to))
		return rf_drop_judged(ctx, RF_REASON_FROM_HOST, &flow->j);
	refused = rf_keep(ctx, pkt, flow, conn, now);
	if (refused)
		return rf_drop_judged(ctx, refused, &flow->j);
	return rf_deliver(ctx, pkt->counter, &flow->j);
}

#endif
