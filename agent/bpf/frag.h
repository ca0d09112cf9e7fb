/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Packets in fragments. The first one says what the packet is: it is judged as any
 * packet, and what it said is kept once it is on its way. A later one is taken for
 * the same, judged again by it, and dropped where there is nothing to go by: it
 * came before the first, or the first did not pass. Nothing is buffered.
 *
 * Who puts the packet together may take bytes from any fragment where two overlap,
 * so no later one may reach into what was judged.
 */
#ifndef RINGFENCE_FRAG_H
#define RINGFENCE_FRAG_H

#include "owner.h"
#include "parse.h"

#define RF_MILLISECOND_NS 1000000ULL

/* Places that are all free, to make an originator's from. Bytes, since no helper may
 * read a lock. */
RF_MAP(no_frags, BPF_MAP_TYPE_ARRAY, __u32, __u8[sizeof(struct rf_frags)], 1, BPF_F_RDONLY_PROG);

/* Who has fragmented the packet: the interface that sends, else the one it is for. */
static __always_inline void rf_frags_of(const struct rf_pkt *pkt, struct rf_frags_key *key)
{
	__u32 index = pkt->iface;
	struct rf_iface *iface;
	struct rf_end end;

	key->inbound = pkt->from == RF_DEVICE_HOST || pkt->arrives;
	if (!index) {
		rf_find_end(pkt->domain_id, &pkt->src, &end);
		index = end.iface;
	}
	if (!index) {
		rf_find_end(pkt->domain_id, &pkt->dst, &end);
		index = end.iface;
		key->inbound = 1;
	}
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	key->account = iface ? iface->account : 0;
}

static __always_inline void rf_frag_identify(const struct rf_pkt *pkt, __u32 ifindex,
					     struct rf_frag_id *id)
{
	id->domain_id = pkt->domain_id;
	id->ifindex = ifindex;
	id->src = pkt->src;
	id->dst = pkt->dst;
	id->id = pkt->part.id;
	id->l4_proto = pkt->part.l4_proto;
	id->from = pkt->from;
	id->pad[0] = id->pad[1] = 0;
}

static __always_inline int rf_frag_is(const struct rf_frag *frag, const struct rf_frag_id *id)
{
	const __u32 *x = (const void *)&frag->id, *y = (const void *)id;
	__u32 differs = 0;

	_Static_assert(sizeof(*id) % sizeof(*x) == 0, "compared in words");
#pragma unroll
	for (__u32 i = 0; i < sizeof(*id) / sizeof(*x); i++)
		differs |= x[i] ^ y[i];
	return !differs;
}

/* Whether another packet may have its place. */
static __always_inline int rf_frag_yields(const struct rf_frag *frag, __u64 now)
{
	return !frag->seen_ns || (frag->total && frag->got >= frag->total) ||
	       now > frag->seen_ns + RF_FRAGMENT_YIELD_MS * RF_MILLISECOND_NS;
}

static __always_inline struct rf_frags *rf_frags_make(const struct rf_frags_key *key)
{
	struct rf_frags *frags = bpf_map_lookup_elem(&rf_frags, key);
	__u32 zero = 0;
	void *empty;

	if (frags)
		return frags;
	empty = bpf_map_lookup_elem(&no_frags, &zero);
	if (!empty)
		return NULL;
	/* Another CPU may have been first: then its places are the ones. */
	bpf_map_update_elem(&rf_frags, key, empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(&rf_frags, key);
}

/* The packet's place, else one that another packet yields; RF_FRAGS_EACH: there is
 * none. Two walks, since the verifier would follow one that looks for both from each
 * place that it may have found on the way. */
static __always_inline __u32 rf_frag_place(const struct rf_frags *frags,
					   const struct rf_frag_id *id, __u64 now)
{
	for (__u32 i = 0; i < RF_FRAGS_EACH; i++) {
		if (rf_frag_is(&frags->frag[i], id))
			return i;
	}
	for (__u32 i = 0; i < RF_FRAGS_EACH; i++) {
		if (rf_frag_yields(&frags->frag[i], now))
			return i;
	}
	return RF_FRAGS_EACH;
}

/* Keeps what a first fragment says. -1: its originator has no place left. Global,
 * as rf_ask is. */
__noinline int rf_frag_keep(const struct rf_pkt *pkt, __u32 ifindex)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_frag frag = {.seen_ns = now}, *kept;
	struct rf_frags_key key;
	struct rf_frags *frags;
	__u32 place;

	if (!pkt)
		return -1;
	if (rf_config.dry)
		return 0;
	rf_frag_identify(pkt, ifindex, &frag.id);
	frag.got = pkt->part.length;
	frag.sport = pkt->sport;
	frag.dport = pkt->dport;
	frag.number = pkt->number;
	frag.judged = pkt->part.judged;
	frag.l4_proto = pkt->l4_proto;
	frag.table = pkt->table;
	frag.tcp_flags = pkt->tcp_flags;
	frag.icmp_type = pkt->icmp_type;
	frag.icmp_role = pkt->icmp_role;
	rf_frags_of(pkt, &key);
	frags = rf_frags_make(&key);
	if (!frags)
		return -1;

	bpf_spin_lock(&frags->lock);
	place = rf_frag_place(frags, &frag.id, now);
	if (place < RF_FRAGS_EACH) {
		kept = &frags->frag[place];
		/* Of two first ones either may be the one that counts. */
		if (rf_frag_is(kept, &frag.id) && kept->judged > frag.judged)
			frag.judged = kept->judged;
		*kept = frag;
	}
	bpf_spin_unlock(&frags->lock);
	return place < RF_FRAGS_EACH ? 0 : -1;
}

/* Takes what the first fragment said for what this later one says. Global, as
 * rf_ask is. */
__noinline int rf_frag_join(struct rf_pkt *pkt, __u32 ifindex)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct rf_frag first = {};
	struct rf_frags_key key;
	struct rf_frags *frags;
	struct rf_frag_id id;

	if (!pkt)
		return RF_REASON_INTERNAL;
	rf_frags_of(pkt, &key);
	rf_frag_identify(pkt, ifindex, &id);
	frags = bpf_map_lookup_elem(&rf_frags, &key);
	if (!frags)
		return RF_REASON_FRAGMENT;
	bpf_spin_lock(&frags->lock);
	for (__u32 i = 0; i < RF_FRAGS_EACH; i++) {
		struct rf_frag *frag = &frags->frag[i];

		if (!rf_frag_is(frag, &id))
			continue;
		frag->got += pkt->part.length;
		if (!pkt->part.more)
			frag->total = pkt->part.offset + pkt->part.length;
		first = *frag;
		break;
	}
	bpf_spin_unlock(&frags->lock);
	if (!first.seen_ns || now > first.seen_ns + RF_FRAGMENT_S * 1000 * RF_MILLISECOND_NS ||
	    pkt->part.offset < first.judged)
		return RF_REASON_FRAGMENT;
	pkt->sport = first.sport;
	pkt->dport = first.dport;
	pkt->number = first.number;
	pkt->l4_proto = first.l4_proto;
	pkt->table = first.table;
	pkt->tcp_flags = first.tcp_flags;
	pkt->icmp_type = first.icmp_type;
	pkt->icmp_role = first.icmp_role;
	return RF_REASON_NONE;
}

/* Everything that is known of a frame before anybody is asked about it. */
static __always_inline enum rf_reason rf_parse(struct __sk_buff *ctx, struct rf_pkt *pkt)
{
	enum rf_reason reason = rf_parse_frame(ctx, pkt);

	if (!reason && pkt->fragment == RF_FRAGMENT_LATER)
		reason = rf_frag_join(pkt, ctx->ifindex);
	return reason;
}

#endif
