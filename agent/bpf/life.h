/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The life of a connection's entry: made with a charge and a timer, replaced by one
 * that was judged anew, deleted by its timer. No process has a part in it, so it
 * goes on while the agent is dead.
 *
 * Memory for a timer comes from the kernel's reserves at once or not at all: in a burst of
 * new flows there may be none. Such an entry waits in rf_late, and every flow that
 * wants to begin later looks after two that wait.
 *
 * Who puts an entry's `over` to 1 alone deletes or replaces it, and gives back or
 * hands on what it was charged. Who comes second leaves it as it is.
 */
#ifndef RINGFENCE_LIFE_H
#define RINGFENCE_LIFE_H

#include "budget.h"
#include "conn.h"

/* include/uapi/linux/time.h */
#define RF_CLOCK_MONOTONIC 1
/* include/uapi/asm-generic/errno-base.h */
#define RF_EBUSY 16
#define RF_EEXIST 17

/* The stamps of packets are of a clock that ticks; a timer that fired within the
 * tick of the last packet would come once more. */
#define RF_TICK_NS 10000000ULL

static __always_inline int rf_conn_claim(struct rf_conn *conn)
{
	return !__sync_lock_test_and_set(&conn->over, 1);
}

/* Deletes the entry, if its time is over; else comes again when it may be. */
static int rf_conn_timer(void *map, void *key, struct rf_conn *conn)
{
	__u64 now = bpf_ktime_get_coarse_ns(), timeout = rf_conn_timeout(conn);
	__u64 idle = now > conn->seen_ns ? now - conn->seen_ns : 0;

	if (idle <= timeout) {
		bpf_timer_start(&conn->timer, timeout - idle + RF_TICK_NS, 0);
	} else if (rf_conn_claim(conn)) {
		rf_charge_release(&conn->charge);
		bpf_map_delete_elem(map, key);
	}
	return 0;
}

/* Sets the timer of an entry that was just put there; -1: there is no room for one.
 * If another CPU replaced it meanwhile, the timer of that one is set already. */
static __noinline int rf_conn_wind(const struct rf_tuple *tuple)
{
	struct rf_conn *conn;
	long error;

	if (tuple->is_v6) {
		conn = bpf_map_lookup_elem(&rf_conns6, &tuple->v6);
		error = conn ? bpf_timer_init(&conn->timer, &rf_conns6, RF_CLOCK_MONOTONIC) : 0;
	} else {
		conn = bpf_map_lookup_elem(&rf_conns4, &tuple->v4);
		error = conn ? bpf_timer_init(&conn->timer, &rf_conns4, RF_CLOCK_MONOTONIC) : 0;
	}
	if (!conn || error == -RF_EBUSY)
		return 0;
	if (error || bpf_timer_set_callback(&conn->timer, rf_conn_timer) ||
	    bpf_timer_start(&conn->timer, rf_conn_timeout(conn) + RF_TICK_NS, 0))
		return -1;
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

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, RF_LATE);
	__type(value, struct rf_tuple);
} rf_late SEC(".maps");

/* Sees to it that an entry that was just put there ends; -1: nobody would. */
static __always_inline int rf_conn_begin(const struct rf_tuple *tuple)
{
	return rf_conn_wind(tuple) && bpf_map_push_elem(&rf_late, tuple, 0) ? -1 : 0;
}

/* Looks after an entry that waits for a timer, if one does: deletes it, or tries again. */
static __noinline void rf_conn_catch_up(__u64 now)
{
	struct rf_tuple late;
	struct rf_conn *conn;

	if (bpf_map_pop_elem(&rf_late, &late))
		return;
	conn = rf_conn_look_up(&late);
	if (!conn)
		return;
	if (!rf_conn_expired(conn, now)) {
		rf_conn_begin(&late);
	} else if (rf_conn_claim(conn)) {
		rf_charge_release(&conn->charge);
		rf_conn_remove(&late);
	}
}

/* Puts an entry in the place of one that the caller has claimed, if there is one.
 * If there is no room, neither is left, and what this one was charged is given back. */
static __noinline enum rf_reason rf_conn_settle(const struct rf_tuple *tuple, struct rf_conn *conn)
{
	if (!rf_conn_put(tuple, conn, BPF_ANY) && !rf_conn_begin(tuple))
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
					      const struct rf_pkt *pkt)
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
		     rf_conn_reopens(old, pkt, tuple->side)) &&
		    rf_conn_claim(old)) {
			rf_charge_release(&old->charge);
			return rf_conn_settle(tuple, conn);
		}
	} else {
		reason = RF_REASON_TABLE_FULL;
		if (!error)
			rf_conn_remove(tuple);
	}
	rf_charge_release(&conn->charge);
	return reason;
}

/* What a packet that passes does to its entry, and so to its charge and timer. */
static __always_inline void rf_conn_pass(struct rf_conn *conn, const struct rf_pkt *pkt, __u32 side,
					 __u64 now)
{
	__u32 was = conn->state;

	rf_conn_advance(conn, pkt, side, now);
	if (conn->state == was)
		return;
	if (conn->state == RF_CONN_ESTABLISHED || conn->state == RF_CONN_CLOSING)
		rf_charge_answered(&conn->charge);
	/* Shorter than what the timer waits for now. */
	if (conn->state == RF_CONN_CLOSING || conn->state == RF_CONN_CLOSED)
		bpf_timer_start(&conn->timer, rf_conn_timeout(conn) + RF_TICK_NS, 0);
}

#endif
