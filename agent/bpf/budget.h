/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Budgets: what an interface takes of the tables that all share. Who opens a
 * connection pays for it on every host that it crosses; who is asked has a budget
 * of its own for interfaces and one for outside, so that neither eats the other's.
 *
 * What is taken is written down in the entry, and who deletes or replaces the entry
 * gives back just that. Counts are signed at heart: one that a race made negative
 * must not look like a full one.
 */
#ifndef RINGFENCE_BUDGET_H
#define RINGFENCE_BUDGET_H

#include "verdict.h"

static __always_inline struct rf_account *rf_account(__u32 index)
{
	return index ? bpf_map_lookup_elem(&rf_accounts, &index) : NULL;
}

static __always_inline const struct rf_limits *rf_find_limits(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rf_limits, &zero);
}

/* Adds to what is borrowed; what it was before. */
static __always_inline __s64 rf_borrow(__s64 count)
{
	__u32 zero = 0;
	struct rf_account *common = bpf_map_lookup_elem(&rf_accounts, &zero);

	return common ? (__s64)__sync_fetch_and_add(&common->used[0], count) : 0;
}

/* Who changes a count across the share borrows or gives back, whichever entry it is. */
static __always_inline void rf_budget_give(struct rf_account *account, __u32 budget,
					   const struct rf_limits *limits)
{
	__s64 used = __sync_fetch_and_add(&account->used[budget], -1);

	if (limits && used > (__s64)limits->share[budget])
		rf_borrow(-1);
}

/* Takes one of a budget; -1: it is used up, which is counted. What is refused was taken
 * and is given back like any: another CPU that gives meanwhile sees it in the count. */
static __always_inline int rf_budget_take(struct rf_account *account, __u32 budget,
					  const struct rf_limits *limits)
{
	__s64 used = __sync_fetch_and_add(&account->used[budget], 1);

	if (used < (__s64)limits->share[budget])
		return 0;
	if (rf_borrow(1) < (__s64)limits->common && used < (__s64)limits->of[budget])
		return 0;
	rf_budget_give(account, budget, limits);
	__sync_fetch_and_add(&account->refused[budget], 1);
	return -1;
}

/* What is taken for a new entry: of one kind, and as half-open, too. */
static __always_inline enum rf_reason rf_budget_take_pair(struct rf_account *account, __u32 kind,
							  const struct rf_limits *limits,
							  enum rf_reason reason,
							  enum rf_reason half_reason)
{
	if (rf_budget_take(account, kind, limits))
		return reason;
	if (!rf_budget_take(account, kind + 1, limits))
		return RF_REASON_NONE;
	rf_budget_give(account, kind, limits);
	return half_reason;
}

/* Gives back what an account was charged, once and for all. */
static __always_inline void rf_budget_give_pair(__u32 index, __u32 kind, __u32 half_open)
{
	const struct rf_limits *limits = rf_find_limits();
	struct rf_account *account = rf_account(index);

	if (!account)
		return;
	if (half_open)
		rf_budget_give(account, kind + 1, limits);
	rf_budget_give(account, kind, limits);
}

/* Takes what a new entry costs, all or nothing; the reason if it may not. */
static __noinline enum rf_reason rf_charge_open(struct rf_charge *charge)
{
	const struct rf_limits *limits = rf_find_limits();
	struct rf_account *opener = rf_account(charge->account[0]);
	struct rf_account *asked = rf_account(charge->account[1]);
	enum rf_reason reason = RF_REASON_NONE;

	if (!limits)
		return RF_REASON_INTERNAL;
	charge->half_open = 1;
	if (opener)
		reason = rf_budget_take_pair(opener, RF_BUDGET_OWN, limits, RF_REASON_CONN_BUDGET,
					     RF_REASON_HALF_OPEN_BUDGET);
	if (reason || !asked)
		return reason;
	if (charge->from_outside)
		reason = rf_budget_take_pair(asked, RF_BUDGET_OUTSIDE, limits,
					     RF_REASON_OUTSIDE_BUDGET, RF_REASON_OUTSIDE_BUDGET);
	else
		reason = rf_budget_take_pair(asked, RF_BUDGET_INBOUND, limits,
					     RF_REASON_DESTINATION_BUDGET,
					     RF_REASON_DESTINATION_BUDGET);
	if (reason)
		rf_budget_give_pair(charge->account[0], RF_BUDGET_OWN, 1);
	return reason;
}

/* The entry is half-open no longer; only the first who says so counts. */
static __noinline void rf_charge_answered(struct rf_charge *charge)
{
	const struct rf_limits *limits = rf_find_limits();
	struct rf_account *opener, *asked;

	if (!__sync_lock_test_and_set(&charge->half_open, 0))
		return;
	opener = rf_account(charge->account[0]);
	asked = rf_account(charge->account[1]);
	if (opener)
		rf_budget_give(opener, RF_BUDGET_OWN_HALF, limits);
	if (asked && charge->from_outside)
		rf_budget_give(asked, RF_BUDGET_OUTSIDE_HALF, limits);
	else if (asked)
		rf_budget_give(asked, RF_BUDGET_INBOUND_HALF, limits);
}

/* The entry goes: for who has put its `over` to 1. */
static __noinline void rf_charge_release(struct rf_charge *charge)
{
	__u32 half_open = __sync_lock_test_and_set(&charge->half_open, 0);

	rf_budget_give_pair(charge->account[0], RF_BUDGET_OWN, half_open);
	if (charge->from_outside)
		rf_budget_give_pair(charge->account[1], RF_BUDGET_OUTSIDE, half_open);
	else
		rf_budget_give_pair(charge->account[1], RF_BUDGET_INBOUND, half_open);
}

#endif
