/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Where an end is that its address says nothing of: behind an interface without
 * port security, which sends as nobody, or in the host's stack.
 */
#ifndef RINGFENCE_PLACE_H
#define RINGFENCE_PLACE_H

#include "owner.h"

/* Puts an address that is nobody's behind the interface that sends. */
static __always_inline void rf_end_behind_sender(struct rf_end *end, const struct rf_pkt *pkt)
{
	end->iface = pkt->iface;
	end->whose = RF_WHOSE_NOBODY;
	end->behind = pkt->iface_id;
}

/*
 * Brings an end that stands behind an interface up to date; -1: it may not stand
 * there any more. The interface's entry says nothing of that: an index that was
 * left keeps what it said until it is another's. Its device leads to the index
 * in force.
 */
static __noinline int rf_still_behind(struct rf_end *end)
{
	__u32 index = end->iface;
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	struct rf_device *device;

	if (!iface || iface->id != end->behind)
		return -1;
	device = rf_find_device(iface->ifindex);
	if (!device || device->kind != RF_DEVICE_WORKLOAD)
		return -1;
	index = device->ref;
	iface = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!iface || iface->id != end->behind || !(iface->flags & RF_IFACE_NO_PORT_SECURITY))
		return -1;
	end->iface = index;
	return 0;
}

/* Whether two ends are in one place. */
static __always_inline int rf_same_place(const struct rf_end *a, const struct rf_end *b)
{
	if ((a->whose == RF_WHOSE_HOST) != (b->whose == RF_WHOSE_HOST))
		return 0;
	if (a->behind || b->behind)
		return a->behind == b->behind;
	return a->iface == b->iface;
}

/* Whether an address that was at one end may be at the other by now: it may join,
 * move or leave. What is the host's or nobody's was never there by its address,
 * so it stays where it was. */
static __always_inline int rf_may_become(const struct rf_end *was, const struct rf_end *is)
{
	if (was->whose == RF_WHOSE_HOST || is->whose == RF_WHOSE_HOST ||
	    (rf_is_nobodys(was) && rf_is_nobodys(is)))
		return rf_same_place(was, is);
	return 1;
}

#endif
