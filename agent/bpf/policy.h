/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Both sides of a flow judged at once:
 *
 *   1. read the epochs of both addresses,
 *   2. read the domain's word: slot and epoch, once,
 *   3. class of source and destination in that slot,
 *   4. (source class, destination class), else the domain's default -> profile
 *      in that slot,
 *   5. (table, number) -> the run: verdict bits, notes and both rules,
 *      as enforced and as they were with policies in audit.
 *
 * The agent changes in the opposite order: contents of the other slot, the
 * word, then address epochs. So what is recorded here can be older than what
 * was judged by (and is judged again needlessly), never newer.
 *
 * An address's entry has its classes in both slots. Who has read it as a whole before
 * the word (first.h) has what holds all the same: the agent waits for programs that run
 * between what it writes into a slot and the word.
 */
#ifndef RINGFENCE_POLICY_H
#define RINGFENCE_POLICY_H

#include "packet.h"
#include "verdict.h"

struct rf_question {
	__u32 domain; /* index */
	__u32 domain_id;
	struct rf_ip ip[2]; /* of who opens, of who is asked */
	__u16 number;
	__u8 table;
	__u8 host;  /* bit 0 of who opens, 1 of who is asked: it is the host's stack */
	__u8 votes; /* RF_ALLOW_*: the sides that vote */
};

static __always_inline struct rf_addr *rf_find_addr(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_addr_key key = {.domain_id = domain_id, .ip = *ip};

	return bpf_map_lookup_elem(&rf_addrs, &key);
}

/* The place of the epoch of an address that is no interface's. */
static __always_inline __u32 rf_bucket(__u32 domain_id, const struct rf_ip *ip)
{
	const __be32 *words = (const void *)ip;
	__u32 hash = domain_id;

	for (int i = 0; i < 4; i++)
		hash = (hash ^ bpf_ntohl(words[i])) * 0x9e3779b1U;
	return hash >> 16;
}

static __always_inline __u32 rf_epoch(__u32 ref)
{
	__u64 *epoch = bpf_map_lookup_elem(&rf_epochs, &ref);

	return epoch ? *epoch : 0;
}

static __noinline void rf_read_epoch(const struct rf_question *q, struct rf_judgement *j,
				     __u32 side)
{
	struct rf_addr *addr;
	__u32 ref;

	side &= 1;
	addr = rf_find_addr(q->domain_id, &q->ip[side]);
	ref = addr ? addr->epoch : rf_bucket(q->domain_id, &q->ip[side]);
	j->epoch_ref[side] = ref;
	j->epoch[side] = rf_epoch(ref);
}

/* 0 has no row. An interface that the slot does not know yet has none, either:
 * it is not outside, so no prefix may speak for it. */
static __noinline __u32 rf_class(const struct rf_question *q, __u32 slot, __u32 side)
{
	struct rf_prefix_key key = {
		.prefixlen = RF_PREFIX_FIXED_BITS + 128,
		.domain_id = q->domain_id,
		.slot = slot,
		.ip = q->ip[side & 1],
	};
	struct rf_addr *addr = rf_find_addr(q->domain_id, &q->ip[side & 1]);
	__u32 *class_id;

	if (q->host >> (side & 1) & 1)
		return RF_CLASS_HOST;
	if (addr)
		return addr->class_id[slot & 1];
	class_id = bpf_map_lookup_elem(&rf_prefixes, &key);
	return class_id ? *class_id : 0;
}

/* The last run that begins at or before the number. */
static __always_inline struct rf_run *rf_find_run(const struct rf_span *span, __u16 number)
{
	__u32 low = span->start, left = span->count;
	struct rf_run *run;

	for (int step = 0; step < RF_RUN_SEARCH_STEPS && left > 1; step++) {
		__u32 middle = low + left / 2;

		run = bpf_map_lookup_elem(&rf_runs, &middle);
		if (!run)
			return NULL;
		if (run->first <= number) {
			low = middle;
			left -= left / 2;
		} else {
			left /= 2;
		}
	}
	run = bpf_map_lookup_elem(&rf_runs, &low);
	return run && left && run->first <= number ? run : NULL;
}

/* Whether neither side objects. */
static __always_inline int rf_allows(const struct rf_judgement *j)
{
	return j->answer.allows == RF_ALLOW_BOTH;
}

/* The profile of a pair of classes in a slot, or the one of the pairs without a
 * row; NULL: there is none, which denies. */
static __always_inline struct rf_profile *rf_find_profile(__u32 domain_id, const __u32 *class_id,
							  __u32 slot)
{
	struct rf_row_key key = {
		.domain_id = domain_id,
		.from_class = class_id[0],
		.to_class = class_id[1],
	};
	struct rf_row *row;
	__u32 profile;

	/* Unknown is not the default: its key would be the default's row. */
	if (key.from_class == RF_CLASS_NONE || key.to_class == RF_CLASS_NONE)
		return NULL;
	row = bpf_map_lookup_elem(&rf_rows, &key);
	profile = row ? row->profile[slot & 1] : 0;
	if (!profile) {
		key.from_class = key.to_class = RF_CLASS_NONE;
		row = bpf_map_lookup_elem(&rf_rows, &key);
		profile = row ? row->profile[slot & 1] : 0;
	}
	return profile ? bpf_map_lookup_elem(&rf_profiles, &profile) : NULL;
}

/* What a run says; without one both sides deny. */
static __always_inline void rf_answer_by(struct rf_answer *a, const struct rf_run *run)
{
	if (!run) {
		a->allows = a->shadow_allows = a->notes = 0;
		a->rule[0] = a->rule[1] = a->shadow_rule[0] = a->shadow_rule[1] = 0;
		return;
	}
	a->allows = run->verdict & RF_ALLOW_BOTH;
	a->shadow_allows = run->verdict & RF_SHADOW_BOTH;
	a->notes = run->notes;
	a->rule[0] = run->from_rule;
	a->rule[1] = run->to_rule;
	a->shadow_rule[0] = run->shadow_from_rule;
	a->shadow_rule[1] = run->shadow_to_rule;
}

/*
 * Puts a question to one slot. What no run speaks for is denied by both sides, and
 * no run speaks for a flow on which nobody votes.
 *
 * Global, as rf_judge is: the verifier looks at it once and not on every way to
 * it. The price is that it takes any pointer for one that may be NULL.
 */
__noinline int rf_ask(const struct rf_question *q, __u32 slot, struct rf_answer *a)
{
	struct rf_profile *profile;
	struct rf_run *run = NULL;

	if (!q || !a)
		return -1;
	a->class_id[0] = rf_class(q, slot, 0);
	a->class_id[1] = rf_class(q, slot, 1);
	profile = rf_find_profile(q->domain_id, a->class_id, slot);
	if (profile && q->votes && q->table < RF_TABLES)
		run = rf_find_run(&profile->table[q->table], q->number);
	rf_answer_by(a, run);
	return 0;
}

/* Reads the domain's word, after all that was read before and before all that is read
 * after; -1: there is no such domain. */
static __always_inline int rf_read_word(__u32 domain, struct rf_judgement *j)
{
	__u64 *word = bpf_map_lookup_elem(&rf_domain_words, &domain);
	__u64 now;

	if (!word)
		return -1;
	/* An atomic operation with a result orders what is around it on every
	 * architecture; adding zero changes nothing. */
	now = __sync_fetch_and_add(word, 0);
	j->domain_epoch = now;
	j->slot = now >> RF_WORD_SLOT_SHIFT & 1;
	return 0;
}

/* Fills the judgement; whether the packet may pass. */
__noinline int rf_judge(const struct rf_question *q, struct rf_judgement *j)
{
	if (!q || !j)
		return 0;
	j->judged = 1;
	rf_read_epoch(q, j, 0);
	rf_read_epoch(q, j, 1);
	if (!rf_read_word(q->domain, j))
		rf_ask(q, j->slot, &j->answer);
	return rf_allows(j);
}

#endif
