/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The life of a connection's entry: made with a charge, replaced by one that was judged
 * anew, deleted by the sweep. No process has a part in it, so it goes on while the
 * agent is dead.
 *
 * rf_clock has the tuple of every entry, for the sweep (sweep.h).
 *
 * Who claims an entry, by its `over`, alone deletes or replaces it, and gives back or
 * hands on what it was charged. Who comes second leaves it as it is.
 */
#ifndef RINGFENCE_LIFE_H
#define RINGFENCE_LIFE_H

#include "budget.h"
#include "conn.h"

/* include/uapi/asm-generic/errno-base.h */
#define RF_EEXIST 17

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, RF_CLOCK);
	__type(value, struct rf_tuple);
} rf_clock SEC(".maps");

RF_MAP(rf_sweep, BPF_MAP_TYPE_ARRAY, __u32, struct rf_sweep, 1, 0);

/*
 * Claims the entry that was found under the tuple; 0: it is another's to end. The memory
 * of one that was deleted is another flow's at the next insertion, so only one that is
 * still under its tuple afterwards is ours; the other flow gets its own back, to end.
 */
static __always_inline int rf_conn_claim(const struct rf_tuple *tuple, struct rf_conn *conn)
{
	if (__sync_lock_test_and_set(&conn->over, 1))
		return 0;
	if (rf_conn_look_up(tuple) == conn)
		return 1;
	__sync_lock_test_and_set(&conn->over, 0);
	return 0;
}

static __always_inline long rf_conn_put(const struct rf_tuple *tuple, const struct rf_conn *conn,
					__u64 flags)
{
	if (tuple->is_v6)
		return bpf_map_update_elem(&rf_conns6, &tuple->v6, conn, flags);
	return bpf_map_update_elem(&rf_conns4, &tuple->v4, conn, flags);
}

static __always_inline void rf_conn_remove(const struct rf_tuple *tuple)
{
	if (tuple->is_v6)
		bpf_map_delete_elem(&rf_conns6, &tuple->v6);
	else
		bpf_map_delete_elem(&rf_conns4, &tuple->v4);
}

/* Sees to it that an entry that was just put there ends; -1: nobody would. */
static __always_inline int rf_conn_begin(const struct rf_tuple *tuple)
{
	__u32 zero = 0;
	struct rf_sweep *sweep = bpf_map_lookup_elem(&rf_sweep, &zero);

	if (!sweep || bpf_map_push_elem(&rf_clock, tuple, 0))
		return -1;
	__sync_fetch_and_add(&sweep->waiting, 1);
	return 0;
}

/* Puts an entry in the place of one that the caller has claimed. If there is no room,
 * neither is left, and what this one was charged is given back. */
static __noinline enum rf_reason rf_conn_replace(const struct rf_tuple *tuple,
						 const struct rf_conn *old, struct rf_conn *conn)
{
	/* The clock has what is there, but for what the agent put there, and what it lost. */
	int is_new = old->domain_epoch == RF_EPOCH_NEVER;

	if (!rf_conn_put(tuple, conn, BPF_ANY) && !(is_new && rf_conn_begin(tuple)))
		return RF_REASON_NONE;
	rf_conn_remove(tuple);
	rf_charge_release(&conn->charge);
	return RF_REASON_TABLE_FULL;
}

/*
 * Puts the entry of a flow that the packet opens there, and charges it. What is left
 * there of an earlier flow makes way; if another CPU was first with this one, its
 * entry speaks for both.
 */
static __noinline enum rf_reason rf_conn_open(const struct rf_tuple *tuple, struct rf_conn *conn,
					      __u8 tcp_flags)
{
	enum rf_reason reason = rf_charge_open(&conn->charge);
	struct rf_conn *old;
	long error;

	if (reason)
		return reason;
	/* It may have been adopted. */
	if (conn->state != RF_CONN_OPENING)
		rf_charge_answered(&conn->charge);
	error = rf_conn_put(tuple, conn, BPF_NOEXIST);
	if (!error && !rf_conn_begin(tuple))
		return RF_REASON_NONE;
	if (error == -RF_EEXIST) {
		old = rf_conn_look_up(tuple);
		if (old &&
		    (rf_conn_expired(old, conn->seen_ns) ||
		     rf_conn_reopens(old, tuple, tcp_flags)) &&
		    rf_conn_claim(tuple, old)) {
			rf_charge_release(&old->charge);
			return rf_conn_replace(tuple, old, conn);
		}
	} else {
		reason = RF_REASON_TABLE_FULL;
		if (!error)
			rf_conn_remove(tuple);
	}
	rf_charge_release(&conn->charge);
	return reason;
}

/* What a packet that passes does to its entry, and so to its charge. */
static __always_inline void rf_conn_pass(struct rf_conn *conn, const struct rf_pkt *pkt, __u32 side,
					 __u64 now)
{
	__u32 was = conn->state;

	rf_conn_advance(conn, pkt, side, now);
	if (conn->state != was &&
	    (conn->state == RF_CONN_ESTABLISHED || conn->state == RF_CONN_CLOSING))
		rf_charge_answered(&conn->charge);
}

#endif
