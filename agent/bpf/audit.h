/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Judgements that policies in audit would turn, counted by the rule that would
 * decide: each side's on its own host, so that no host counts another's.
 */
#ifndef RINGFENCE_AUDIT_H
#define RINGFENCE_AUDIT_H

#include "policy.h"

/* One side of an answer, 0 of the source or 1 of the destination; `iface` is
 * the interface there, 0: none. */
static __noinline void rf_audit_side(const struct rf_answer *a, __u32 domain_id, __u32 side,
				     __u32 iface)
{
	__u32 enforced = side ? a->allows & RF_ALLOW_TO : a->allows & RF_ALLOW_FROM;
	__u32 shadow = side ? a->shadow_allows & RF_SHADOW_TO : a->shadow_allows & RF_SHADOW_FROM;
	struct rf_audit_key key = {
		.domain_id = domain_id,
		.rule = side ? a->shadow_rule[1] : a->shadow_rule[0],
		.allows = !!shadow,
	};
	struct rf_iface *here;
	__u64 one = 1, *count;

	if (rf_config.dry || !enforced == !shadow || !iface)
		return;
	here = bpf_map_lookup_elem(&rf_ifaces, &iface);
	if (!here || here->host != RF_HOST_HERE)
		return;
	count = bpf_map_lookup_elem(&rf_audit, &key);
	if (count)
		*count += 1;
	else /* Another CPU may have been first: then its entry has our place, too. */
		bpf_map_update_elem(&rf_audit, &key, &one, BPF_NOEXIST);
}

/* Both sides, given the interfaces of who opens and of who is asked. */
static __always_inline void rf_count_audit(const struct rf_answer *a, __u32 domain_id, __u32 opener,
					   __u32 asked)
{
	rf_audit_side(a, domain_id, 0, opener);
	rf_audit_side(a, domain_id, 1, asked);
}

#endif
