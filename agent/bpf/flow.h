/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A packet's flow: what is found out about it, and what of that goes into its
 * connection's entry.
 */
#ifndef RINGFENCE_FLOW_H
#define RINGFENCE_FLOW_H

#include "audit.h"
#include "ends.h"
#include "life.h"

/* What is found out about a packet's flow; off the stack, as the packet is. */
struct rf_flow {
	struct rf_tuple tuple;
	struct rf_question q;
	struct rf_judgement j;
	struct rf_answer reply; /* to what answers it, if that matters */
	struct rf_ends ends;
	struct rf_ends quoted; /* of an ICMP error: as what answers the packet it quotes */
	__u32 reason;	       /* enum rf_reason: why it may not pass; 0: it may */
	__u32 tracked;	       /* 1: it opens a connection, once it is on its way */
	__u32 left;	       /* 1: nothing keeps it from its way out */
	__u32 adopted;	       /* 1: it is under way already, without a connection */
	__u32 turned;	       /* 1: the packet's destination opened it */
};

/* As `scratch`: the programs of a NIC have the second place. */
RF_MAP(flow_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_flow, 2, 0);

static __always_inline struct rf_flow *rf_flow_begin(const struct rf_pkt *pkt)
{
	__u32 place = pkt->from == RF_DEVICE_NIC;
	struct rf_flow *flow = bpf_map_lookup_elem(&flow_scratch, &place);

	if (flow)
		__builtin_memset(flow, 0, sizeof(*flow));
	return flow;
}

/* An entry on its way into its table, off the stack. */
RF_MAP(fresh_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_conn, 1, 0);

static __always_inline struct rf_conn *rf_fresh_begin(void)
{
	__u32 zero = 0;
	struct rf_conn *fresh = bpf_map_lookup_elem(&fresh_scratch, &zero);

	if (fresh)
		__builtin_memset(fresh, 0, sizeof(*fresh));
	return fresh;
}

/* One end of a connection. */
static __always_inline void rf_conn_end(const struct rf_conn *conn, __u32 side, struct rf_end *end)
{
	end->iface = side ? conn->iface[1] : conn->iface[0];
	end->whose = side ? conn->whose[1] : conn->whose[0];
	end->behind = end->iface && end->whose == RF_WHOSE_NOBODY ? conn->behind : 0;
}

/* The ends of a connection that is current as those of a packet of that side; why
 * there is no way to the other one, if there is none. */
static __noinline enum rf_reason rf_conn_ends(const struct rf_conn *conn, __u32 side,
					      struct rf_ends *ends)
{
	rf_conn_end(conn, side, &ends->from);
	rf_conn_end(conn, !side, &ends->to);
	return ends->to.behind && rf_still_behind(&ends->to) ? RF_REASON_NO_ROUTE : RF_REASON_NONE;
}

/* Puts into an entry where its ends are, given those of a packet of that side. */
static __always_inline void rf_conn_place(struct rf_conn *conn, const struct rf_pkt *pkt,
					  __u32 side, const struct rf_ends *ends)
{
	/* At most one end is not here, and a frame from there came by the overlay. */
	const struct rf_end *far = pkt->from == RF_DEVICE_OVERLAY ? &ends->from : &ends->to;

	conn->iface[0] = side ? ends->to.iface : ends->from.iface;
	conn->iface[1] = side ? ends->from.iface : ends->to.iface;
	conn->whose[0] = side ? ends->to.whose : ends->from.whose;
	conn->whose[1] = side ? ends->from.whose : ends->to.whose;
	conn->origin_iface = conn->origin == side ? ends->from.iface : ends->to.iface;
	/* Between two that are nobody's nobody votes, so only one can be. */
	conn->behind = ends->from.behind ? ends->from.behind : ends->to.behind;
	conn->remote_host = rf_host_of(pkt, far);
}

/* Finds out where the ends of a connection are by now: an address may have moved,
 * joined or left. The host's stay the host's, and what is nobody's stays behind
 * the interface that sent from it. */
static __noinline enum rf_reason rf_find_ends_again(const struct rf_pkt *pkt,
						    const struct rf_conn *conn, __u32 side,
						    struct rf_ends *ends)
{
	enum rf_reason reason = rf_find_source(pkt, &ends->from);
	struct rf_end was;

	if (reason)
		return reason;
	rf_conn_end(conn, side, &was);
	if (!rf_may_become(&was, &ends->from)) {
		/* As it is where the entry is current. */
		reason = rf_check_source(pkt, &was);
		return reason ? reason : RF_REASON_INTERNAL;
	}
	rf_conn_end(conn, !side, &was);
	if (was.whose == RF_WHOSE_HOST) {
		rf_end_host(&ends->to);
		return RF_REASON_NONE;
	}
	if (pkt->to_host)
		return RF_REASON_DESTINATION_MAC;
	reason = rf_find_destination(pkt, &ends->to);
	if (ends->to.whose == RF_WHOSE_GATEWAY)
		return RF_REASON_GATEWAY_SERVICE;
	if (!was.behind || !rf_is_nobodys(&ends->to))
		return reason;
	ends->to = was;
	return rf_still_behind(&ends->to) ? RF_REASON_NO_ROUTE : RF_REASON_NONE;
}

/* Says in a question which of its ends is the host's stack, and which vote. */
static __always_inline void rf_question_ends(struct rf_question *q, const struct rf_end *opener,
					     const struct rf_end *asked)
{
	q->host = (opener->whose == RF_WHOSE_HOST) | (asked->whose == RF_WHOSE_HOST) << 1;
	q->votes = rf_votes(opener, asked);
}

/*
 * Whether a voting side that is stateless refuses what answers, given the ends
 * of who opened, side `from` of the tuple, and of who was asked. A reply is judged
 * by the same slot as what it answers.
 */
static __noinline __u32 rf_refuses_reply(struct rf_flow *flow, __u32 from, __u32 domain,
					 const struct rf_end *opener, const struct rf_end *asked)
{
	/* RF_ALLOW_*, RF_STATEFUL_*: each side's bit is the same. */
	__u32 stateless = rf_votes(opener, asked) & ~flow->j.answer.notes;
	__u32 allows;

	if (!stateless)
		return 0;
	rf_conn_question(&flow->tuple, !from, 1, domain, &flow->q);
	rf_question_ends(&flow->q, asked, opener);
	rf_ask(&flow->q, flow->j.slot, &flow->reply);
	allows = flow->reply.allows;
	/* Who opened is who is asked now. */
	return (stateless & RF_ALLOW_FROM && !(allows & RF_ALLOW_TO)) ||
	       (stateless & RF_ALLOW_TO && !(allows & RF_ALLOW_FROM));
}

/* Whom a new flow is charged to, by the interfaces of who opened it and who was asked; NULL:
 * there is none. Who is asked pays for what interfaces open on its own host alone: there is
 * where it is kept from others. */
static __always_inline void rf_charge_ifaces(const struct rf_iface *opener,
					     const struct rf_iface *asked, struct rf_charge *charge)
{
	charge->account[0] = opener ? opener->account : 0;
	charge->from_outside = !opener;
	if (asked && (!opener || asked->host == RF_HOST_HERE))
		charge->account[1] = asked->account;
}

static __always_inline void rf_charge_of(const struct rf_end *from, const struct rf_end *to,
					 struct rf_charge *charge)
{
	__u32 index = from->iface;
	struct rf_iface *opener = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
	struct rf_iface *asked;

	index = to->iface;
	asked = index ? bpf_map_lookup_elem(&rf_ifaces, &index) : NULL;
	rf_charge_ifaces(opener, asked, charge);
}

/* Makes the connection of a flow that a packet has just opened; why there is none. */
static __noinline enum rf_reason rf_record_conn(const struct rf_pkt *pkt,
						const struct rf_flow *flow, __u64 now)
{
	struct rf_conn *conn = rf_fresh_begin();

	if (!conn)
		return RF_REASON_INTERNAL;
	if (rf_config.dry)
		return RF_REASON_NONE;
	conn->state = flow->adopted ? RF_CONN_ESTABLISHED : RF_CONN_OPENING;
	conn->origin = flow->tuple.side ^ flow->turned;
	conn->life = rf_life(pkt->l4_proto);
	rf_conn_place(conn, pkt, flow->tuple.side, &flow->ends);
	rf_conn_judged(conn, &flow->j);
	rf_conn_advance(conn, pkt, flow->tuple.side, now);
	if (flow->turned)
		rf_charge_of(&flow->ends.to, &flow->ends.from, &conn->charge);
	else
		rf_charge_of(&flow->ends.from, &flow->ends.to, &conn->charge);
	return rf_conn_open(&flow->tuple, conn, pkt->tcp_flags);
}

/* Judges a connection again, in the direction it was opened in; `flow` has the
 * ends of a packet of either side. */
static __noinline void rf_judge_again(const struct rf_pkt *pkt, const struct rf_conn *conn,
				      struct rf_flow *flow)
{
	int answers = conn->origin != flow->tuple.side;
	const struct rf_end *opener = answers ? &flow->ends.to : &flow->ends.from;
	const struct rf_end *asked = answers ? &flow->ends.from : &flow->ends.to;

	rf_conn_question(&flow->tuple, conn->origin & 1, 0, pkt->domain, &flow->q);
	rf_question_ends(&flow->q, opener, asked);
	rf_judge(&flow->q, &flow->j);
	rf_count_audit(&flow->j.answer, pkt->domain_id, opener->iface, asked->iface);
	flow->j.reply_denied = rf_refuses_reply(flow, conn->origin & 1, pkt->domain, opener, asked);
}

/* Puts the new judgement into a connection's entry, and where its ends are by
 * now; its charge stays what it was. The entry stays, also when denied: a later change
 * may allow it again. The entry that is there now; NULL: there was no room for it. */
static __noinline struct rf_conn *rf_renew_conn(const struct rf_pkt *pkt, struct rf_conn *conn,
						const struct rf_flow *flow)
{
	struct rf_conn *fresh = rf_fresh_begin();

	if (!fresh)
		return NULL;
	/* Another CPU is at it. */
	if (!rf_conn_claim(&flow->tuple, conn))
		return rf_conn_look_up(&flow->tuple);
	*fresh = *conn;
	fresh->over = 0;
	fresh->charge.half_open = __sync_lock_test_and_set(&conn->charge.half_open, 0);
	rf_conn_place(fresh, pkt, flow->tuple.side, &flow->ends);
	rf_conn_judged(fresh, &flow->j);
	if (rf_conn_replace(&flow->tuple, conn, fresh))
		return NULL;
	return rf_conn_look_up(&flow->tuple);
}

#endif
