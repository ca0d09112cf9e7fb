/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * How a program ends: the only place that drops, counts and records. No drop
 * without a reason, no reason without a counter.
 */
#ifndef RINGFENCE_VERDICT_H
#define RINGFENCE_VERDICT_H

#include <linux/pkt_cls.h>

#include "packet.h"

#define RF_REASON(NAME, TEXT, DOC) RF_REASON_##NAME,
enum rf_reason {
	RF_REASON_NONE = 0,
#include "reasons.def"
};
#undef RF_REASON

/* What others attached behind us runs next; UAPI's TCX_NEXT, since 6.6. */
#define RF_NEXT TC_ACT_UNSPEC

const volatile struct rf_config rf_config = {};

/* What the guard lets into the host's stack from a workload's device. Not the mark
 * itself: the stack may send a packet on, and what is marked is admitted there. */
static __always_inline __u32 rf_stack_mark(void)
{
	return ~rf_config.mark;
}

/* What tests see of a decision: a test run shows neither target nor tunnel key. */
static __always_inline void rf_record(struct rf_decision decision, const struct rf_judgement *j)
{
	__u32 zero = 0;
	struct rf_decision *record;

	if (!rf_config.record)
		return;
	record = bpf_map_lookup_elem(&rf_decisions, &zero);
	if (!record)
		return;
	if (j) {
		decision.judged = j->judged;
		decision.allows = j->answer.allows;
		decision.from_rule = j->answer.rule[0];
		decision.to_rule = j->answer.rule[1];
		decision.shadow_allows = j->answer.shadow_allows;
		decision.shadow_from_rule = j->answer.shadow_rule[0];
		decision.shadow_to_rule = j->answer.shadow_rule[1];
		decision.notes = j->answer.notes;
		decision.reply_denied = j->reply_denied;
		decision.from_class = j->answer.class_id[0];
		decision.to_class = j->answer.class_id[1];
		decision.domain_epoch = j->domain_epoch;
		decision.slot = j->slot;
		decision.way = j->way;
	}
	decision.count = record->count + 1;
	*record = decision;
}

static __always_inline void rf_count_drop(__u32 ifindex, enum rf_reason reason)
{
	struct rf_drop_key key = {.ifindex = ifindex, .reason = reason};
	__u64 one = 1, *count;

	if (rf_config.dry)
		return;
	count = bpf_map_lookup_elem(&rf_drops, &key);
	if (count)
		*count += 1;
	else /* Another CPU may have been first: then its entry has our place, too. */
		bpf_map_update_elem(&rf_drops, &key, &one, BPF_NOEXIST);
}

static __always_inline void rf_record_drop(enum rf_reason reason, const struct rf_judgement *j)
{
	rf_record((struct rf_decision){.action = RF_ACTION_DROP, .reason = reason}, j);
}

/* The end of a packet that goes nowhere. */
static __noinline int rf_drop(struct __sk_buff *ctx, enum rf_reason reason)
{
	rf_count_drop(ctx->ifindex, reason);
	rf_record_drop(reason, NULL);
	return TC_ACT_SHOT;
}

/* The same, of one that policy judged. */
static __noinline int rf_drop_judged(struct __sk_buff *ctx, enum rf_reason reason,
				     const struct rf_judgement *j)
{
	rf_count_drop(ctx->ifindex, reason);
	rf_record_drop(reason, j);
	return TC_ACT_SHOT;
}

/* The end of a packet in whose place a message to its sender leaves. */
static __always_inline int rf_drop_told(struct __sk_buff *ctx, enum rf_reason reason)
{
	rf_count_drop(ctx->ifindex, reason);
	rf_record_drop(reason, NULL);
	ctx->mark = rf_config.mark;
	return bpf_redirect(ctx->ifindex, 0);
}

static __always_inline void rf_count_from(__u32 counter)
{
	struct rf_passed *passed = bpf_map_lookup_elem(&rf_passed, &counter);

	if (passed && !rf_config.dry)
		passed->from++;
}

static __always_inline void rf_count_to(__u32 counter)
{
	struct rf_passed *passed = bpf_map_lookup_elem(&rf_passed, &counter);

	if (passed && !rf_config.dry)
		passed->to++;
}

/* The mark is ours alone, so it ends here. */
static __always_inline int rf_deliver(struct __sk_buff *ctx, __u32 counter,
				      const struct rf_judgement *j)
{
	ctx->mark = 0;
	rf_count_to(counter);
	rf_record((struct rf_decision){.action = RF_ACTION_DELIVER, .ifindex = ctx->ifindex}, j);
	return RF_NEXT;
}

/* An answer of our own: out of the device that the question came in by. */
static __always_inline int rf_answer(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	rf_count_from(pkt->counter);
	rf_record((struct rf_decision){.action = RF_ACTION_ANSWER, .ifindex = ctx->ifindex}, NULL);
	ctx->mark = rf_config.mark;
	return bpf_redirect(ctx->ifindex, 0);
}

#endif
