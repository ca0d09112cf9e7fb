/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A packet's flow: what is found out about it, and what of that goes into its
 * connection's entry.
 */
#ifndef RINGFENCE_FLOW_H
#define RINGFENCE_FLOW_H

#include "audit.h"
#include "conn.h"
#include "ends.h"

/* What is found out about a packet's flow; off the stack, as the packet is. */
struct rf_flow {
	struct rf_tuple tuple;
	struct rf_judgement j;
	struct rf_ends ends;
	__u32 left; /* 1: nothing keeps it from its way out */
};

RF_MAP(flow_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_flow, 1, 0);

static __always_inline struct rf_flow *rf_flow_begin(void)
{
	__u32 zero = 0;
	struct rf_flow *flow = bpf_map_lookup_elem(&flow_scratch, &zero);

	if (flow)
		__builtin_memset(flow, 0, sizeof(*flow));
	return flow;
}

/* The ends of a connection as those of a packet of that side. */
static __always_inline void rf_conn_ends(const struct rf_conn *conn, __u32 side,
					 struct rf_ends *ends)
{
	ends->from = side ? conn->iface[1] : conn->iface[0];
	ends->to = side ? conn->iface[0] : conn->iface[1];
}

/* Puts into an entry where its ends are, given those of a packet of that side. */
static __always_inline void rf_conn_place(struct rf_conn *conn, const struct rf_pkt *pkt,
					  __u32 side, const struct rf_ends *ends)
{
	/* At most one end is not here, and a frame from there came by the overlay. */
	__u32 far = pkt->from == RF_DEVICE_OVERLAY ? ends->from : ends->to;

	conn->iface[0] = side ? ends->to : ends->from;
	conn->iface[1] = side ? ends->from : ends->to;
	conn->origin_iface = conn->origin == side ? ends->from : ends->to;
	conn->remote_host = rf_host_of(pkt, far);
}

static __noinline int rf_record_conn(const struct rf_pkt *pkt, const struct rf_flow *flow)
{
	struct rf_conn conn = {
		.state = RF_CONN_OPENING,
		.origin = flow->tuple.side,
	};

	rf_conn_place(&conn, pkt, flow->tuple.side, &flow->ends);
	rf_conn_judged(&conn, &flow->j);
	rf_conn_advance(&conn, pkt, flow->tuple.side, bpf_ktime_get_coarse_ns());
	return rf_conn_put(&flow->tuple, &conn);
}

/* Judges a connection again, in the direction it was opened in; `flow` has the
 * ends of a packet of either side. */
static __noinline void rf_judge_again(const struct rf_pkt *pkt, const struct rf_conn *conn,
				      struct rf_flow *flow)
{
	__u32 replies = conn->origin != flow->tuple.side;
	struct rf_question q = {};

	rf_conn_question(&flow->tuple, conn->origin & 1, pkt->domain, &q);
	rf_judge(&q, &flow->j);
	rf_count_audit(&flow->j, pkt->domain_id, replies ? flow->ends.to : flow->ends.from,
		       replies ? flow->ends.from : flow->ends.to);
}

/* Puts the new judgement into a connection's entry, and where its ends are by
 * now: an address may have moved, joined or left. The entry stays, also when
 * denied: a later change may allow it again. NULL: there is no room. */
static __noinline struct rf_conn *
rf_renew_conn(const struct rf_pkt *pkt, const struct rf_conn *conn, const struct rf_flow *flow)
{
	struct rf_conn fresh = *conn;

	rf_conn_place(&fresh, pkt, flow->tuple.side, &flow->ends);
	rf_conn_judged(&fresh, &flow->j);
	if (rf_conn_put(&flow->tuple, &fresh))
		return NULL;
	return rf_conn_look_up(&flow->tuple);
}

#endif
