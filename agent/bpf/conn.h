/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Connections: the key of a packet, the entry under it, and what a packet does
 * to the entry's state.
 *
 * What was judged (epochs, rules, denied) never changes in an entry: it is
 * replaced by a new one as a whole (life.h), so that two CPUs that judge at the same
 * time cannot leave the verdict of one under the epochs of the other. Only state and
 * counters change in place.
 *
 * An entry that is deleted or replaced meanwhile is no other flow's memory until the next
 * insertion. So what was found is used at once, or found again: after a judgement
 * (flow.h) and before it is ended (life.h).
 */
#ifndef RINGFENCE_CONN_H
#define RINGFENCE_CONN_H

#include "policy.h"
#include "tcp.h"

struct rf_tuple {
	union {
		struct rf_conn4_key v4;
		struct rf_conn6_key v6;
	};
	__u8 is_v6;
	__u8 side; /* of the packet's source: 0 low, 1 high */
};

static __always_inline __u8 rf_tuple_proto(const struct rf_tuple *tuple)
{
	return tuple->is_v6 ? tuple->v6.l4_proto : tuple->v4.l4_proto;
}

/* Whether a comes after b, as big-endian numbers. */
static __always_inline int rf_ip_after(const struct rf_ip *a, const struct rf_ip *b)
{
	const __be32 *x = (const void *)a, *y = (const void *)b;

	for (int i = 0; i < 4; i++) {
		if (x[i] != y[i])
			return bpf_ntohl(x[i]) > bpf_ntohl(y[i]);
	}
	return 0;
}

static __always_inline void rf_tuple_make(struct rf_tuple *tuple, const struct rf_pkt *pkt)
{
	__u32 source;

	if (rf_ip_equal(&pkt->src, &pkt->dst))
		source = bpf_ntohs(pkt->sport) > bpf_ntohs(pkt->dport);
	else
		source = rf_ip_after(&pkt->src, &pkt->dst);
	tuple->side = source;
	tuple->is_v6 = pkt->is_v6;
	if (pkt->is_v6) {
		struct rf_conn6_key *key = &tuple->v6;

		key->domain_id = pkt->domain_id;
		key->l4_proto = pkt->l4_proto;
		key->ip[0] = source ? pkt->dst : pkt->src;
		key->ip[1] = source ? pkt->src : pkt->dst;
		key->port[0] = source ? pkt->dport : pkt->sport;
		key->port[1] = source ? pkt->sport : pkt->dport;
	} else {
		struct rf_conn4_key *key = &tuple->v4;
		__be32 src = rf_ip_v4(&pkt->src), dst = rf_ip_v4(&pkt->dst);

		key->domain_id = pkt->domain_id;
		key->l4_proto = pkt->l4_proto;
		key->ip[0] = source ? dst : src;
		key->ip[1] = source ? src : dst;
		key->port[0] = source ? pkt->dport : pkt->sport;
		key->port[1] = source ? pkt->sport : pkt->dport;
	}
}

static __always_inline __u8 rf_life(__u8 l4_proto)
{
	switch (l4_proto) {
	case IPPROTO_TCP:
		return RF_LIFE_TCP;
	case IPPROTO_UDP:
		return RF_LIFE_UDP;
	case IPPROTO_ICMP:
	case RF_IPPROTO_ICMPV6:
		return RF_LIFE_ICMP;
	case RF_IPPROTO_SCTP:
		return RF_LIFE_SCTP;
	default:
		return RF_LIFE_OTHER;
	}
}

/* How long an entry lives without a packet, as it is now. */
static __always_inline __u64 rf_conn_timeout(const struct rf_conn *conn)
{
	__u32 state = conn->state;

	/* Where clang knows the state it leaves the mask out, which the verifier needs. */
	barrier_var(state);
	return rf_config.timeout_ns[conn->life & (RF_LIVES - 1)][state & (RF_CONN_STATES - 1)];
}

static __always_inline int rf_conn_expired(const struct rf_conn *conn, __u64 now)
{
	/* Another CPU may have stamped it after `now` was read. */
	return now > conn->seen_ns && now - conn->seen_ns > rf_conn_timeout(conn);
}

static __always_inline struct rf_conn *rf_conn_look_up(const struct rf_tuple *tuple)
{
	struct rf_conn *conn;

	if (tuple->is_v6) {
		conn = bpf_map_lookup_elem(&rf_conns6, &tuple->v6);
		RF_KEEP_APART(conn);
		return conn;
	}
	return bpf_map_lookup_elem(&rf_conns4, &tuple->v4);
}

/* The entry that is still good for something; the others wait for the sweep. */
static __always_inline struct rf_conn *rf_conn_find(const struct rf_tuple *tuple, __u64 now)
{
	struct rf_conn *conn = rf_config.dry ? NULL : rf_conn_look_up(tuple);

	return conn && !rf_conn_expired(conn, now) ? conn : NULL;
}

/* Whether what it was judged by still holds. Array reads only. */
static __always_inline int rf_conn_current(const struct rf_conn *conn, __u32 domain)
{
	__u64 *word = bpf_map_lookup_elem(&rf_domain_words, &domain);

	return word && (__u32)*word == conn->domain_epoch &&
	       rf_epoch(conn->epoch_ref[0]) == conn->epoch[0] &&
	       rf_epoch(conn->epoch_ref[1]) == conn->epoch[1];
}

/*
 * Whether the packet begins anew what the entry is about: a SYN on a connection
 * that is over or was cut, and without SYNs a packet of the other side of one
 * that was cut, since it is no reply to anything then.
 */
static __always_inline int rf_conn_reopens(const struct rf_conn *conn, const struct rf_tuple *tuple,
					   __u8 tcp_flags)
{
	if (rf_tuple_proto(tuple) == IPPROTO_TCP)
		return (tcp_flags & (RF_TCP_SYN | RF_TCP_ACK | RF_TCP_RST)) == RF_TCP_SYN &&
		       (conn->denied || conn->state == RF_CONN_CLOSED);
	return conn->denied && conn->origin != tuple->side;
}

/* What a packet that passes does to the entry. */
static __always_inline void rf_conn_advance(struct rf_conn *conn, const struct rf_pkt *pkt,
					    __u32 side, __u64 now)
{
	side &= 1;
	conn->seen_ns = now;
	conn->packets[side] += 1;
	conn->bytes[side] += pkt->l3_len;
	if (pkt->l4_proto == IPPROTO_TCP)
		rf_tcp_advance(conn, pkt->tcp_flags, side);
	else if (conn->state == RF_CONN_OPENING && side != conn->origin)
		conn->state = RF_CONN_ESTABLISHED;
}

/* Puts a judgement into an entry; sides turn from (who opened, who was asked) to (low, high). */
static __always_inline void rf_conn_judged(struct rf_conn *conn, const struct rf_judgement *j)
{
	__u32 low = conn->origin & 1;

	conn->domain_epoch = j->domain_epoch;
	conn->epoch_ref[0] = low ? j->epoch_ref[1] : j->epoch_ref[0];
	conn->epoch_ref[1] = low ? j->epoch_ref[0] : j->epoch_ref[1];
	conn->epoch[0] = low ? j->epoch[1] : j->epoch[0];
	conn->epoch[1] = low ? j->epoch[0] : j->epoch[1];
	conn->from_rule = j->answer.rule[0];
	conn->to_rule = j->answer.rule[1];
	conn->denied = !rf_allows(j);
	conn->reply_denied = j->reply_denied;
}

static __always_inline void rf_tuple_ip(const struct rf_tuple *tuple, __u32 side, struct rf_ip *ip)
{
	if (tuple->is_v6)
		*ip = side ? tuple->v6.ip[1] : tuple->v6.ip[0];
	else
		rf_ip_map4(ip, side ? tuple->v4.ip[1] : tuple->v4.ip[0]);
}

/* Puts the question that a packet of a connection puts, sent by side `from`: the
 * one that opened it, or what answers that. */
static __noinline void rf_conn_question(const struct rf_tuple *tuple, __u32 from, __u32 answers,
					__u32 domain, struct rf_question *q)
{
	__u8 l4_proto = rf_tuple_proto(tuple);
	__be16 port;

	if (tuple->is_v6)
		port = from ? tuple->v6.port[0] : tuple->v6.port[1];
	else
		port = from ? tuple->v4.port[0] : tuple->v4.port[1];
	q->domain = domain;
	q->domain_id = tuple->is_v6 ? tuple->v6.domain_id : tuple->v4.domain_id;
	rf_tuple_ip(tuple, from, &q->ip[0]);
	rf_tuple_ip(tuple, !from, &q->ip[1]);
	q->number = bpf_ntohs(port);
	switch (l4_proto) {
	case IPPROTO_TCP:
		q->table = RF_TABLE_TCP;
		break;
	case IPPROTO_UDP:
		q->table = RF_TABLE_UDP;
		break;
	case RF_IPPROTO_SCTP:
		q->table = RF_TABLE_SCTP;
		break;
	case IPPROTO_ICMP: /* Only an echo request opens one. */
		q->table = RF_TABLE_ICMP;
		q->number = answers ? 0 : 8 << 8;
		break;
	case RF_IPPROTO_ICMPV6:
		q->table = RF_TABLE_ICMP6;
		q->number = (answers ? 129 : 128) << 8;
		break;
	default:
		q->table = RF_TABLE_OTHER;
		q->number = l4_proto;
	}
}

#endif
