/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Both sides of a flow judged at once:
 *
 *   1. read the epochs of both addresses,
 *   2. read the domain's word: slot and epoch, once,
 *   3. class of source and destination in that slot,
 *   4. (source class, destination class) -> profile in that slot,
 *   5. (table, number) -> the run: verdict bits and both rules.
 *
 * The agent changes in the opposite order: contents of the other slot, the
 * word, then address epochs. So what is recorded here can be older than what
 * was judged by (and is judged again needlessly), never newer.
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
};

static __always_inline struct rf_addr *rf_find_addr(__u32 domain_id, const struct rf_ip *ip)
{
	struct rf_addr_key key = {.domain_id = domain_id, .ip = *ip};

	return bpf_map_lookup_elem(&rf_addrs, &key);
}

/* Whether an index is of the interface that sends. The agent gives an interface
 * whose entry changes a new index, and tells its device and its addresses one
 * after the other: both indexes are its own then, by their id. */
static __always_inline int rf_is_sender(const struct rf_pkt *pkt, __u32 index)
{
	struct rf_iface *iface;

	if (index == pkt->iface)
		return index != 0;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	return iface && iface->id && iface->id == pkt->iface_id;
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
	return j->allows == (RF_ALLOW_FROM | RF_ALLOW_TO);
}

/* Fills the judgement; whether the packet may pass. */
static __noinline int rf_judge(const struct rf_question *q, struct rf_judgement *j)
{
	struct rf_row_key key = {.domain_id = q->domain_id};
	struct rf_profile *profile;
	struct rf_run *run = NULL;
	__u32 domain = q->domain;
	struct rf_row *row;
	__u64 *word;

	j->judged = 1;
	rf_read_epoch(q, j, 0);
	rf_read_epoch(q, j, 1);
	word = bpf_map_lookup_elem(&rf_domain_words, &domain);
	if (word) {
		/* An atomic operation with a result orders what is around it on
		 * every architecture; adding zero changes nothing. */
		__u64 now = __sync_fetch_and_add(word, 0);

		j->domain_epoch = now;
		j->slot = now >> RF_WORD_SLOT_SHIFT & 1;
		key.from_class = j->class_id[0] = rf_class(q, j->slot, 0);
		key.to_class = j->class_id[1] = rf_class(q, j->slot, 1);
		row = bpf_map_lookup_elem(&rf_rows, &key);
		profile =
			row ? bpf_map_lookup_elem(&rf_profiles, &row->profile[j->slot & 1]) : NULL;
		/* Profile 0 is "no row in that slot" and has no runs. */
		if (profile && q->table < RF_TABLES)
			run = rf_find_run(&profile->table[q->table], q->number);
	}
	if (run) {
		j->allows = run->verdict;
		j->rule[0] = run->from_rule;
		j->rule[1] = run->to_rule;
	}
	if (rf_config.verdict_off)
		j->allows = RF_ALLOW_FROM | RF_ALLOW_TO;
	return rf_allows(j);
}

#endif
