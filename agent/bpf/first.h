/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The short way of most first packets: a SYN or a datagram that no entry speaks for,
 * between two interfaces' own addresses, of which both sides want their flows tracked.
 *
 * It asks what untracked.h asks, by the same steps of policy.h, in a row and each
 * address looked up once; and its entry is the one that flow.h would make. Whatever
 * else it meets goes the long way (RF_LONG_WAY), untouched.
 */
#ifndef RINGFENCE_FIRST_H
#define RINGFENCE_FIRST_H

#include "quick_forward.h"

/* A first packet at hand, off the stack as struct rf_pkt is. */
struct rf_first {
	__u32 counter; /* row of its device in rf_passed */
	__u32 domain;  /* index */
	__u32 domain_id;
	__u32 vni;	       /* of its network, or the frame's */
	__u32 iface;	       /* of the device: interface index; 0: it is the overlay's */
	__be32 outer;	       /* from the overlay: who sent the frame */
	struct rf_addr end[2]; /* as rf_addrs has them: of who opens, of who is asked */
};

RF_MAP(first_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_first, 1, 0);

static __always_inline struct rf_first *rf_first_begin(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&first_scratch, &zero);
}

/* Reads an end's entry at once: it is the agent's, and may go. */
static __always_inline int rf_first_end(__u32 domain_id, const struct rf_ip *ip, int is_v6,
					struct rf_addr *end)
{
	struct rf_addr *addr = rf_find_addr(domain_id, ip);

	if (!addr)
		return -1;
	*end = *addr;
	/* Nobody has such an address; the long way says what is wrong with it. */
	return !end->iface || rf_not_unicast(ip, is_v6) || rf_is_martian(ip, is_v6) ||
			       (is_v6 && rf_link_local(ip))
		       ? -1
		       : 0;
}

static __always_inline int rf_first_ends(const struct rf_tuple *tuple, struct rf_first *first)
{
	struct rf_ip ip;

	rf_tuple_ip(tuple, tuple->side, &ip);
	if (rf_first_end(first->domain_id, &ip, tuple->is_v6, &first->end[0]))
		return -1;
	rf_tuple_ip(tuple, !tuple->side, &ip);
	return rf_first_end(first->domain_id, &ip, tuple->is_v6, &first->end[1]);
}

/* As rf_judge, of two sides that both vote; -1: there is no such domain. */
static __always_inline int rf_first_judge(const struct rf_first *first, __u32 table, __u16 number,
					  struct rf_judgement *j)
{
	struct rf_profile *profile;
	struct rf_run *run = NULL;

	for (int i = 0; i < 2; i++) {
		j->epoch_ref[i] = first->end[i].epoch;
		j->epoch[i] = rf_epoch(first->end[i].epoch);
	}
	j->judged = 1;
	j->reply_denied = 0;
	if (rf_read_word(first->domain, j))
		return -1;
	for (int i = 0; i < 2; i++)
		j->answer.class_id[i] =
			j->slot ? first->end[i].class_id[1] : first->end[i].class_id[0];
	profile = rf_find_profile(first->domain_id, j->answer.class_id, j->slot);
	if (profile)
		run = rf_find_run(&profile->table[table], number);
	rf_answer_by(&j->answer, run);
	return 0;
}

/* Whether the frame says that it is for somebody else than an interface of its domain: for
 * the host's stack, or for many. */
static __always_inline int rf_first_is_other(struct __sk_buff *ctx, int from_workload)
{
	void *data = (void *)(long)ctx->data;
	__u16 gateway[3];

	if (data + ETH_HLEN > (void *)(long)ctx->data_end || *(__u8 *)data & 1)
		return 1;
	rf_quick_gateway(gateway);
	return from_workload && ctx->pkt_type == RF_PACKET_HOST &&
	       !rf_quick_same_mac(data, gateway);
}

/* The table of a protocol and the number in it, of a packet that may open a flow; -1: it
 * does not, or a service of ours is asked. */
static __always_inline int rf_first_question(const struct rf_tuple *tuple, const struct rf_quick *q,
					     __u16 *number)
{
	/* As they stand in the packet. */
	*number = bpf_ntohs(q->ports >> 16);
	if (rf_tuple_proto(tuple) == IPPROTO_TCP)
		return q->tcp_flags & RF_TCP_SYN ? RF_TABLE_TCP : -1;
	switch (*number) {
	case RF_DHCP4_SERVER_PORT:
	case RF_DHCP4_CLIENT_PORT:
	case RF_DHCP6_CLIENT_PORT:
	case RF_DHCP6_SERVER_PORT:
		return -1;
	}
	return RF_TABLE_UDP;
}

/* The entry of a flow that `from` opens to `to`, as rf_record_conn makes it. */
static __always_inline enum rf_reason
rf_first_keep(const struct rf_first *first, const struct rf_iface *from, const struct rf_iface *to,
	      const struct rf_flow *flow, const struct rf_quick *q, __u64 now)
{
	struct rf_conn *conn = rf_fresh_begin();
	__u32 side = flow->tuple.side;

	if (!conn)
		return RF_REASON_INTERNAL;
	conn->state = RF_CONN_OPENING;
	conn->origin = side;
	conn->life = rf_life(rf_tuple_proto(&flow->tuple));
	conn->iface[0] = side ? first->end[1].iface : first->end[0].iface;
	conn->iface[1] = side ? first->end[0].iface : first->end[1].iface;
	conn->whose[0] = conn->whose[1] = RF_WHOSE_IFACE;
	conn->origin_iface = first->end[0].iface;
	conn->remote_host = first->iface ? to->host : from->host;
	rf_conn_judged(conn, &flow->j);
	rf_quick_advance(conn, side, q, now);
	rf_charge_ifaces(from, to, &conn->charge);
	return rf_conn_open(&flow->tuple, conn, q->tcp_flags);
}

/* A packet for which there is no entry. Global, as rf_ask is. */
__noinline int rf_first(struct __sk_buff *ctx, struct rf_first *first, struct rf_flow *flow,
			const struct rf_quick *q, __u64 now)
{
	struct rf_iface *from, *to;
	enum rf_reason refused;
	int table, action;
	__u16 number;
	__u32 index;

	if (!first || !flow || !q)
		return RF_LONG_WAY;
	table = rf_first_question(&flow->tuple, q, &number);
	if (table < 0 || rf_config.verdict_off || rf_first_is_other(ctx, first->iface != 0) ||
	    rf_first_ends(&flow->tuple, first))
		return RF_LONG_WAY;
	if (first->iface ? first->end[0].iface != first->iface
			 : !rf_quick_outer_is(first->end[0].iface, first->outer))
		return RF_LONG_WAY;
	index = first->end[0].iface;
	from = bpf_map_lookup_elem(&rf_ifaces, &index);
	index = first->end[1].iface;
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!from || !to)
		return RF_LONG_WAY;
	if (rf_first_judge(first, table, number, &flow->j))
		return RF_LONG_WAY;
	if (rf_config.record)
		flow->j.way = RF_WAY_FIRST;
	/* What policies in audit would turn is counted there, too. */
	if (flow->j.answer.shadow_allows != flow->j.answer.allows * RF_SHADOW_FROM)
		return RF_LONG_WAY;
	if (!rf_allows(&flow->j))
		return rf_drop_judged(ctx, RF_REASON_POLICY_DENY, &flow->j);
	if ((flow->j.answer.notes & RF_STATEFUL_BOTH) != RF_STATEFUL_BOTH)
		return RF_LONG_WAY;
	action =
		rf_quick_forward(ctx, to, first->domain_id, first->vni, first->iface != 0, flow, q);
	if (!flow->left)
		return action;
	refused = rf_first_keep(first, from, to, flow, q, now);
	if (refused)
		return rf_drop_judged(ctx, refused, &flow->j);
	rf_count_from(first->counter);
	return action;
}

#endif
