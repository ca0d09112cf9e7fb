/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The sweep: at every tick it takes some tuples out of rf_clock, deletes the entries
 * whose time is over, and puts the other tuples back at the end. A kernel's timer calls
 * it, whether or not an agent runs.
 */
#ifndef RINGFENCE_SWEEP_H
#define RINGFENCE_SWEEP_H

#include "life.h"

/* include/uapi/linux/time.h */
#define RF_CLOCK_MONOTONIC 1
/* include/uapi/asm-generic/errno-base.h */
#define RF_EBUSY 16

/* Looks after the next entry; whether that was the last one. */
static long rf_sweep_next(__u64 index, __u64 *now)
{
	struct rf_sweep *sweep;
	struct rf_tuple tuple;
	struct rf_conn *conn;
	__u32 zero = 0;

	if (bpf_map_pop_elem(&rf_clock, &tuple))
		return 1;
	conn = rf_conn_look_up(&tuple);
	if (conn && rf_conn_expired(conn, *now) && rf_conn_claim(&tuple, conn)) {
		rf_charge_release(&conn->charge);
		rf_conn_remove(&tuple);
	} else if (conn) {
		/* It lives, or another CPU is replacing it. */
		if (!bpf_map_push_elem(&rf_clock, &tuple, 0))
			return 0;
		/* The clock lost it; the flow's next packet puts it there again. */
		conn->domain_epoch = RF_EPOCH_NEVER;
	}
	sweep = bpf_map_lookup_elem(&rf_sweep, &zero);
	if (sweep)
		__sync_fetch_and_add(&sweep->waiting, -1);
	return 0;
}

static int rf_sweep_tick(void *map, __u32 *key, struct rf_sweep *sweep)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	__s64 waiting = sweep->waiting;

	if (waiting > RF_SWEEP_MOST)
		waiting = RF_SWEEP_MOST;
	if (waiting > 0)
		bpf_loop(waiting, rf_sweep_next, &now, 0);
	bpf_timer_start(&sweep->timer, RF_SWEEP_NS, 0);
	return 0;
}

/* Has the timer call these programs from now on; -1: there is no memory for it now. */
static __always_inline int rf_sweep_begin(void)
{
	__u32 zero = 0;
	struct rf_sweep *sweep = bpf_map_lookup_elem(&rf_sweep, &zero);
	long error;

	if (!sweep)
		return -1;
	error = bpf_timer_init(&sweep->timer, &rf_sweep, RF_CLOCK_MONOTONIC);
	/* It is there from an earlier load. */
	if (error && error != -RF_EBUSY)
		return -1;
	return bpf_timer_set_callback(&sweep->timer, rf_sweep_tick) ||
			       bpf_timer_start(&sweep->timer, RF_SWEEP_NS, 0)
		       ? -1
		       : 0;
}

#endif
